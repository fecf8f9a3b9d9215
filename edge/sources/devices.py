"""Live sources by their name: which camera there is, and which kind to open."""

import logging
from pathlib import Path

from edge.errors import SourceError
from edge.native_log import silence_opencv
from edge.sources.name import shown_source
from edge.sources.opencv_camera import Capture, open_device, stream, usb
from edge.sources.pi_camera import PICAMERA2_FAILS, PiCamera
from edge.types import CaptureSettings

log = logging.getLogger(__name__)


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
        capture = open_device(device)
        works = capture.isOpened() and capture.read()[0]
        capture.release()
        if works:
            return f"v4l2:{device}"
    raise SourceError("no camera found: connect one, or name a source (a file, a URL or demo)")


def open_camera(source: str, view: CaptureSettings) -> Capture | PiCamera:
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
