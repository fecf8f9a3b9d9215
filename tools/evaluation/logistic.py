"""Logistic regression, which few data do not lead astray."""

import math

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
"""float64 array of one or two dimensions."""
MIN_SCALE = 0.05
"""Least standard deviation of a column to reckon with."""
MAX_STEPS = 50
"""Of Newton's method, which takes about six."""


def weights(x: Vector, events: Vector, numbers: Vector, slope_sd: float) -> Vector:
    """The likeliest weight of each column of `x`, n x m, whose first column is all 1.

    `events` is how often it happened in each row, of `numbers` times. `slope_sd` is the standard
    deviation of the slopes expected beforehand, per standard deviation of a column: it keeps those
    near 0 that the data do not determine.
    """
    # a column that never changes says nothing, and must not make the equations singular
    scale = np.maximum(x[:, 1:].std(axis=0), MIN_SCALE)
    penalty = np.diag([0.0, *(scale / slope_sd) ** 2])
    rate = (events.sum() + 0.5) / (numbers.sum() + 1)
    found = np.array([math.log(rate / (1 - rate)), *[0.0] * (x.shape[1] - 1)])
    for _ in range(MAX_STEPS):
        p = probability(x, found)
        gradient = x.T @ (events - numbers * p) - penalty @ found
        curvature = (x.T * (numbers * p * (1 - p))) @ x + penalty
        step = np.linalg.solve(curvature, gradient)
        found += step
        if np.abs(step).max() < 1e-6:
            break
    return found


def probability(x: Vector, weights: Vector) -> Vector:
    """That it happens, for each row of `x`."""
    return np.asarray(1 / (1 + np.exp(-x @ weights)))
