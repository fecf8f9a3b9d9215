"""Hours of the day in the device's own time zone, such as 22:00-07:00."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of each day, which may run over midnight."""

    start: int
    """Minutes since midnight, the first that belongs to it."""
    end: int
    """The first that does not; not after `start` where it runs over midnight."""

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """`HH:MM-HH:MM`; 24:00 is the day's end. Raises ValueError that says what is allowed."""
        match = HOURS.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r}: must be two times of day, such as 22:00-07:00")
        hours, minutes, until_hours, until_minutes = map(int, match.groups())
        start, end = 60 * hours + minutes, 60 * until_hours + until_minutes
        if end > DAY:
            raise ValueError(f"{text!r}: a day ends at 24:00")
        if start == end:
            raise ValueError(f"{text!r}: begins and ends at the same time; all day is 00:00-24:00")
        return cls(start, end)

    def holds(self, minute: int) -> bool:
        """Whether that minute of the day belongs to it."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def on_the_wall(utc: float) -> datetime:
    """A moment, in seconds since 1970, in the time zone that the device is set to by now."""
    time.tzset()  # else the zone would be that of the program's start, for months perhaps
    return datetime.fromtimestamp(utc, UTC).astimezone()


def within(hours: Iterable[Hours], utc: float) -> bool:
    """Whether a moment, in seconds since 1970, lies in any of `hours` by the clock on the wall.

    Where the clock is put back, an hour comes twice and is treated alike both times; an hour that
    is skipped does not happen.
    """
    wall = on_the_wall(utc)
    minute = 60 * wall.hour + wall.minute
    return any(part.holds(minute) for part in hours)
