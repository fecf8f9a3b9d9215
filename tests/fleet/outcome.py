"""What became of the windows of a run."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from tests.fleet.devices import Record


@dataclass(frozen=True)
class Fault:
    """Something that went wrong on purpose; times are monotonic seconds."""

    what: str
    began: float
    ended: float
    moves: bool
    """Whether devices have another broker to go to meanwhile."""


@dataclass(frozen=True)
class Outcome:
    """Windows of all devices."""

    sent: int
    """Acknowledged by the broker, so deleted from the outbox."""
    kept: int
    """Still in the outboxes at the end."""
    lost: int
    """Acknowledged, but not recorded."""
    twice: int
    """Copies that a collector drops."""
    stuck: tuple[str, ...]
    """Devices that still have windows."""
    late_s: float
    """The longest time from a window's end to its acknowledgement."""

    @property
    def good(self) -> bool:
        return not self.lost and not self.stuck and self.sent > 0

    def __str__(self) -> str:
        verdict = "good" if self.good else "NOT GOOD"
        stuck = f": {', '.join(self.stuck[:10])}" if self.stuck else ""
        return (
            f"{verdict}: windows sent {self.sent}, kept {self.kept}, lost {self.lost}, "
            f"twice {self.twice}; devices stuck {len(self.stuck)}{stuck}"
        )


def judge(records: Mapping[str, Record], copies: Mapping[tuple[str, int], int]) -> Outcome:
    """Compare what devices delivered with what was recorded, by device and number."""
    sent = {(device, n) for device, record in records.items() for n in record.acknowledged}
    left = {device: len(r.made) - len(r.acknowledged) for device, r in records.items()}
    return Outcome(
        sent=len(sent),
        kept=sum(left.values()),
        lost=len(sent - copies.keys()),
        twice=sum(copies.values()) - len(copies),
        stuck=tuple(device for device, windows in left.items() if windows),
        late_s=max(
            (at - r.made[n - 1] for r in records.values() for n, at in r.acknowledged.items()),
            default=0.0,
        ),
    )


def waits(records: Mapping[str, Record], fault: Fault) -> list[float]:
    """Return for each device the seconds until its next window was taken; inf if none was.

    With another broker to go to: the next window made since the fault began. Without: any window,
    from the broker's return on.
    """
    since = fault.began if fault.moves else fault.ended
    found = []
    for record in records.values():
        times = [
            at - since
            for number, at in record.acknowledged.items()
            if at >= since and (not fault.moves or record.made[number - 1] >= since)
        ]
        found.append(min(times, default=float("inf")))
    return found


def describe(fault: Fault, found: list[float]) -> str:
    """Describe in a line how long devices waited for their next window."""
    since = "after it" if fault.moves else "after the return"
    return (
        f"{fault.what}, {fault.ended - fault.began:.0f} s: next window {since} "
        f"{statistics.median(found):.1f} s median, {max(found):.1f} s at most"
    )
