"""Opens USB cameras and network streams with OpenCV."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge.errors import SourceError
from edge.sources import stream_errors
from edge.sources.frame import upright
from edge.sources.name import redacted_source
from edge.types import CaptureSettings, Image

OPEN_TIMEOUT_MS = 10_000
"""Longest wait for a network stream to open, milliseconds."""
VIDEO_MAJOR = 81
"""Major number of video4linux devices (Linux, admin-guide/devices.txt)."""


def usb(device: str, settings: CaptureSettings) -> cv2.VideoCapture:
    """Open a USB camera. Raises SourceError if it is missing or in use."""
    path = Path(device)
    if not path.exists():
        cameras = ", ".join(str(p) for p in sorted(Path("/dev").glob("video*"))) or "none"
        raise SourceError(f"camera {device}: does not exist; cameras here: {cameras}")
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
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    return capture


def open_device(device: Path) -> cv2.VideoCapture:
    """Open a video device, by its number if it has one. The caller checks `isOpened()`."""
    digits = device.name.removeprefix("video")
    if device.parent == Path("/dev") and digits.isdigit():
        return cv2.VideoCapture(int(digits), cv2.CAP_V4L2)
    return cv2.VideoCapture(str(device), cv2.CAP_V4L2)


def stream(url: str, settings: CaptureSettings) -> cv2.VideoCapture:
    """Open a network camera, or any URL that OpenCV can. Raises SourceError if it cannot."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(settings.timeout * 1000)]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(
            f"stream {redacted_source(url)}: cannot be opened: {stream_errors.diagnose(url)}"
        )
    # on by default, but not in OpenCV 4.11
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


class Capture:
    """An opened camera or stream (`reconnecting.Camera`)."""

    def __init__(self, capture: cv2.VideoCapture, name: str, settings: CaptureSettings) -> None:
        self._capture, self._name, self._settings = capture, name, settings

    def read(self, _over: Callable[[], bool]) -> tuple[Image, None]:
        """The next picture, upright; there is no gray copy. Raises SourceError if none comes."""
        try:
            readable, image = self._capture.read()
        except cv2.error as error:  # a picture damaged on its way
            raise SourceError(f"{self._name}: gives a broken picture") from error
        if not readable:
            raise SourceError(f"{self._name}: gives no more frames")
        return upright(np.asarray(image, np.uint8), self._settings), None

    def close(self) -> None:
        self._capture.release()
