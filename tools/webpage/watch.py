"""How much of the time the devices looked. Pure."""

import math
from collections.abc import Iterable, Mapping

from tools.collection.hourly import Sums
from tools.collection.liveness import Device
from tools.collection.store import DeviceSpan

HOLD_S = 1200
"""A window may be withheld for `privacy.max_hold` (15 minutes): until then no time is missing."""

Key = tuple[str, str]
"""Site and name of a device."""
Live = Mapping[Key, Device]


class Watch:
    """How much of an hour the devices looked at."""

    def __init__(self, spans: list[DeviceSpan], live: Live, now: float) -> None:
        self._spans = []
        for span in spans:
            # what is not reported yet is not missing, and nothing is expected of what was removed
            is_late = (span.site, span.device) in live and now - span.last > HOLD_S
            self._spans.append((span.first, now if is_late else min(span.last, now)))

    @property
    def first(self) -> float:
        """When the first of them began."""
        return min((first for first, _ in self._spans), default=math.inf)

    def share(self, hours: Iterable[tuple[int, Sums]], start: int, end: int) -> float | None:
        """0 to 1; None if no device was expected to watch."""
        expected = sum(max(0.0, min(end, last) - max(start, first)) for first, last in self._spans)
        if expected <= 0:
            return None
        return min(1.0, sum(sums.seen for _, sums in hours) / expected)
