"""Keeps windows that arrive together, each once, whatever arrives again."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from edge.delivery.messages import iso
from tools.collection import rollup, runs
from tools.collection.connection import Connection
from tools.collection.published import PublishedWindow
from tools.collection.rollup import Place, Rules
from tools.collection.runs import WindowKey
from tools.collection.schema import WINDOW_COLUMNS, WINDOW_TYPES

# it is there, and it is the same or has a better time
_KNOWN = """
DELETE FROM arrived WHERE EXISTS (
    SELECT 1 FROM windows WHERE windows.device = arrived.device
        AND windows.epoch = arrived.epoch AND windows.seq = arrived.seq
        AND (windows.message = arrived.message OR windows.time_synced > arrived.time_synced)
)
"""
# it was there, was added up and deleted; a window that never came is in no run
_EXPIRED = """
DELETE FROM arrived WHERE EXISTS (
    SELECT 1 FROM runs WHERE runs.device = arrived.device AND runs.epoch = arrived.epoch
        AND runs.first <= arrived.seq AND runs.last >= arrived.seq
) AND NOT EXISTS (
    SELECT 1 FROM windows WHERE windows.device = arrived.device
        AND windows.epoch = arrived.epoch AND windows.seq = arrived.seq
)
"""
_LEFT = """
SELECT arrived.device, arrived.epoch, arrived.seq,
    windows.site, windows.started, windows.ended
FROM arrived LEFT JOIN windows ON windows.device = arrived.device
    AND windows.epoch = arrived.epoch AND windows.seq = arrived.seq
"""
_UPSERT = (
    f"INSERT INTO windows ({', '.join(WINDOW_COLUMNS)}) "
    f"SELECT {', '.join(WINDOW_COLUMNS)} FROM arrived WHERE true "
    "ON CONFLICT (device, epoch, seq) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in WINDOW_COLUMNS)}"
)


def keep(
    connection: Connection, messages: Iterable[tuple[PublishedWindow, str]], rules: Rules
) -> None:
    """Keep windows with their JSON, and add up the hours that they change."""
    newest = _newest(messages)
    connection.create_temporary("arrived", WINDOW_TYPES)
    connection.fill(
        "arrived", WINDOW_COLUMNS, [columns(window, text) for window, text in newest.values()]
    )
    connection.execute(_KNOWN)
    connection.execute(_EXPIRED)
    places: set[Place] = set()
    added: list[WindowKey] = []
    for device, epoch, seq, old_site, old_start, old_end in connection.execute(_LEFT).fetchall():
        window, _ = newest[device, epoch, seq]
        places |= rules.places(window.site, device, window.started, window.ended)
        if old_site is None:
            added.append(window.key)
        else:
            places |= rules.places(old_site, device, seconds(old_start), seconds(old_end))
    if not places:
        return
    connection.execute(_UPSERT)
    runs.extend(connection, added)
    rollup.add_up(connection, places, rules)


def _newest(
    messages: Iterable[tuple[PublishedWindow, str]],
) -> dict[WindowKey, tuple[PublishedWindow, str]]:
    """Each window once: the last copy of those with the best time."""
    newest: dict[WindowKey, tuple[PublishedWindow, str]] = {}
    for window, message in messages:
        known = newest.get(window.key)
        if known is None or window.time_synced >= known[0].time_synced:
            newest[window.key] = (window, message)
    return newest


def columns(window: PublishedWindow, message: str) -> Sequence[Any]:
    """A row of table `windows`."""
    people = window.people
    return (
        window.site, window.device, window.epoch, window.seq, iso(window.started),
        iso(window.ended), window.window.seconds, int(window.time_synced), int(window.replayed),
        people.total, people.female, people.male, window.presence.peak, window.presence.mean,
        window.coverage, window.totals.total, window.model, window.dwell_s.get("mean"),
        (window.attention_s or {}).get("mean"), message,
    )  # fmt: skip


def seconds(stamp: str) -> int:
    """Since 1970, of a time in the tables."""
    return int(datetime.fromisoformat(stamp).astimezone(UTC).timestamp())
