"""Days and hours of the place that is counted, by its own clock. Pure, but for the zone's name."""

import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from edge.errors import ConfigError
from tools.collection.hourly import HOUR_S

Step = Literal["hour", "day", "week", "month"]

HOURS_UP_TO, DAYS_UP_TO, WEEKS_UP_TO = 2, 62, 400
"""Longest ranges that are shown by the hour, by the day and by the week, days."""
LONGEST_DAYS = 3660
"""No longer range is shown."""
LOCALTIME = Path("/etc/localtime")


class Days(NamedTuple):
    """A range of whole days, the last one included."""

    first: date
    last: date

    @property
    def number(self) -> int:
        return (self.last - self.first).days + 1

    def earlier(self) -> "Days":
        """The same days of the week, as many weeks before as it takes not to overlap."""
        shift = timedelta(days=self.shift)
        return Days(self.first - shift, self.last - shift)

    @property
    def shift(self) -> int:
        """By how many days `earlier` is earlier."""
        return 7 * -(-self.number // 7)

    @property
    def step(self) -> Step:
        """What one bar of a chart stands for."""
        if self.number <= HOURS_UP_TO:
            return "hour"
        if self.number <= DAYS_UP_TO:
            return "day"
        return "week" if self.number <= WEEKS_UP_TO else "month"


class Calendar:
    """One time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    @property
    def shift(self) -> int:
        """By how much the zone's hours are off whole ones of UTC, seconds: 1800 in Kolkata."""
        offset = datetime(2026, 1, 1, tzinfo=self.zone).utcoffset()
        assert offset is not None
        return int(-offset.total_seconds()) % HOUR_S

    def local(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self.zone)

    def midnight(self, day: date) -> int:
        """When a day begins, seconds since 1970."""
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def bounds(self, days: Days) -> tuple[int, int]:
        """Start, and end that no longer belongs to it, seconds since 1970."""
        return self.midnight(days.first), self.midnight(days.last + timedelta(days=1))

    def same_hour(self, hour: int, days: int) -> int:
        """The hour at the same time of day, so many `days` earlier."""
        earlier = self.local(hour).replace(tzinfo=None) - timedelta(days=days)
        return int(earlier.replace(tzinfo=self.zone).timestamp())

    def slots(self, days: Days) -> Iterator[tuple[int, int]]:
        """Start and end of each bar, seconds since 1970."""
        start, end = self.bounds(days)
        if days.step == "hour":
            yield from ((hour, hour + HOUR_S) for hour in range(start, end, HOUR_S))
            return
        day = days.first
        while day <= days.last:
            following = _following(day, days.step)
            yield self.midnight(day), self.midnight(min(following, days.last + timedelta(days=1)))
            day = following


def _following(day: date, step: Step) -> date:
    if step == "day":
        return day + timedelta(days=1)
    if step == "week":
        return day + timedelta(days=7 - day.weekday())
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def open_zone(name: str | None) -> ZoneInfo:
    """A time zone such as Europe/Berlin; None stands for this machine's. Raises ConfigError."""
    if name is None:
        name = os.environ.get("TZ", "").lstrip(":") or _machine_zone()
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:  # also ZoneInfoNotFoundError
        raise ConfigError(f"--timezone {name}: is not known ({error}); try Europe/Berlin") from None
    except KeyError:
        raise ConfigError(f"--timezone {name}: is not known; write it like Europe/Berlin") from None


def _machine_zone() -> str:
    _, found, name = str(LOCALTIME.resolve()).partition("/zoneinfo/")
    return name if found else "UTC"


def read_days(first: str | None, last: str | None, today: date) -> Days:
    """A range from `YYYY-MM-DD` to `YYYY-MM-DD`; today if nothing is said. Raises ValueError."""
    try:
        begin = date.fromisoformat(first) if first else today
        end = date.fromisoformat(last) if last else max(begin, today) if first is None else begin
    except ValueError:
        raise ValueError("from and to must be dates such as 2026-11-21") from None
    if not date(1980, 1, 1) <= begin <= end <= date(2190, 1, 1):
        raise ValueError("from must not be after to, both from 1980 to 2189")
    if Days(begin, end).number > LONGEST_DAYS:
        raise ValueError(f"a range may have {LONGEST_DAYS} days at most")
    return Days(begin, end)
