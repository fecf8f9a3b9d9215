"""Cameras, each opened once and read picture by picture: Raspberry Pi camera, USB, network stream.

What one cannot do any more it says with a SourceError; `live` then opens another one.
"""

import atexit
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge import remote
from edge.errors import ConfigError, SourceError
from edge.records import Frame, Image, View

log = logging.getLogger(__name__)

OPEN_TIMEOUT_MS = 10_000
SLICE_S = 0.2
"""A picture is waited for in slices so long, so that the end of the program is noticed."""
VIDEO_MAJOR = 81
"""Of the devices of video4linux (Linux, admin-guide/devices.txt)."""
PICAMERA2_FAILS = (ImportError, IndexError, OSError, RuntimeError, ValueError)
"""What picamera2 raises where it is missing, built for another numpy, or the camera is busy."""
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def frame_of(
    seq: int, mono: float, utc: float, image: Image, view: View, gray: Image | None = None
) -> Frame:
    """One picture with its grey copy, which is at most `view.gray_width` wide."""
    if gray is None:
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        height, width = gray.shape
        if width > view.gray_width:
            size = (view.gray_width, max(1, round(height * view.gray_width / width)))
            gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(seq, mono, utc, image, gray)


def upright(image: Image, view: View) -> Image:
    """The picture flipped and then turned as `view` asks for."""
    if view.flip_horizontal:
        image = np.asarray(cv2.flip(image, 1), np.uint8)
    if view.flip_vertical:
        image = np.asarray(cv2.flip(image, 0), np.uint8)
    return turned(image, view.rotate)


def turned(image: Image, degrees: int) -> Image:
    """The picture turned clockwise by a multiple of 90 degrees."""
    return np.asarray(cv2.rotate(image, TURNS[degrees]), np.uint8) if degrees else image


