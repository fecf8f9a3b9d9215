"""Estimates how wrong counts are in the conditions in which they were made. Pure.

A beta-binomial regression (D. A. Williams: The Analysis of Binary Responses from Toxicological
Experiments, Biometrics 1975) on the logarithms of the conditions: the fraction of people who are
missed differs from scene to scene by more than chance, even in the same conditions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge import expected_error_fit as fit
from edge.conditions import Conditions

MIN_PEOPLE = 24
"""Fewest people of whom the error is estimated: the range of fewer would be of little use."""
LEVEL = 0.9
"""Probability with which the true fraction lies in the range."""
TOLERANCE = 1.1
"""Conditions may exceed those of the fit by this factor."""


@dataclass(frozen=True, slots=True)
class ExpectedShare:
    """A fraction that is not known, 0 to 1."""

    share: float
    """Its mean over scenes in such conditions."""
    low: float
    high: float
    """Between these it lies with probability `LEVEL`."""


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """How the log odds of an error depend on the conditions."""

    slopes: Mapping[str, float]
    """Per unit of ln(condition / typical)."""
    intercept: float
    """In typical conditions."""
    spread: float
    """Correlation of the errors in one scene, above 0 and below 1."""

    def share(self, conditions: Conditions) -> float:
        """The mean share in such conditions."""
        log_odds = self.intercept + sum(
            slope * math.log(getattr(conditions, name) / fit.TYPICAL[name])
            for name, slope in self.slopes.items()
        )
        return 1 / (1 + math.exp(-log_odds))

    def expect(self, conditions: Conditions, number: int) -> ExpectedShare:
        """The share among `number` people, 1 or more, in such conditions."""
        share = self.share(conditions)
        low, high = (
            _quantile(share, self.spread, number, level)
            for level in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        )
        return ExpectedShare(share, low / number, high / number)


MISSED = ErrorModel(fit.MISSED, fit.MISSED_TYPICAL, fit.MISSED_SPREAD)
"""People who are not counted, of all people."""
SURPLUS = ErrorModel(fit.SURPLUS, fit.SURPLUS_TYPICAL, fit.SURPLUS_SPREAD)
"""Visits of nobody, or of somebody who was counted already, of all visits."""


def outside(conditions: Conditions) -> list[str]:
    """The conditions in which the error was never measured, by name."""
    return [
        name
        for name, (low, high) in fit.RANGES.items()
        if not low / TOLERANCE <= getattr(conditions, name) <= high * TOLERANCE
    ]


def report(conditions: Conditions) -> dict[str, Any]:
    """The values for the `health` topic; `missed` and `surplus` are None outside of the fit."""
    values: dict[str, Any] = {
        "people": conditions.people,
        "fps": round(conditions.fps, 1),
        "light": round(conditions.light),
        "face_px": round(conditions.face_px),
        "crowding": round(conditions.crowding, 1),
        "missed": None,
        "surplus": None,
        "outside": outside(conditions),
    }
    if not values["outside"]:
        people = people_of(conditions)
        values["missed"] = _rounded(MISSED.expect(conditions, people))
        values["surplus"] = _rounded(SURPLUS.expect(conditions, conditions.people))
    return values


def people_of(conditions: Conditions) -> int:
    """How many people there probably were, for those who were counted."""
    share = (1 - SURPLUS.share(conditions)) / (1 - MISSED.share(conditions))
    return max(1, round(conditions.people * share))


def _rounded(share: ExpectedShare) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(share).items()}


def _quantile(share: float, spread: float, number: int, level: float) -> int:
    """The smallest number of errors that is not exceeded with probability `level`."""
    total = 0.0
    for errors, probability in enumerate(_distribution(share, spread, number)):
        total += probability
        if total >= level:
            return errors
    return number


def _distribution(share: float, spread: float, number: int) -> Iterator[float]:
    """Probabilities of 0, 1, ... `number` errors: the beta-binomial distribution."""
    a, b = (part * (1 / spread - 1) for part in (share, 1 - share))
    for errors in range(number + 1):
        yield math.exp(
            math.lgamma(number + 1)
            - math.lgamma(errors + 1)
            - math.lgamma(number - errors + 1)
            + _log_beta(errors + a, number - errors + b)
            - _log_beta(a, b)
        )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
