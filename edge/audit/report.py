"""How far the counts can be trusted at this door, with 95 % intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.audit.matching import Tap, alone, matched
from edge.audit_result import AuditResult
from edge.types import LABELS, UNKNOWN, Visit

Z = 1.959964
"""Quantile of the normal distribution for 95 %, two-sided."""
NAMES = {"female": "women", "male": "men"}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a number of people."""

    part: int
    whole: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % score interval of the probability behind it, 0 to 1.

        E. B. Wilson: Probable Inference, the Law of Succession, and Statistical Inference, JASA
        1927. It takes people for independent of each other; those who come in groups are not.
        """
        n = self.whole
        if n == 0:
            return 0.0, 1.0
        p = self.part / n
        middle = p + Z * Z / (2 * n)
        half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        scale = 1 + Z * Z / n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)

    def __str__(self) -> str:
        if self.whole == 0:
            return "0 of 0"
        low, high = self.interval
        percent = 100 * self.part / self.whole
        return (
            f"{self.part} of {self.whole}: {percent:.1f} % "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        )


@dataclass(frozen=True, slots=True)
class Gender:
    """How one of `LABELS` was counted."""

    tapped: int
    counted: int
    right: Share
    """Of those tapped so who came alone and were given a gender, those who were given this one."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of an audit."""

    missed: Share
    """Of the people tapped, those who were not counted."""
    invented: Share
    """Of the people counted, those whom nobody tapped."""
    genders: dict[str, Gender]
    """By label."""
    unknown: Share
    """Of the women and men who came alone, those who were given no gender."""

    def result(self, at: str) -> AuditResult:
        """What is kept of it; it ended `at` this time, ISO 8601 in UTC."""
        return AuditResult(
            at, self.missed.whole, self.invented.whole, self.missed.part, self.invented.part
        )

    def lines(self, *, gender: bool) -> list[str]:
        """The report in words; with `gender` also how often that was right."""
        lines = [
            f"people    {self.missed.whole} tapped, {self.invented.whole} counted",
            f"missed    {self.missed}",
            f"invented  {self.invented}",
        ]
        if gender:
            lines += [
                f"{NAMES[label]:<8}  {counts.tapped} tapped, {counts.counted} counted; "
                f"of those alone right {counts.right}"
                for label, counts in self.genders.items()
            ]
            lines.append(f"unknown   of those alone {self.unknown}")
        return lines


def report(taps: Sequence[Tap], visits: Sequence[Visit]) -> Report:
    """Compare what was tapped with what was counted."""
    pairs = matched(taps, visits)
    calls = [(tap.label, visit.label) for tap, visit in alone(taps, visits) if tap.label in LABELS]
    genders = {}
    for label in LABELS:
        called = [call for tapped, call in calls if tapped == label and call != UNKNOWN]
        genders[label] = Gender(
            tapped=sum(tap.label == label for tap in taps),
            counted=sum(visit.label == label for visit in visits),
            right=Share(called.count(label), len(called)),
        )
    return Report(
        missed=Share(len(taps) - pairs, len(taps)),
        invented=Share(len(visits) - pairs, len(visits)),
        genders=genders,
        unknown=Share(sum(call == UNKNOWN for _, call in calls), len(calls)),
    )
