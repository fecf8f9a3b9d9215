"""How much of the time the devices looked. Pure."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

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
        first, last = [], []
        for span in spans:
            # what is not reported yet is not missing, and nothing is expected of what was removed
            is_late = (span.site, span.device) in live and now - span.last > HOLD_S
            first.append(span.first)
            last.append(max(span.first, now if is_late else min(span.last, now)))
        self._began, self._ended = _Passed(first), _Passed(last)
        self.first = min(first, default=math.inf)
        """When the first of them began."""

    def share(self, seen: float, start: int, end: int) -> float | None:
        """Of the seconds `seen`, 0 to 1; None if no device was expected to watch."""
        expected = self._until(end) - self._until(start)
        if expected <= 0:
            return None
        return min(1.0, seen / expected)

    def _until(self, moment: float) -> float:
        """Seconds that all devices together were expected to watch before a moment."""
        return self._began.since(moment) - self._ended.since(moment)


class _Passed:
    """Moments, and how long ago all of them together were."""

    def __init__(self, moments: Iterable[float]) -> None:
        self._moments = sorted(moments)
        self._sums = [0.0, *accumulate(self._moments)]

    def since(self, moment: float) -> float:
        """Seconds since those that have passed, added up."""
        number = bisect_left(self._moments, moment)
        return number * moment - self._sums[number]
