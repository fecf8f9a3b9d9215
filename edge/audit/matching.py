"""Compares what a person tapped with what was counted, by time alone.

Pure: time comes with the taps and the visits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.types import Visit

TOLERANCE_S = 5.0
"""Seconds by which a tap may come before or after the visit: people tap late, and see faces earlier
and longer than the camera."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One person whom somebody at the door saw."""

    moment: float
    """Seconds on the clock of the visits."""
    label: str
    """`female`, `male`, or `unknown` if the person could not tell."""


def matched(taps: Sequence[Tap], visits: Sequence[Visit]) -> int:
    """The most pairs of a tap and a visit that there can be, at most `TOLERANCE_S` apart.

    Each tap and each visit is in one pair at most.
    """
    free = sorted(taps, key=lambda tap: tap.moment)
    # the visit that ends first takes the earliest tap: this leaves most to the others
    for visit in sorted(visits, key=lambda visit: visit.end):
        tap = next((tap for tap in free if _may_be(tap, visit)), None)
        if tap is not None:
            free.remove(tap)
    return len(taps) - len(free)


def alone(taps: Sequence[Tap], visits: Sequence[Visit]) -> list[tuple[Tap, Visit]]:
    """The pairs of a tap and a visit that can be nobody else: no other of either is near.

    Of people who pass together it is not known who is who, so their genders cannot be compared.
    """
    pairs = [(tap, visit) for tap in taps for visit in visits if _may_be(tap, visit)]
    candidates = Counter(id(item) for pair in pairs for item in pair)
    return [pair for pair in pairs if all(candidates[id(item)] == 1 for item in pair)]


def _may_be(tap: Tap, visit: Visit) -> bool:
    return visit.start - TOLERANCE_S <= tap.moment <= visit.end + TOLERANCE_S
