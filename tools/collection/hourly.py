"""Windows added up by the hour. Pure.

The people of a window belong to the hour in which it ends: one that ends at 11:00 to the hour
before. A window is never divided, so that every sum, and every difference of two sums, is of whole
windows, each of which has enough people to be shown or shows nothing of them but their number. Only
the time that was watched is divided among hours.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from edge.delivery.messages import DWELL_BINS
from edge.types import AGES
from tools.collection.published import PublishedWindow

HOUR_S = 3600


class Sums(NamedTuple):
    """What windows add up to; the columns of table `hours`."""

    windows: int = 0
    people: int = 0
    told: int = 0
    """People in windows that show genders, the unknown included."""
    female: int = 0
    male: int = 0
    seen: float = 0.0
    """Time in which frames were analyzed, seconds."""
    present: float = 0.0
    """Person-seconds in front of the camera."""
    peak: int = 0
    """Most people at the same time."""
    dwell_people: int = 0
    dwell_total: float = 0.0
    """Seconds of all these people together."""
    dwell_0: int = 0
    dwell_1: int = 0
    dwell_2: int = 0
    dwell_3: int = 0
    dwell_4: int = 0
    attention_people: int = 0
    attention_total: float = 0.0
    attention_0: int = 0
    attention_1: int = 0
    attention_2: int = 0
    attention_3: int = 0
    attention_4: int = 0
    aged: int = 0
    """People in windows that show age groups."""
    age_0: int = 0
    age_1: int = 0
    age_2: int = 0
    age_3: int = 0
    age_4: int = 0
    age_5: int = 0
    age_6: int = 0
    age_7: int = 0
    age_8: int = 0
    """Of unknown age."""

    @property
    def dwell_bins(self) -> tuple[int, ...]:
        return self[10:15]

    @property
    def attention_bins(self) -> tuple[int, ...]:
        return self[17:22]

    @property
    def ages(self) -> tuple[int, ...]:
        return self[23:32]


PEAK = Sums._fields.index("peak")
"""The one column that is a maximum, not a sum."""
_NO_STAY = (0, 0.0, *[0] * len(DWELL_BINS))
_NO_AGES = [0] * (1 + len(AGES))


def add(rows: Iterable[Sums]) -> Sums:
    """All of them together."""
    columns = list(zip(Sums(), *rows, strict=True))
    return Sums(*(max(c) if i == PEAK else sum(c) for i, c in enumerate(columns)))


def hour_of(moment: int, shift: int) -> int:
    """Start of the hour that a moment is in or ends, seconds since 1970; `shift` is that of the
    time zone against whole hours, seconds."""
    return (moment - 1 - shift) // HOUR_S * HOUR_S + shift


def hours_between(start: int, end: int, shift: int) -> range:
    """Starts of all hours that a window with these times has a part in."""
    last = hour_of(end, shift)
    return range(min(last, hour_of(start + 1, shift)), last + 1, HOUR_S)


def hours_of(window: PublishedWindow, shift: int) -> range:
    """Starts of all hours that a window has a part in."""
    return hours_between(window.started, window.ended, shift)


def part(window: PublishedWindow, hour: int, shift: int, min_people: int) -> Sums:
    """What a window adds to an hour; the break-down only if it has `min_people` people or more."""
    inside = min(window.ended, hour + HOUR_S) - max(window.started, hour)
    seen = max(0, inside) * window.coverage
    present = window.presence.mean * seen
    if hour_of(window.ended, shift) != hour:
        return Sums(seen=seen, present=present)
    people = window.people
    is_shown = people.total >= min_people
    genders = (0, 0, 0)
    if is_shown and people.female is not None and people.male is not None:
        genders = (people.total, people.female, people.male)
    ages = window.by_age() if is_shown else None
    values = [
        1, people.total, *genders, seen, present, window.presence.peak,
        *_stay(window, "dwell_s", is_shown), *_stay(window, "attention_s", is_shown),
        *(_NO_AGES if ages is None else (people.total, *ages)),
    ]  # fmt: skip
    return Sums(*values)


def _stay(
    window: PublishedWindow, name: Literal["dwell_s", "attention_s"], is_shown: bool
) -> tuple[float, ...]:
    bins = window.bins(name) if is_shown else None
    if bins is None:
        return _NO_STAY
    mean = (getattr(window, name).get("mean")) or 0.0
    return sum(bins), mean * sum(bins), *bins
