"""Ages: how tables write them, and the groups that people are counted in."""

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.types import AGE_GROUPS
from tools.datasets.archive import DataError

Floats = npt.NDArray[np.floating[Any]]

STARTS = tuple(int(name.rstrip("+").split("-")[0]) for name in AGE_GROUPS)
"""First year of age of each group."""

NUMBER = r"(\d+(?:[.,]\d+)?)"
UNIT = r"(?:\s*(?:years?|yrs?|y)(?:\s+old)?)?"
SINGLE = re.compile(rf"(?:more than|over|>=?)?\s*{NUMBER}{UNIT}\s*(?:\+|and over|or older)?")
RANGE = re.compile(rf"{NUMBER}\s*(?:-|\u2013|to)\s*{NUMBER}{UNIT}")
PAIR = re.compile(r"[(\[]\s*(\d+(?:\.\d+)?)\s*[,;]\s*(\d+(?:\.\d+)?)\s*[)\]]")
AMBIGUOUS = re.compile(r"(\d+),(\d{2,})")
"""`25,32` may be a number with a decimal comma, or `25, 32` without its brackets."""


def parse(text: str, where: str) -> int | None:
    """`27`, `27,5`, `20-29`, `(25, 32)` or `more than 70` in years; the middle of a range.

    None for a word, an empty cell, or a negative number, which some tables use for "unknown".
    Raises DataError for anything else, beginning with `where`.
    """
    text = text.strip().lower()
    if not re.search(r"\d", text) or re.fullmatch(r"-\s*\d+([.,]\d+)?", text):
        return None
    ambiguous = AMBIGUOUS.fullmatch(text)
    match = SINGLE.fullmatch(text) or RANGE.fullmatch(text) or PAIR.fullmatch(text)
    if match is None or (ambiguous and int(ambiguous[2]) >= int(ambiguous[1]) > 0):
        raise DataError(f"{where}: age {text!r} must be in years, such as 27, 27.5 or 20-29")
    numbers = [float(number.replace(",", ".")) for number in match.groups()]
    return int(sum(numbers) / len(numbers))


def group(years: int) -> int:
    """Index into `AGE_GROUPS`."""
    return int(np.searchsorted(STARTS, years, side="right")) - 1


def one_hot(years: int) -> Floats:
    """float (8,): 1 for the group of this age, 0 for all others."""
    return np.asarray(np.eye(len(AGE_GROUPS))[group(years)])


def smoothed(years: int) -> Floats:
    """float (8,): probability of each group under a normal distribution around this age.

    Age labels are estimates, so a face near the edge of a group belongs to both. X. Geng: Label
    Distribution Learning, IEEE TKDE 2016. The standard deviation grows with age, from half a year
    at birth to about 4 years at 60.
    """
    std = 0.5 + 0.06 * years
    bounds = [(start - 0.5 - years) / std for start in STARTS[1:]]
    cumulative = [0.0, *(0.5 * (1 + math.erf(bound / math.sqrt(2))) for bound in bounds), 1.0]
    return np.asarray(np.diff(cumulative))
