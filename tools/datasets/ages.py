"""Years of age as the groups that people are counted in."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.types import AGE_GROUPS

Floats = npt.NDArray[np.floating[Any]]

STARTS = tuple(int(name.rstrip("+").split("-")[0]) for name in AGE_GROUPS)
"""The first year of each group."""


def group(years: int) -> int:
    """Index into `AGE_GROUPS`."""
    return int(np.searchsorted(STARTS, years, side="right")) - 1


def one_hot(years: int) -> Floats:
    """float (8,): 1 for the group of this age, 0 for the others."""
    return np.asarray(np.eye(len(AGE_GROUPS))[group(years)])


def smoothed(years: int) -> Floats:
    """float (8,): probability of each group in a normal distribution around this age.

    Age labels are estimates, so a face near the edge of a group belongs to both. X. Geng: Label
    Distribution Learning, IEEE TKDE 2016. The standard deviation grows with age, from half a year
    at birth to about 4 years at 60.
    """
    std = 0.5 + 0.06 * years
    bounds = [(start - 0.5 - years) / std for start in STARTS[1:]]
    cumulative = [0.0, *(0.5 * (1 + math.erf(bound / math.sqrt(2))) for bound in bounds), 1.0]
    return np.asarray(np.diff(cumulative))
