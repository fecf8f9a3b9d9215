"""Fits a model's line between women and men, its certainty, and the balance of its age groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.conversion.output_scaling import Scaling
from tools.evaluation import logistic

Vector = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]
Shift = npt.NDArray[np.floating[Any]]
"""What is added to the log odds of each group."""

WEAK = 100.0
"""Standard deviation expected beforehand of a slope that is to be left to the data."""
MIN_SCALE = 0.2
"""Least scale of genders: 300 answers drawn by lot have one below it."""
MAX_EVENNESS, EVENNESS_STEP = 1.0, 0.05
MAX_COST = 0.01
"""Fraction of the ages that may be wrong in addition, for the sake of even groups."""
TEMPERATURES = 0.25, 4.0
"""Bounds of what the log odds of ages are multiplied by."""


def platt_scaling(log_odds: Vector, male: Vector, weights: Vector) -> Scaling | None:
    """The scaling of log odds with which they say how often faces are labelled male.

    All arrays are (n,); `male` is 0 or 1. J. Platt: Probabilistic Outputs for Support Vector
    Machines, 1999, with the labels as softened there, which bounds the scale of faces that a
    model tells without a mistake. None if the model is hardly better than chance.
    """
    men, women = (weights @ (male == label) for label in (1, 0))
    target = np.where(male == 1, (men + 1) / (men + 2), 1 / (women + 2))
    columns = np.column_stack([np.ones(len(log_odds)), log_odds])
    shift, scale = logistic.weights(columns, weights * target, weights, WEAK)
    return Scaling(float(scale), np.array([shift], np.float32)) if scale >= MIN_SCALE else None


@dataclass(frozen=True, slots=True)
class Ages:
    """Ages of one data set: log odds, float64 (n, groups), and the labelled groups, (n,)."""

    log_odds: Vector
    groups: Integers

    def called(self, shift: Shift) -> Integers:
        """The likeliest group of each face, with a shift of the log odds."""
        return np.asarray((self.log_odds + shift).argmax(axis=1))

    def right(self, shift: Shift) -> float:
        """Fraction of the faces that are called what they are labelled."""
        return float((self.called(shift) == self.groups).mean())

    def share_error(self, shift: Shift) -> float:
        """Total variation distance of the groups' shares, as called and as labelled, 0 to 1."""
        numbers = self.log_odds.shape[1]
        called = np.bincount(self.called(shift), minlength=numbers)
        labelled = np.bincount(self.groups, minlength=numbers)
        return float(np.abs(called - labelled).sum()) / 2 / len(self.groups)


def even_ages(sets: list[Ages]) -> tuple[float, Scaling]:
    """How far to even the groups, 0 to 1, and the scaling that does it.

    A network prefers the groups that it saw most: the shares that it counts are nearest to the
    truth if its log odds are lowered by a part of the logarithm of each group's frequency
    (A. Menon et al.: Long-tail Learning via Logit Adjustment, ICLR 2021). Larger data sets weigh
    more. The scale is that of the least loss (C. Guo et al.: On Calibration of Modern Neural
    Networks, ICML 2017).
    """
    from scipy.optimize import minimize_scalar  # slow to import

    sizes = np.array([len(ages.groups) for ages in sets]) / sum(len(ages.groups) for ages in sets)
    log_odds = np.concatenate([ages.log_odds for ages in sets])
    groups = np.concatenate([ages.groups for ages in sets])
    preference = -np.log(_softmax(log_odds).mean(axis=0))
    none = np.zeros_like(preference)
    least = sizes @ [ages.right(none) for ages in sets] - MAX_COST
    choices = []
    for evenness in np.arange(0, MAX_EVENNESS + EVENNESS_STEP / 2, EVENNESS_STEP):
        shift = evenness * preference
        if sizes @ [ages.right(shift) for ages in sets] >= least:
            error = float(sizes @ [ages.share_error(shift) for ages in sets])
            choices.append((error, float(evenness)))
    evenness = min(choices)[1]
    shift = evenness * preference

    def loss(scale: float) -> float:
        p = _softmax(scale * (log_odds + shift))[np.arange(len(groups)), groups]
        return float(-np.log(np.maximum(p, 1e-9)).mean())

    scale = float(minimize_scalar(loss, bounds=TEMPERATURES).x)
    return evenness, Scaling(scale, np.asarray(scale * shift, np.float32))


def _softmax(log_odds: Vector) -> Vector:
    powers = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
