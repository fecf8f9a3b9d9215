"""Live sources on the machine's clock: Raspberry Pi camera, USB camera, network stream.

The newest frame wins: one that was not read in time is never seen.
"""

import itertools
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.errors import SourceError
from edge.records import Frame, Image

log = logging.getLogger(__name__)

Frames = Generator[Frame, None, None]
"""Frames as they come; to be closed, which lets go of the camera."""

OPEN_TIMEOUT_MS = 10_000
JOIN_S = 3.0
"""How long a camera's last picture is waited for at the end."""
PICAMERA2_FAILS = (ImportError, IndexError, OSError, RuntimeError, ValueError)
"""What picamera2 raises where it is missing, built for another numpy, or the camera is busy."""


@dataclass(frozen=True, slots=True)
class View:
    """What is asked of a source."""

    width: int = 640
    height: int = 480
    """Size asked of a camera, pixels; files come as they are."""
    fps: float = 10.0
    """Most frames per second from a camera, and the rate of a folder of pictures."""
    gray_width: int = 640
    """`Frame.gray` is at most this wide, pixels."""
    timeout: float = 10.0
    """Seconds without a frame after which a camera is given up."""


def frame_of(seq: int, mono: float, utc: float, image: Image, view: View) -> Frame:
    """One picture with its grey copy, which is at most `view.gray_width` wide."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    height, width = gray.shape
    if width > view.gray_width:
        size = (view.gray_width, max(1, round(height * view.gray_width / width)))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return Frame(seq, mono, utc, image, np.asarray(gray, np.uint8))


def silence_opencv() -> None:
    """Keep OpenCV's own lines about what it cannot open from standing before our clear one."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV moved the function between 4.11 and 4.14; level 0 is silence
    module: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    module.setLogLevel(0)


def find_camera() -> str:
    """The first camera of this machine as a source. Raises SourceError where there is none."""
    silence_opencv()
    try:
        from picamera2 import Picamera2

        if Picamera2.global_camera_info():
            return "picamera2:0"
    except PICAMERA2_FAILS as error:
        log.debug("no picamera2: %s", error)
    for device in sorted(Path("/dev").glob("video*")):
        capture = _capture(device)
        works = capture.isOpened() and capture.read()[0]
        capture.release()
        if works:
            return f"v4l2:{device}"
    raise SourceError("no camera found: connect one, or name a source (a file, a URL or demo)")


def v4l2(device: str, view: View, stopped: Callable[[], bool]) -> Frames:
    """A USB camera. Raises SourceError where it is missing or in use."""
    path = Path(device)
    if not path.exists():
        here = ", ".join(str(p) for p in sorted(Path("/dev").glob("video*"))) or "none"
        raise SourceError(f"camera {device}: does not exist; cameras here: {here}")
    capture = _capture(path)
    if not capture.isOpened():
        raise SourceError(f"camera {device}: cannot be opened; is it in use by another program?")
    # MJPG lets a USB camera send full pictures at full rate
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, view.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, view.height)
    capture.set(cv2.CAP_PROP_FPS, view.fps)
    return _newest(capture, f"camera {device}", view, stopped)


def _capture(device: Path) -> cv2.VideoCapture:
    digits = device.name.removeprefix("video")
    if device.parent == Path("/dev") and digits.isdigit():
        return cv2.VideoCapture(int(digits), cv2.CAP_V4L2)
    return cv2.VideoCapture(str(device), cv2.CAP_V4L2)