def silence_opencv() -> None:
    """Keep OpenCV's own lines about what it cannot open from standing before our clear one."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # OpenCV moved the function between 4.11 and 4.14; level 0 is silence
    module: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    module.setLogLevel(0)


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


def find_camera() -> str:
    """The first camera of this machine as a source. Raises SourceError where there is none."""
    silence_opencv()
    try:
        from picamera2 import Picamera2

        # USB cameras come last, lack most of the controls, and are better opened without it
        if any("/usb" not in camera["Id"] for camera in Picamera2.global_camera_info()):
            return "picamera2:0"
    except PICAMERA2_FAILS as error:
        log.debug("no picamera2: %s", error)
    for device in sorted(Path("/dev").glob("video*")):
        capture = _device(device)
        works = capture.isOpened() and capture.read()[0]
        capture.release()
        if works:
            return f"v4l2:{device}"
    raise SourceError("no camera found: connect one, or name a source (a file, a URL or demo)")


def open_camera(source: str, view: View) -> "Capture | PiCamera":
    """Open a live `source`, the first camera of this machine where it is `auto`.

    Raises SourceError where it is missing or in use, ConfigError where picamera2 is not installed.
    """
    if source == "auto":
        source = find_camera()
        log.info("camera: %s", source)
    kind, _, name = source.partition(":")
    if kind == "picamera2":
        return PiCamera(int(name), view)
    if kind == "v4l2":
        return Capture(usb(name, view), f"camera {name}", view)
    return Capture(stream(source, view), f"stream {shown_source(source)}", view)


def usb(device: str, view: View) -> cv2.VideoCapture:
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
    capture = _device(path)
    if not capture.isOpened():
        raise SourceError(f"camera {device}: cannot be opened; is it in use by another program?")
    # MJPG lets a USB camera send full pictures at full rate
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, view.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, view.height)
    capture.set(cv2.CAP_PROP_FPS, view.fps)
    return capture


def _device(device: Path) -> cv2.VideoCapture:
    digits = device.name.removeprefix("video")
    if device.parent == Path("/dev") and digits.isdigit():
        return cv2.VideoCapture(int(digits), cv2.CAP_V4L2)
    return cv2.VideoCapture(str(device), cv2.CAP_V4L2)


def stream(url: str, view: View) -> cv2.VideoCapture:
    """A network camera, or any URL that OpenCV opens. Raises SourceError where it cannot."""
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(view.timeout * 1000)]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise SourceError(f"stream {shown_source(url)}: cannot be opened: {remote.trouble(url)}")
    return capture


class Capture:
    """A camera or stream that OpenCV has opened."""

    def __init__(self, capture: cv2.VideoCapture, name: str, view: View) -> None:
        self._capture, self._name, self._view = capture, name, view

    def read(self, _over: Callable[[], bool]) -> tuple[Image, None]:
        """The next picture. Raises SourceError where none comes."""
        readable, image = self._capture.read()
        if not readable:
            raise SourceError(f"{self._name}: gives no more frames")
        return upright(np.asarray(image, np.uint8), self._view), None

    def close(self) -> None:
        self._capture.release()


def import_picamera2() -> None:
    """Raises ConfigError where it is not installed, or built for another numpy."""
    try:
        import libcamera  # noqa: F401  # whether it can be imported is all that is asked
        import picamera2  # noqa: F401  # likewise
    except PICAMERA2_FAILS as error:
        raise ConfigError(
            f"camera: picamera2 is not installed or does not fit ({error}); on a Raspberry Pi: "
            "sudo apt install python3-picamera2, then make clean setup"
        ) from error


class PiCamera:
    """A Raspberry Pi's camera: each picture in colour, and smaller in grey for the search."""

    def __init__(self, number: int, view: View) -> None:
        """Open, configure and start it once.

        Raises SourceError where it is missing or in use, ConfigError without a fitting picamera2.
        """
        self._name, self._timeout = f"camera picamera2:{number}", view.timeout
        self._turn = view.rotate % 180
        import_picamera2()
        from libcamera import Transform
        from picamera2 import Picamera2

        half_turn = view.rotate >= 180
        transform = Transform(
            hflip=view.flip_horizontal != half_turn, vflip=view.flip_vertical != half_turn
        )
        try:
            connected = len(Picamera2.global_camera_info())
            if number >= connected:
                raise SourceError(f"{self._name}: not found; {connected} connected")
            self._camera = Picamera2(number)
        except PICAMERA2_FAILS as error:
            raise SourceError(f"{self._name}: cannot be opened ({error})") from error
        # it would close itself once more at the very end, for which nothing could set a limit
        atexit.unregister(self._camera.close)
        try:
            across, down = self._camera.sensor_resolution
            self._config = self._camera.create_video_configuration(
                # picamera2 names channels from the last byte on: RGB888 is B, G, R in memory
                main={"size": (view.width, view.height), "format": "RGB888"},
                # YUV is all that a Pi 4 and older can do there
                lores={"size": lores_size(view), "format": "YUV420"},
                # binned two by two it is quick and sees all; smaller modes cut off the sides
                sensor={"output_size": (across // 2, down // 2)},
                transform=transform,
                controls=controls(view),
                buffer_count=4,
                queue=False,
            )
            self._camera.configure(self._config)
            self._gray_size = self._camera.camera_configuration()["lores"]["size"]
            self._camera.start()
        except PICAMERA2_FAILS as error:
            self.close()
            raise SourceError(f"{self._name}: cannot be opened ({error})") from error

    def read(self, over: Callable[[], bool]) -> tuple[Image, Image]:
        """The next picture in colour and grey, of one moment.

        A camera that is silent is stopped and started once. Raises SourceError where that does not
        help, or where it is `over`.
        """
        try:
            try:
                request = self._request(over)
            except TimeoutError:
                if over():
                    raise
                log.warning("%s: silent for %g s; started again", self._name, self._timeout)
                # a request still asked for would make stop() wait for ever
                self._camera.cancel_all_and_flush()
                self._camera.stop()
                # a start uses up what was set: without this, frame rate and exposure are lost
                self._camera.configure(self._config)
                self._camera.start()
                request = self._request(over)
            try:
                image, planes = request.make_array("main"), request.make_array("lores")
            finally:
                request.release()
        except PICAMERA2_FAILS as error:  # a TimeoutError is an OSError
            reason = f" ({error})" if str(error) else ""
            raise SourceError(f"{self._name}: gives no more frames{reason}") from error
        # the rows of the Y plane come first, each padded to the stride
        width, height = self._gray_size
        gray = np.ascontiguousarray(planes[:height, :width])
        return turned(image, self._turn), turned(gray, self._turn)

    def _request(self, over: Callable[[], bool]) -> Any:
        """The next completed request, to be released. Raises TimeoutError where none comes.

        Asked for once and waited for in slices: `captured_request(wait=...)` that times out leaves
        its job in picamera2's queue, where it takes the next picture for itself, and its buffer.
        """
        job = self._camera.capture_request(wait=False)
        end = time.monotonic() + self._timeout
        while True:
            try:
                return self._camera.wait(job, timeout=SLICE_S)
            except TimeoutError:
                if over() or time.monotonic() > end:
                    raise

    def close(self) -> None:
        """Let go of the camera. May hang where its driver does."""
        try:
            self._camera.cancel_all_and_flush()
            self._camera.close()
        except PICAMERA2_FAILS as error:
            log.debug("%s: cannot be closed: %s", self._name, error)


def lores_size(view: View) -> tuple[int, int]:
    """Size of the grey stream: even, no larger than the main one, `gray_width` once turned."""
    width, height = view.width, view.height
    across = height if view.rotate % 180 else width
    share = min(1.0, view.gray_width / across)
    return int(width * share) & ~1, int(height * share) & ~1


def controls(view: View) -> dict[str, Any]:
    """libcamera's controls, in its units: microseconds and times."""
    frame_us = round(1e6 / view.fps)
    chosen: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if view.exposure_ms is not None:
        chosen["ExposureTime"] = round(1000 * view.exposure_ms)
    if view.gain is not None:
        chosen["AnalogueGain"] = view.gain
    return chosen
