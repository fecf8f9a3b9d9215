"""Fits the error of counts to the conditions that they were made in, and checks such a fit."""

import math
from collections.abc import Sequence

import numpy as np

from edge.expected_error import ErrorModel
from tools.evaluation import logistic
from tools.evaluation.error_counts import Count
from tools.evaluation.logistic import Vector

FEATURES = ("fps", "light", "face_px", "crowding")
"""Conditions that the error depends on."""
SIGNS = {"missed": (-1, -1, -1, 1), "surplus": (-1, 0, 0, 1)}
"""Which sign the slope of each may have; 0 for either. More frames, light and pixels never hide
anybody, whatever a few films say by chance."""
SLOPE_SD = 0.5
"""Standard deviation of the slopes expected beforehand, per standard deviation of the logarithm of
a condition: keeps slopes that few films determine near 0."""
MIN_SPREAD, MAX_SPREAD = 0.002, 0.5
"""Bounds of the correlation of the errors in one film."""


def typical(counts: Sequence[Count]) -> dict[str, float]:
    """The geometric mean of each condition."""
    means = np.exp(_logarithms(counts).mean(axis=0))
    return dict(zip(FEATURES, map(float, means), strict=True))


def ranges(counts: Sequence[Count]) -> dict[str, tuple[float, float]]:
    """The lowest and the highest value of each condition."""
    values = np.exp(_logarithms(counts))
    bounds = zip(values.min(axis=0), values.max(axis=0), strict=True)
    return {name: (float(a), float(b)) for name, (a, b) in zip(FEATURES, bounds, strict=True)}


def fit(counts: Sequence[Count], kind: str, center: dict[str, float]) -> ErrorModel:
    """The likeliest model of one kind of error; its spread is what films show that it has not seen.

    Slopes come from all films; the spread from how far each film is from what the others make
    expect, so that it has the uncertainty of the slopes in it.
    """
    films = np.array([count.film for count in counts])
    x, (errors, numbers) = _design(counts, center), _errors(counts, kind)
    weights = _estimate(x, errors, numbers, SIGNS[kind])
    left_out = np.empty(len(counts))
    for film in set(films):
        rest = films != film
        others = _estimate(x[rest], errors[rest], numbers[rest], SIGNS[kind])
        left_out[~rest] = logistic.probability(x[~rest], others)
    spread = _likeliest_spread(left_out, errors, numbers)
    slopes = dict(zip(FEATURES, map(float, weights[1:]), strict=True))
    return ErrorModel(slopes, float(weights[0]), spread)


def _logarithms(counts: Sequence[Count]) -> Vector:
    return np.log([[getattr(count.conditions, name) for name in FEATURES] for count in counts])


def _design(counts: Sequence[Count], center: dict[str, float]) -> Vector:
    x = _logarithms(counts) - np.log([center[name] for name in FEATURES])
    return np.column_stack([np.ones(len(x)), x])


def _errors(counts: Sequence[Count], kind: str) -> tuple[Vector, Vector]:
    pairs = np.array([count.errors[kind] for count in counts], float)
    return pairs[:, 0], pairs[:, 1]


def _estimate(x: Vector, errors: Vector, numbers: Vector, signs: Sequence[int]) -> Vector:
    """The weights of a logistic regression, one per column of `x`, as far as `signs` allow."""
    free = np.ones(x.shape[1], bool)
    while True:
        weights = np.zeros(x.shape[1])
        weights[free] = logistic.weights(x[:, free], errors, numbers, SLOPE_SD)
        wrong = weights * (0, *signs) < 0
        if not wrong.any():
            return weights
        free &= ~wrong


def _likeliest_spread(shares: Vector, errors: Vector, numbers: Vector) -> float:
    from scipy.optimize import minimize_scalar  # slow to import

    best = minimize_scalar(
        lambda value: -_log_likelihood(shares, _spread(value), errors, numbers),
        bounds=(-10, 10),
        method="bounded",
    )
    return _spread(best.x)


def _spread(value: float) -> float:
    """Any number as a spread between the bounds."""
    return MIN_SPREAD + (MAX_SPREAD - MIN_SPREAD) / (1 + math.exp(-value))


def _log_likelihood(shares: Vector, spread: float, errors: Vector, numbers: Vector) -> float:
    """Of a beta-binomial distribution, without what does not depend on the parameters."""
    from scipy.special import betaln

    a, b = (np.maximum(part, 1e-6) * (1 / spread - 1) for part in (shares, 1 - shares))
    return float(np.sum(betaln(errors + a, numbers - errors + b) - betaln(a, b)))
