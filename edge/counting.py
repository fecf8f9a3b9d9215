"""Sums visits into windows; small counts are withheld and carried forward.

Pure: time comes with the frames.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.types import AGES, UNKNOWN, People, Visit, Window

DWELL_EDGES = (5.0, 15.0, 30.0, 60.0)
"""Upper bounds of the bins of dwell and attention, seconds; the last bin has none."""
MAX_STEP_S = 1.5
"""A frame vouches for the time until the next one, but for at most this long, seconds."""


@dataclass(slots=True)
class _Durations:
    """Durations of visits, summed."""

    total: float = 0.0
    """Seconds."""
    bins: list[int] = field(default_factory=lambda: [0] * (len(DWELL_EDGES) + 1))
    """Visits per bin of `DWELL_EDGES`."""

    def add(self, seconds: float) -> None:
        self.total += seconds
        self.bins[bisect_left(DWELL_EDGES, seconds)] += 1


class Counter:
    """Sums visits into windows of equal length on the monotonic clock.

    A window with fewer than `min_people` people, but more than none, is withheld and goes on into
    the next one. After `max_hold` seconds it is given out with its total alone.
    """

    def __init__(
        self,
        *,
        seconds: float = 60,
        min_people: int = 3,
        max_hold: float = 900,
        ages: bool = False,
    ) -> None:
        """With `ages` people are counted by age group beside gender, but never by both at once:
        sixteen groups of a few people each would show single ones."""
        self._by_age = ages
        self._seconds, self._min_people, self._max_hold = seconds, min_people, max_hold
        self._start: float | None = None
        self._withheld_since: float | None = None
        self._last = 0.0
        self._vouched_until = float("-inf")
        self._present = 0
        self._clock_offset = 0.0
        self._boundary = 0.0
        self._clear()

    def _clear(self) -> None:
        self._people = People()
        self._ages = [0] * len(AGES)
        self._dwell, self._attention = _Durations(), _Durations()
        self._analyzed_s = 0.0
        self._person_s = 0.0
        self._peak = 0
        self._withheld_since = None

    def tick(
        self,
        mono: float,
        utc: float,
        present: int,
        visits: Iterable[Visit],
        *,
        has_frame: bool = True,
    ) -> list[Window]:
        """One moment, with a frame or without: the windows that are over by `mono`, oldest first.

        `utc` is the same moment in seconds since 1970, `present` the people in view, `visits` those
        that ended since the moment before; they belong to the window that `mono` lies in.
        """
        self._clock_offset = utc - mono
        windows = []
        if self._start is None:
            self._start = self._last = mono
            self._boundary = mono + self._seconds
        analyzed_until = min(mono, self._vouched_until)
        while mono >= self._boundary:
            self._pass_time(min(analyzed_until, self._boundary))
            windows += self._close()
        self._pass_time(analyzed_until)
        self._last = mono
        if has_frame:
            self._vouched_until = mono + MAX_STEP_S
        self._present = present
        self._peak = max(self._peak, present)
        for visit in visits:
            self._add(visit)
        return windows

    def finish(self, visits: Iterable[Visit]) -> list[Window]:
        """The window cut short by the end of the view, with the last visits; none before a tick.

        With too few people it is given out with its total alone, so that nobody is lost.
        """
        if self._start is None:
            return []
        for visit in visits:
            self._add(visit)
        if self._last <= self._start and self._people.total == 0:
            return []
        return [self._window(self._last)]

    def _pass_time(self, until: float) -> None:
        elapsed = until - self._last
        if elapsed > 0:
            self._analyzed_s += elapsed
            self._person_s += elapsed * self._present
            self._last = until

    def _add(self, visit: Visit) -> None:
        self._people += People(**{visit.label: 1})
        self._ages[AGES.index(visit.age or UNKNOWN)] += 1
        self._dwell.add(visit.end - visit.start)
        self._attention.add(visit.attention_s)

    def _close(self) -> list[Window]:
        """Pass one boundary: the window that ends there, or none if it is withheld."""
        boundary = self._boundary
        self._boundary += self._seconds
        if 0 < self._people.total < self._min_people:
            if self._withheld_since is None:
                self._withheld_since = boundary
            if boundary - self._withheld_since < self._max_hold:
                return []
        window = self._window(boundary)
        self._start = boundary
        self._clear()
        self._peak = self._present
        return [window]

    def _window(self, end: float) -> Window:
        assert self._start is not None
        seconds = end - self._start
        total = self._people.total
        broken_down = total == 0 or total >= self._min_people
        # too few people are not broken down by time either
        dwell, attention = (
            (self._dwell, self._attention) if broken_down else (_Durations(), _Durations())
        )
        return Window(
            start=self._start + self._clock_offset,
            end=end + self._clock_offset,
            seconds=seconds,
            people=self._people if broken_down else People(**{UNKNOWN: total}),
            broken_down=broken_down,
            dwell_mean=dwell.total / total if total and broken_down else None,
            dwell_bins=tuple(dwell.bins),
            presence_peak=self._peak,
            presence_mean=self._person_s / self._analyzed_s if self._analyzed_s else 0.0,
            coverage=min(1.0, self._analyzed_s / seconds) if seconds > 0 else 1.0,
            ages=tuple(self._ages) if self._by_age and broken_down else None,
            attention_mean=attention.total / total if total and broken_down else None,
            attention_bins=tuple(attention.bins),
        )
