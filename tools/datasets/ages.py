"""Years of age and the groups that people are counted in."""

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


def exact(years: int) -> Floats:
    """1 for the group of this age, 0 for the others."""
    return np.asarray(np.eye(len(AGE_GROUPS))[group(years)])


def blurred(years: int) -> Floats:
    """The share of each group in a normal distribution around this age; they add up to 1.

    Nobody's face tells the year, and the labels are estimates themselves: what lies near the end of
    a group belongs to both. X. Geng: Label Distribution Learning, IEEE TKDE 2016. The standard
    deviation grows with age, from half a year to about 4 years at 60.
    """
    spread = 0.5 + 0.06 * years
    ends = [(start - 0.5 - years) / spread for start in STARTS[1:]]
    below = [0.0, *(0.5 * (1 + math.erf(end / math.sqrt(2))) for end in ends), 1.0]
    return np.asarray(np.diff(below))
