"""Reads a Raspberry Pi's own camera with picamera2."""

import atexit
import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.errors import ConfigError, SourceError
from edge.sources.frame import turned
from edge.types import CaptureSettings, Image

log = logging.getLogger(__name__)

SLICE_S = 0.2
"""Longest single wait for a picture, seconds: between two, the end of the program is noticed."""
PICAMERA2_FAILS = (ImportError, IndexError, OSError, RuntimeError, ValueError)
"""What picamera2 raises if it is missing or built for another numpy, or the camera is busy."""


def import_picamera2() -> None:
    """Raises ConfigError if picamera2 is not installed, or built for another numpy."""
    try:
        import libcamera  # noqa: F401  # only to see if it can be imported
        import picamera2  # noqa: F401  # likewise
    except PICAMERA2_FAILS as error:
        raise ConfigError(
            f"camera: picamera2 is not installed or does not fit ({error}); on a Raspberry Pi: "
            "sudo apt install python3-picamera2, then make clean setup"
        ) from error


class PiCamera:
    """A Raspberry Pi's camera: each picture in color, with a smaller gray copy for the search."""

    def __init__(self, number: int, settings: CaptureSettings) -> None:
        """Open, configure and start camera `number`; the first is 0.

        Raises SourceError if it is missing or in use, ConfigError without a working picamera2.
        """
        self._name, self._timeout = f"camera picamera2:{number}", settings.timeout
        self._turn = settings.rotate % 180
        import_picamera2()
        from libcamera import Transform
        from picamera2 import Picamera2

        half_turn = settings.rotate >= 180
        transform = Transform(
            hflip=settings.flip_horizontal != half_turn, vflip=settings.flip_vertical != half_turn
        )
        try:
            connected = len(Picamera2.global_camera_info())
            if number >= connected:
                raise SourceError(f"{self._name}: not found; {connected} connected")
            self._camera = Picamera2(number)
        except PICAMERA2_FAILS as error:
            raise SourceError(f"{self._name}: cannot be opened ({error})") from error
        # at exit it would close itself again, and might hang there for ever
        atexit.unregister(self._camera.close)
        try:
            across, down = self._camera.sensor_resolution
            self._config = self._camera.create_video_configuration(
                # picamera2 names channels from the last byte on: RGB888 is B, G, R in memory
                main={"size": (settings.width, settings.height), "format": "RGB888"},
                # a Pi 4 and older can do only YUV here
                lores={"size": lores_size(settings), "format": "YUV420"},
                # two by two binning is fast and keeps the whole view; smaller modes crop it
                sensor={"output_size": (across // 2, down // 2)},
                transform=transform,
                controls=controls(settings),
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
        """The next picture, B G R, and its gray copy, both of one moment.

        A silent camera is stopped and started once. Raises SourceError if that does not help, or
        once it is `over`.
        """
        try:
            try:
                request = self._request(over)
            except TimeoutError:
                if over():
                    raise
                log.warning("%s: silent for %g s; starting it again", self._name, self._timeout)
                # with a pending request, stop() would wait for ever
                self._camera.cancel_all_and_flush()
                self._camera.stop()
                # a start consumes the controls: without this, frame rate and exposure are lost
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
        """The next completed request; the caller releases it. Raises TimeoutError if none comes.

        Requested once and awaited in slices: a `captured_request(wait=...)` that times out leaves
        its job in picamera2's queue, where it would take the next picture and its buffer.
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
        """Release the camera. Hangs if its driver does."""
        try:
            self._camera.cancel_all_and_flush()
            self._camera.close()
        except PICAMERA2_FAILS as error:
            log.debug("%s: cannot be closed: %s", self._name, error)


def lores_size(settings: CaptureSettings) -> tuple[int, int]:
    """Width and height of the gray stream, even: `gray_width` once turned, or the main size."""
    width, height = settings.width, settings.height
    across = height if settings.rotate % 180 else width
    scale = min(1.0, settings.gray_width / across)
    return int(width * scale) & ~1, int(height * scale) & ~1


def controls(settings: CaptureSettings) -> dict[str, Any]:
    """libcamera's controls, in its units: microseconds, and gain as a factor."""
    frame_us = round(1e6 / settings.fps)
    values: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if settings.exposure_ms is not None:
        values["ExposureTime"] = round(1000 * settings.exposure_ms)
    if settings.gain is not None:
        values["AnalogueGain"] = settings.gain
    return values
