"""Adds windows up to hours. An hour is always what its windows add up to, those that were deleted
(`tools.collection.retention`) included: it is never changed by adding and subtracting."""

from collections.abc import Collection
from typing import NamedTuple

from edge.delivery.messages import iso
from tools.collection import hourly
from tools.collection.connection import Connection
from tools.collection.hourly import HOUR_S, Sums
from tools.collection.published import PublishedWindow, read_window

LONGEST_S = 2 * 86400
"""No device makes longer windows: window.seconds and privacy.max_hold are at most a day each."""
MOST_PLACES = 1000
"""Hours that are added up at once: their windows are in memory."""

Place = tuple[str, str, int]
"""Site, device and start of an hour."""
HourKey = tuple[str, str, int, str]
"""A place and a model."""

COLUMNS = ("site", "device", "hour", "model", *Sums._fields)
_WINDOWS = """
SELECT place.site, place.device, place.hour, windows.message
FROM places AS place CROSS JOIN windows
WHERE windows.site = place.site AND windows.device = place.device
    AND windows.ended > place.after AND windows.ended <= place.latest
    AND windows.started <= place.before
ORDER BY place.site, place.device, place.hour, windows.epoch, windows.seq
"""
_EXPIRED = f"""
SELECT place.site, place.device, place.hour, model, {", ".join(Sums._fields)}
FROM places AS place CROSS JOIN expired_hours AS expired
WHERE expired.site = place.site AND expired.device = place.device AND expired.hour = place.hour
"""
_SPANS = """
INSERT INTO spans (site, device, started, ended)
SELECT site, device,
    (SELECT started FROM windows WHERE windows.site = named.site AND windows.device = named.device
     ORDER BY ended, started LIMIT 1),
    (SELECT ended FROM windows WHERE windows.site = named.site AND windows.device = named.device
     ORDER BY ended DESC LIMIT 1)
FROM (SELECT DISTINCT site, device FROM places) AS named
WHERE EXISTS (SELECT 1 FROM windows
    WHERE windows.site = named.site AND windows.device = named.device)
ON CONFLICT (site, device) DO UPDATE SET started = excluded.started, ended = excluded.ended
"""


class Rules(NamedTuple):
    """How hours are added up."""

    min_people: int
    shift: int
    """By how much the time zone's hours are off whole ones, seconds."""

    def places(self, site: str, device: str, started: int, ended: int) -> set[Place]:
        """The hours that a window with these times has a part in."""
        hours = hourly.hours_between(started, ended, self.shift)
        return {(site, device, hour) for hour in hours}

    def parts(self, window: PublishedWindow) -> dict[HourKey, Sums]:
        """What a window adds to each of its hours."""
        return {
            (window.site, window.device, hour, window.model): hourly.part(
                window, hour, self.shift, self.min_people
            )
            for hour in hourly.hours_of(window, self.shift)
        }


def add_up(connection: Connection, places: Collection[Place], rules: Rules) -> None:
    """Write these hours, and from when to when their devices counted."""
    ordered = sorted(places)
    for start in range(0, len(ordered), MOST_PLACES):
        _add_up(connection, ordered[start : start + MOST_PLACES], rules)


def _add_up(connection: Connection, places: list[Place], rules: Rules) -> None:
    connection.create_temporary(
        "places",
        "site TEXT, device TEXT, hour BIGINT, after TEXT, latest TEXT, before TEXT",
    )
    connection.fill(
        "places", ("site", "device", "hour", "after", "latest", "before"),
        [(site, device, hour, iso(hour), iso(hour + HOUR_S + LONGEST_S), iso(hour + HOUR_S))
         for site, device, hour in places],
    )  # fmt: skip
    parts: dict[HourKey, list[Sums]] = {}
    for row in connection.execute(_EXPIRED).fetchall():
        parts.setdefault(row[:4], []).append(Sums(*row[4:]))
    for site, device, hour, message in connection.execute(_WINDOWS).fetchall():
        window = read_window(message)
        if hour in hourly.hours_of(window, rules.shift):
            part = hourly.part(window, hour, rules.shift, rules.min_people)
            parts.setdefault((site, device, hour, window.model), []).append(part)
    connection.execute(
        "DELETE FROM hours WHERE (site, device, hour) IN (SELECT site, device, hour FROM places)"
    )
    rows = [(*key, *hourly.add(added)) for key, added in parts.items()]
    connection.fill("hours", COLUMNS, rows)
    connection.execute(_SPANS)
