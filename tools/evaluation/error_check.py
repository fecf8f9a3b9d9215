"""Checks an expected error of counts against films that it was not fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.expected_error import ErrorModel, outside, people_of
from tools.evaluation.error_counts import Count

GROUPS = 3
ROUNDING = 0.0005
"""Of the shares that are published."""


@dataclass(frozen=True, slots=True)
class Group:
    """Replays of which about the same error was expected."""

    replays: int
    expected: float
    """Share of errors, of all people or visits together."""
    observed: float
    covered: int
    """Replays whose error lies within the range that was expected."""
    promised: float
    """How many these should be: whole numbers of people cannot give a range of exactly 90 %."""


def by_expectation(model: ErrorModel, counts: Sequence[Count], kind: str) -> list[Group]:
    """`GROUPS` groups of counts, from those of which the least error was expected; then all."""
    order = sorted(counts, key=lambda count: model.share(count.conditions))
    size = -(-len(order) // GROUPS)
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [_group(model, part, kind) for part in (*parts, order)]


def inside(counts: Sequence[Count]) -> list[Count]:
    """Those in conditions that the fit knows."""
    return [count for count in counts if not outside(count.conditions)]


def _group(model: ErrorModel, counts: Sequence[Count], kind: str) -> Group:
    expected, covered, promised = 0.0, 0, 0.0
    for count in counts:
        errors, number = count.errors[kind]
        # the daemon does not know how many people there were
        believed = people_of(count.conditions) if kind == "missed" else count.conditions.people
        share = model.expect(count.conditions, believed)
        expected += number * share.share
        covered += share.low - ROUNDING <= errors / number <= share.high + ROUNDING
        promised += _probability(model, share.share, believed, share.low, share.high)
    errors = sum(count.errors[kind][0] for count in counts)
    number = sum(count.errors[kind][1] for count in counts)
    return Group(len(counts), expected / number, errors / number, covered, promised)


def _probability(model: ErrorModel, share: float, number: int, low: float, high: float) -> float:
    """Of errors of this share between `low` and `high`, both included."""
    from scipy.stats import betabinom  # slow to import

    a, b = (part * (1 / model.spread - 1) for part in (share, 1 - share))
    distribution = betabinom(number, a, b)
    return float(distribution.cdf(round(high * number)) - distribution.cdf(round(low * number) - 1))
