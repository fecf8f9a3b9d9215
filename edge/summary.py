"""Summarizes in a few lines what was counted in a recording."""

import math
from datetime import datetime

from edge.types import People, Window


class Summary:
    """Adds up published windows: what they withhold is withheld here too."""

    def __init__(
        self, *, window_seconds: float, min_people: int, gender: bool = True, ages: bool = False
    ) -> None:
        """Take the configured values; `gender` and `ages` say whether each is estimated."""
        self._window_seconds, self._min_people = window_seconds, min_people
        self._gender = gender
        kinds = [name for name, on in (("gender", gender), ("age", ages)) if on]
        self._estimated = " and ".join(kinds)
        self._windows: list[Window] = []
        self.undelivered = 0
        """Number of windows that the broker has not received yet."""

    def add(self, window: Window) -> None:
        """Add a window."""
        self._windows.append(window)

    def lines(self) -> list[str]:
        """A line for each fact; none if no frame was analyzed."""
        if not self._windows:
            return []
        lines = [
            f"people    {self._people()}",
            f"time      {_span(self._windows[0].start, self._windows[-1].end)}",
            f"windows   {self._published()}",
        ]
        withheld = sum(window.people.total for window in self._windows if not window.broken_down)
        if withheld and self._estimated:
            lines += [
                f"withheld  {self._estimated} of {_number(withheld, 'person', 'people')}, "
                f"in windows with fewer than {self._min_people}",
                "          privacy.min_people in the configuration sets that limit; "
                "1 withholds nothing",
            ]
        return lines

    def _people(self) -> str:
        published = sum((window.people for window in self._windows if window.broken_down), People())
        withheld = sum(window.people.total for window in self._windows if not window.broken_down)
        total = published.total + withheld
        if not total:
            return "nobody"
        if not self._gender:
            return f"{total}; classifier.gender is off"
        parts = [
            _number(published.female, "woman", "women"),
            _number(published.male, "man", "men"),
        ]
        if published.unknown:
            parts.append(f"{published.unknown} of unknown gender")
        if withheld:
            parts.append(f"{withheld} withheld")
        return f"{total}: {', '.join(parts if published.total else parts[-1:])}"

    def _published(self) -> str:
        number = len(self._windows)
        withheld = sum(not window.broken_down for window in self._windows)
        joined = sum(self._joined(window) for window in self._windows)
        text = f"{number} {'counted' if self.undelivered else 'published'}"
        if withheld and self._estimated:
            text += f", {withheld} of them without {self._estimated}"
        if joined:
            text += f"; {joined} with few people joined to the next"
        if self.undelivered:
            text += f"; {self.undelivered} not delivered"
        return text

    def _joined(self, window: Window) -> int:
        """The number of earlier windows that were withheld and are part of this one."""
        return max(0, math.ceil(round(window.seconds / self._window_seconds, 6)) - 1)


def _number(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _span(start: float, end: float) -> str:
    """Two times, seconds since 1970, in local time."""
    first, last = (datetime.fromtimestamp(seconds).astimezone() for seconds in (start, end))
    form = "%H:%M:%S" if first.date() == last.date() else "%Y-%m-%d %H:%M:%S"
    return f"{first:%Y-%m-%d %H:%M:%S} to {last.strftime(form)}"
