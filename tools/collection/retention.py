"""Deletes old windows; what they added to their hours stays.

What a deleted window was part of is kept in `expired_hours`, in the same transaction, and added to
each hour with the windows that are still there. `runs` still knows its number: the same window is
not counted again, and one that never came before is counted, however late.

Three kinds of windows stay: those beside a gap, of which what is missing is known; those of the
earliest and the latest time of a device, which corrected clocks may have put anywhere among its
numbers; and those whose device's clock was not set yet, because their times may be wrong.
"""

from tools.collection import hourly
from tools.collection.connection import Connection
from tools.collection.hourly import Sums
from tools.collection.published import read_window
from tools.collection.rollup import COLUMNS, HourKey, Rules
from tools.collection.runs import WindowKey

_OLD = """
SELECT device, epoch, seq, message FROM windows
WHERE ended < ? AND time_synced = 1 AND NOT EXISTS (
    SELECT 1 FROM runs WHERE runs.device = windows.device AND runs.epoch = windows.epoch
        AND (runs.first = windows.seq OR runs.last = windows.seq)
) AND NOT EXISTS (
    SELECT 1 FROM spans WHERE spans.site = windows.site AND spans.device = windows.device
        AND (spans.started = windows.started OR spans.ended = windows.ended)
)
ORDER BY ended LIMIT ?
"""
_UPSERT = (
    f"INSERT INTO expired_hours ({', '.join(COLUMNS)}) "
    f"VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (site, device, hour, model) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in Sums._fields)}"
)


def expire(connection: Connection, before: str, most: int, rules: Rules) -> int:
    """Delete windows that ended `before` a time of the table, `most` at once; returns how many."""
    rows = connection.execute(_OLD, (before, most)).fetchall()
    parts: dict[HourKey, list[Sums]] = {}
    for *_, message in rows:
        for key, part in rules.parts(read_window(message)).items():
            parts.setdefault(key, []).append(part)
    for key, added in parts.items():
        known = connection.execute(
            f"SELECT {', '.join(Sums._fields)} FROM expired_hours "
            "WHERE site = ? AND device = ? AND hour = ? AND model = ?",
            key,
        ).fetchone()
        together = hourly.add([*added, *([Sums(*known)] if known else [])])
        connection.execute(_UPSERT, (*key, *together))
    _delete(connection, [(device, epoch, seq) for device, epoch, seq, _ in rows])
    return len(rows)


def _delete(connection: Connection, keys: list[WindowKey]) -> None:
    connection.create_temporary("expired", "device TEXT, epoch TEXT, seq BIGINT")
    connection.fill("expired", ("device", "epoch", "seq"), keys)
    connection.execute(
        "DELETE FROM windows WHERE (device, epoch, seq) IN (SELECT device, epoch, seq FROM expired)"
    )
