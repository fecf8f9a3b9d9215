"""Lowers the frame rate before the machine gets too hot: a throttled Pi stutters."""

import logging
import time
from collections.abc import Callable

from edge import host

log = logging.getLogger(__name__)

READ_EVERY_S = 10.0
"""Seconds between two readings: a processor warms up in seconds, its case in minutes."""
SLOW_DOWN, SPEED_UP = 0.8, 1.1
"""Factors on the frame rate: it falls faster than it rises, so that it settles."""
HYSTERESIS_C = 5.0
"""Degrees Celsius below the limit at which the rate may rise again."""
MIN_FPS = 2.0
"""Lowest frame rate, frames per second: below it people walk past unseen."""
LOW_POWER, SLOWED, TOO_WARM = 0b0001, 0b0110, 0b1000
"""Bits of `host.throttled`. The firmware slows the processor for too little power as well as for
heat, and too little power is not cured by fewer frames."""


class ThermalThrottle:
    """A callable that returns the frame rate that the machine can bear."""

    def __init__(
        self,
        fps: float,
        limit_c: float | None,
        *,
        temperature_c: Callable[[], float | None] = host.temperature_c,
        throttled: Callable[[], int | None] = host.throttled,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Return at most `fps` frames per second, fewer from `limit_c` degrees Celsius on.

        Without a limit, or if the machine reports no temperature, it is always `fps`.
        """
        self._max_fps, self._limit_c = fps, limit_c
        self._temperature, self._throttled, self._clock = temperature_c, throttled, clock
        self._read_at = float("-inf")
        self.fps = fps
        """Frames per second since the latest reading."""

    def __call__(self) -> float:
        """Frames per second to take now."""
        if self._limit_c is None or self._clock() < self._read_at:
            return self.fps
        self._read_at = self._clock() + READ_EVERY_S
        degrees, bits = self._temperature(), self._throttled()
        if degrees is None:
            return self.fps
        if degrees >= self._limit_c or _is_hot(bits or 0):
            fps = max(min(MIN_FPS, self._max_fps), SLOW_DOWN * self.fps)
        elif degrees <= self._limit_c - HYSTERESIS_C:
            fps = min(self._max_fps, SPEED_UP * self.fps)
        else:
            return self.fps
        if fps < self._max_fps <= self.fps:
            log.warning("machine: %.0f degrees; fewer frames until it is cooler", degrees)
        elif self.fps < self._max_fps <= fps:
            log.info("machine: %.0f degrees; all frames again", degrees)
        self.fps = fps
        return fps


def _is_hot(bits: int) -> bool:
    """Whether heat slows the processor now."""
    return bool(bits & TOO_WARM or (bits & SLOWED and not bits & LOW_POWER))
