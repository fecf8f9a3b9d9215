"""Fewer frames before the machine gets too hot: a slower daemon counts, a throttled Pi stutters."""

import logging
import time
from collections.abc import Callable

from edge import host

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often the temperature is read: a processor warms within seconds, its case within minutes."""
SLOWER, FASTER = 0.8, 1.1
"""Down more quickly than up, so that it settles."""
COOLER_BY = 5.0
"""Degrees below the limit at which the rate may rise again."""
LEAST_FPS = 2.0
"""Below this people walk past unseen."""
NOW = 0b1110
"""Bits of `machine.throttled` that heat sets."""


class ThermalThrottle:
    """The frame rate that the machine can bear."""

    def __init__(
        self,
        fps: float,
        limit_c: float | None,
        *,
        temperature_c: Callable[[], float | None] = host.temperature_c,
        throttled: Callable[[], int | None] = host.throttled,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most `fps` frames per second; fewer from `limit_c` degrees Celsius on.

        Without a limit, and where the machine tells no temperature, always `fps`.
        """
        self._most, self._limit = fps, limit_c
        self._temperature, self._throttled, self._clock = temperature_c, throttled, clock
        self._look_at = float("-inf")
        self.fps = fps
        """As it was last found."""

    def __call__(self) -> float:
        """Frames per second for now."""
        if self._limit is None or self._clock() < self._look_at:
            return self.fps
        self._look_at = self._clock() + LOOK_S
        degrees, bits = self._temperature(), self._throttled()
        if degrees is None:
            return self.fps
        if degrees >= self._limit or (bits or 0) & NOW:
            fps = max(min(LEAST_FPS, self._most), SLOWER * self.fps)
        elif degrees <= self._limit - COOLER_BY:
            fps = min(self._most, FASTER * self.fps)
        else:
            return self.fps
        if fps < self._most <= self.fps:
            log.warning("machine: %.0f degrees; fewer frames until it is cooler", degrees)
        elif self.fps < self._most <= fps:
            log.info("machine: %.0f degrees; all frames again", degrees)
        self.fps = fps
        return fps
