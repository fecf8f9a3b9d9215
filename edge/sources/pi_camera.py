"""A Raspberry Pi's own camera, through picamera2."""

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
"""A picture is waited for in slices so long, so that the end of the program is noticed."""
PICAMERA2_FAILS = (ImportError, IndexError, OSError, RuntimeError, ValueError)
"""What picamera2 raises where it is missing, built for another numpy, or the camera is busy."""


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

    def __init__(self, number: int, view: CaptureSettings) -> None:
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


def lores_size(view: CaptureSettings) -> tuple[int, int]:
    """Size of the grey stream: even, no larger than the main one, `gray_width` once turned."""
    width, height = view.width, view.height
    across = height if view.rotate % 180 else width
    share = min(1.0, view.gray_width / across)
    return int(width * share) & ~1, int(height * share) & ~1


def controls(view: CaptureSettings) -> dict[str, Any]:
    """libcamera's controls, in its units: microseconds and times."""
    frame_us = round(1e6 / view.fps)
    chosen: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if view.exposure_ms is not None:
        chosen["ExposureTime"] = round(1000 * view.exposure_ms)
    if view.gain is not None:
        chosen["AnalogueGain"] = view.gain
    return chosen