def stream(url: str, view: View, stopped: Callable[[], bool]) -> Frames:
    """A network camera, or any URL that OpenCV opens. Raises SourceError where it cannot."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(view.timeout * 1000)]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"stream {shown_source(url)}: cannot be opened; is the address right?")
    return _newest(capture, f"stream {shown_source(url)}", view, stopped)


def shown_source(source: str) -> str:
    """`source` as it may be shown: of a URL the scheme and the host, never what may be a secret.

    Cameras are known to want their password before the host, in the path and in the query.
    """
    scheme, separator, rest = source.partition("://")
    if not separator:
        return source
    authority, slash, path = rest.partition("/")
    host = authority.rsplit("@", 1)[-1]
    # an @ further on means that the password holds a slash
    plain = "@" not in path and re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", host)
    return f"{scheme}://{host if plain else '***'}{slash and '/...'}"


def _newest(
    capture: cv2.VideoCapture, name: str, view: View, stopped: Callable[[], bool]
) -> Frames:
    """Frames of a live capture, read on a thread so that an old one never waits in a buffer."""
    fresh = threading.Condition()
    newest: list[tuple[float, float, Image] | None] = [None]
    over = threading.Event()

    def read() -> None:
        try:
            while not over.is_set():
                readable, image = capture.read()
                if not readable:
                    break
                with fresh:
                    newest[0] = (time.monotonic(), time.time(), np.asarray(image, np.uint8))
                    fresh.notify()
        finally:
            capture.release()
            with fresh:
                over.set()
                fresh.notify()

    # a daemon thread: a driver may hang in read() for ever, and must not keep the process alive
    reader = threading.Thread(target=read, name="camera", daemon=True)
    reader.start()
    try:
        due = heard = time.monotonic()
        for seq in itertools.count():
            time.sleep(max(0.0, due - time.monotonic()))
            with fresh:
                while newest[0] is None:
                    if stopped():
                        return
                    if over.is_set() or time.monotonic() - heard > view.timeout:
                        raise SourceError(f"{name}: gives no more frames")
                    fresh.wait(0.2)
                mono, utc, image = newest[0]
                newest[0] = None
            if stopped():
                return
            heard, due = mono, max(due + 1 / view.fps, mono)
            yield frame_of(seq, mono, utc, image, view)
    finally:
        over.set()
        # a thread that comes back from OpenCV while Python shuts down would abort the process
        reader.join(JOIN_S)


def picamera2(number: int, view: View, stopped: Callable[[], bool]) -> Frames:
    """A Raspberry Pi's camera. Raises SourceError where it is missing or in use."""
    name = f"camera picamera2:{number}"
    try:
        from picamera2 import Picamera2
    except PICAMERA2_FAILS as error:
        raise SourceError(
            f"{name}: picamera2 is not installed or does not fit ({error}); on a Raspberry Pi: "
            "sudo apt install python3-picamera2, then make clean setup"
        ) from error
    # lores may not be larger than main, and its sides must be even
    gray_width = min(view.gray_width, view.width) & ~1
    gray_height = (view.height * gray_width // view.width) & ~1
    frame_us = round(1e6 / view.fps)
    try:
        connected = len(Picamera2.global_camera_info())
        if number >= connected:
            raise SourceError(f"{name}: not found; {connected} connected")
        camera = Picamera2(number)
        camera.configure(
            camera.create_video_configuration(
                # picamera2 names channels from the last byte on: RGB888 is B, G, R in memory
                main={"size": (view.width, view.height), "format": "RGB888"},
                lores={"size": (gray_width, gray_height), "format": "YUV420"},
                controls={"FrameDurationLimits": (frame_us, frame_us)},
                buffer_count=4,
                queue=False,
            )
        )
        camera.start()
    except PICAMERA2_FAILS as error:
        raise SourceError(f"{name}: cannot be opened ({error})") from error
    return _picamera2_frames(camera, name, view, stopped)


def _picamera2_frames(camera: Any, name: str, view: View, stopped: Callable[[], bool]) -> Frames:
    try:
        width, height = camera.camera_configuration()["lores"]["size"]
        for seq in itertools.count():
            if stopped():
                return
            try:
                with camera.captured_request(wait=view.timeout) as request:
                    image = request.make_array("main")
                    planes = request.make_array("lores")
            except TimeoutError as error:
                raise SourceError(f"{name}: gives no more frames") from error
            # the rows of the Y plane come first, each padded to the stride
            gray = np.ascontiguousarray(planes[:height, :width])
            yield Frame(seq, time.monotonic(), time.time(), image, gray)
    finally:
        camera.stop()
        camera.close()
