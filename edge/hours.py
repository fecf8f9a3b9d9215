"""Hours of the day in the device's own time zone, such as 22:00-07:00."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

PATTERN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day, which may run past midnight."""

    start: int
    """The first minute that belongs to it, since midnight."""
    end: int
    """The first minute after it; before `start` if it runs past midnight."""

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """`HH:MM-HH:MM`; 24:00 ends the day. Raises ValueError that says what is allowed."""
        match = PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r}: must be two times of day, such as 22:00-07:00")
        hours, minutes, until_hours, until_minutes = map(int, match.groups())
        start, end = 60 * hours + minutes, 60 * until_hours + until_minutes
        if end > DAY_MINUTES:
            raise ValueError(f"{text!r}: a day ends at 24:00")
        if start == end:
            raise ValueError(f"{text!r}: begins and ends at the same time; all day is 00:00-24:00")
        return cls(start, end)

    def contains(self, minute: int) -> bool:
        """Whether this minute of the day belongs to it."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def local_time(utc: float) -> datetime:
    """A moment, in seconds since 1970, in the time zone that the device is set to now."""
    time.tzset()  # or the zone would stay that of the program's start, perhaps for months
    return datetime.fromtimestamp(utc, UTC).astimezone()


def is_within(hours: Iterable[Hours], utc: float) -> bool:
    """Whether a moment, in seconds since 1970, lies in any of `hours` by local time.

    An hour that comes twice when the clock is put back is treated alike both times; an hour that is
    skipped does not happen.
    """
    local = local_time(utc)
    minute = 60 * local.hour + local.minute
    return any(part.contains(minute) for part in hours)
