"""Which windows of a device are there, as runs of consecutive numbers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tools.collection.connection import Connection

WindowKey = tuple[str, str, int]
"""Device, epoch and number."""
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
NAMES = ("device", "epoch", "first", "last")
COLUMNS = "device TEXT, epoch TEXT, first BIGINT, last BIGINT"
WITH_NEIGHBORS = """
SELECT * FROM touched
UNION
SELECT runs.* FROM (
    SELECT device, epoch, MIN(first) - 1 AS low, MAX(last) + 1 AS high
    FROM touched GROUP BY device, epoch
) AS span
CROSS JOIN runs
WHERE runs.device = span.device AND runs.epoch = span.epoch
    AND runs.last >= span.low AND runs.first <= span.high
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


def extend(connection: Connection, keys: Iterable[WindowKey]) -> None:
    """Note that windows are there that were not."""
    connection.create_temporary("touched", COLUMNS)
    connection.fill("touched", NAMES, [(*key, key[2]) for key in keys])
    numbers: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for device, epoch, first, last in connection.execute(WITH_NEIGHBORS).fetchall():
        numbers.setdefault((device, epoch), []).append((first, last))
    connection.execute("DELETE FROM touched")
    after = {epoch: joined(runs) for epoch, runs in numbers.items()}
    for epoch, runs in numbers.items():
        for first in {first for first, _ in runs} - {first for first, _ in after[epoch]}:
            connection.execute(
                "DELETE FROM runs WHERE device = ? AND epoch = ? AND first = ?", (*epoch, first)
            )
    connection.fill("touched", NAMES, [(*epoch, *run) for epoch, runs in after.items()
                                       for run in runs])  # fmt: skip
    connection.execute(
        "INSERT INTO runs (device, epoch, first, last) SELECT * FROM touched WHERE true "
        "ON CONFLICT (device, epoch, first) DO UPDATE SET last = excluded.last"
    )


def joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few runs as there can be, in order."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def gaps(connection: Connection, start: str, end: str, devices: Devices) -> list[Gap]:
    """What is missing of these devices between two times, oldest first."""
    rows = connection.execute(GAPS, (start, end)).fetchall()
    return [gap for gap in map(Gap._make, rows) if (gap.site, gap.device) in devices]
