"""Which windows of a device are there, as runs of consecutive numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from tools.collection.database import Connection

Devices = Sequence[tuple[str, str]]
"""Site and name of each."""

GAPS = """
SELECT after.site, device, before.ended, after.started, after.seq - before.seq - 1,
    after.people_ever - after.people - before.people_ever
FROM (
    SELECT device, epoch, first, lag(last) OVER (PARTITION BY device, epoch ORDER BY first) AS last
    FROM runs
) AS gap
JOIN windows AS after USING (device, epoch)
JOIN windows AS before USING (device, epoch)
WHERE gap.last IS NOT NULL AND after.seq = gap.first AND before.seq = gap.last
    AND after.started >= ? AND before.ended < ?
ORDER BY before.ended
"""


class Gap(NamedTuple):
    """Windows that never came."""

    site: str
    device: str
    start: str
    """End of the last window before, as the table has it."""
    end: str
    windows: int
    people: int
    """In these windows, from the totals of their neighbors."""


def extend(connection: Connection, device: str, epoch: str, seq: int) -> None:
    """Note that a window is there that was not."""
    before = connection.execute(
        "SELECT first FROM runs WHERE device = ? AND epoch = ? AND first < ? "
        "ORDER BY first DESC LIMIT 1",
        (device, epoch, seq),
    ).fetchone()
    first, last = seq, seq
    joined = (
        before
        and connection.execute(
            "SELECT 1 FROM runs WHERE device = ? AND epoch = ? AND first = ? AND last = ?",
            (device, epoch, before[0], seq - 1),
        ).fetchone()
    )
    if joined:
        first = before[0]
    after = connection.execute(
        "SELECT last FROM runs WHERE device = ? AND epoch = ? AND first = ?",
        (device, epoch, seq + 1),
    ).fetchone()
    if after:
        last = after[0]
        connection.execute(
            "DELETE FROM runs WHERE device = ? AND epoch = ? AND first = ?",
            (device, epoch, seq + 1),
        )
    connection.execute(
        "INSERT INTO runs (device, epoch, first, last) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (device, epoch, first) DO UPDATE SET last = excluded.last",
        (device, epoch, first, last),
    )


def gaps(connection: Connection, start: str, end: str, devices: Devices) -> list[Gap]:
    """What is missing of these devices between two times, oldest first."""
    rows = connection.execute(GAPS, (start, end)).fetchall()
    return [gap for gap in map(Gap._make, rows) if (gap.site, gap.device) in devices]
