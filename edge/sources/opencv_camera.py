"""USB cameras and network streams, through OpenCV."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge.errors import SourceError
from edge.sources import stream_errors
from edge.sources.frame import upright
from edge.sources.name import shown_source
from edge.types import CaptureSettings, Image

OPEN_TIMEOUT_MS = 10_000
VIDEO_MAJOR = 81
"""Of the devices of video4linux (Linux, admin-guide/devices.txt)."""


def usb(device: str, view: CaptureSettings) -> cv2.VideoCapture:
    """A USB camera. Raises SourceError where it is missing or in use."""
    path = Path(device)
    if not path.exists():
        here = ", ".join(str(p) for p in sorted(Path("/dev").glob("video*"))) or "none"
        raise SourceError(f"camera {device}: does not exist; cameras here: {here}")
    if path.is_char_device() and os.major(path.stat().st_rdev) != VIDEO_MAJOR:
        raise SourceError(f"camera {device}: is not a camera; name a video device: /dev/videoN")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(
            f"camera {device}: may not be opened by this user; add it to the group video"
        )
    capture = open_device(path)
    if not capture.isOpened():
        raise SourceError(f"camera {device}: cannot be opened; is it in use by another program?")
    # MJPG lets a USB camera send full pictures at full rate
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, view.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, view.height)
    capture.set(cv2.CAP_PROP_FPS, view.fps)
    return capture


def open_device(device: Path) -> cv2.VideoCapture:
    digits = device.name.removeprefix("video")
    if device.parent == Path("/dev") and digits.isdigit():
        return cv2.VideoCapture(int(digits), cv2.CAP_V4L2)
    return cv2.VideoCapture(str(device), cv2.CAP_V4L2)


def stream(url: str, view: CaptureSettings) -> cv2.VideoCapture:
    """A network camera, or any URL that OpenCV opens. Raises SourceError where it cannot."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(view.timeout * 1000)]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(
            f"stream {shown_source(url)}: cannot be opened: {stream_errors.trouble(url)}"
        )
    # on by default, but not in OpenCV 4.11
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


class Capture:
    """A camera or stream that OpenCV has opened."""

    def __init__(self, capture: cv2.VideoCapture, name: str, view: CaptureSettings) -> None:
        self._capture, self._name, self._view = capture, name, view

    def read(self, _over: Callable[[], bool]) -> tuple[Image, None]:
        """The next picture. Raises SourceError where none comes."""
        readable, image = self._capture.read()
        if not readable:
            raise SourceError(f"{self._name}: gives no more frames")
        return upright(np.asarray(image, np.uint8), self._view), None

    def close(self) -> None:
        self._capture.release()
