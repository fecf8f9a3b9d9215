"""Opens a live source by its name, and finds the camera that `auto` stands for."""

import logging
from pathlib import Path

from edge.errors import SourceError
from edge.native_log import silence_opencv
from edge.sources.name import redacted_source
from edge.sources.opencv_camera import Capture, open_device, stream, usb
from edge.sources.pi_camera import PICAMERA2_FAILS, PiCamera
from edge.types import CaptureSettings

log = logging.getLogger(__name__)


def find_camera() -> str:
    """The first camera of this machine as a source. Raises SourceError if there is none."""
    silence_opencv()
    try:
        from picamera2 import Picamera2

        # it lists USB cameras last; they lack most controls and are better opened by OpenCV
        if any("/usb" not in camera["Id"] for camera in Picamera2.global_camera_info()):
            return "picamera2:0"
    except PICAMERA2_FAILS as error:
        log.debug("no picamera2: %s", error)
    for device in sorted(Path("/dev").glob("video*")):
        capture = open_device(device)
        works = capture.isOpened() and capture.read()[0]
        capture.release()
        if works:
            return f"v4l2:{device}"
    raise SourceError("no camera found: connect one, or name a source (a file, a URL or demo)")


def open_camera(source: str, settings: CaptureSettings) -> Capture | PiCamera:
    """Open a live `source`; `auto` opens this machine's first camera.

    Raises SourceError if it is missing or in use, ConfigError if picamera2 is not installed.
    """
    if source == "auto":
        source = find_camera()
        log.info("camera: %s", source)
    kind, _, name = source.partition(":")
    if kind == "picamera2":
        return PiCamera(int(name), settings)
    if kind == "v4l2":
        return Capture(usb(name, settings), f"camera {name}", settings)
    return Capture(stream(source, settings), f"stream {redacted_source(source)}", settings)
