"""Women and men among the people counted, corrected for the classifier's errors, with intervals.

The estimate inverts the confusion matrix (W. J. Rogan, B. Gladen: Estimating prevalence from the
results of a screening test, Am. J. Epidemiol. 107, 1978). Of W women and M men about W a_f + M b_f
are called female and W a_m + M b_m male, where a and b are the rates of the women and the men among
the test faces. The estimate is the W at which the two are in the same ratio as the calls. So people
called unknown are divided as the rates suggest, but need not be as many as among the test faces.

The 95 % interval has every W that a score test does not reject. As in Z. Lang, J. Reiczigel:
Confidence limits for prevalence of disease adjusted for estimated sensitivity and specificity,
Prev. Vet. Med. 113, 2014, its variance includes that of the matrix, with two faces added to each
row. Unlike theirs it is about the people who were counted, not a population that they come from: W
is a fixed number, and only the calls are random.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

Z = 1.959964
"""Standard deviations to either side of the middle that hold 95 % of a normal distribution."""
ADDED_FACES = 2
"""Faces added to each row of the matrix, a third to each column, so that no rate is exactly 0."""
MIN_CALLED = 30
"""Fewest people called female or male whose number is corrected."""
MIN_FACES = 50
"""Fewest test faces of each gender called female or male."""


class Row(NamedTuple):
    """People or faces by what they are called."""

    female: int
    male: int
    unknown: int

    @property
    def called(self) -> int:
        return self.female + self.male


class Estimate(NamedTuple):
    """Women among `people`, who are women and men; the limits are of the 95 % interval."""

    people: int
    women: int
    low: int
    high: int
    unknown: float
    """How many of the people would be called unknown if they were like the test faces."""


class Matrix(NamedTuple):
    """The errors of one model at one `min_confidence`."""

    model: str
    min_confidence: float
    data: str
    split: str
    women: Row
    men: Row


class NoEstimate(Exception):  # noqa: N818  # a reason, not a fault
    """Why the people cannot be corrected."""


def correct(people: Row, women: Row, men: Row) -> Estimate:
    """The women among `people`, from the calls of test faces of `women` and `men`.

    Raises NoEstimate if there are too few of them, or if the calls hardly depend on the gender.
    """
    if people.called < MIN_CALLED:
        raise NoEstimate(f"fewer than {MIN_CALLED} called women or men")
    if min(women.called, men.called) < MIN_FACES:
        raise NoEstimate(f"the matrix has fewer than {MIN_FACES} women or men")
    if not _is_useful(women, men):
        raise NoEstimate("the matrix tells women from men no better than chance")
    total = sum(people)
    a, b = _Rates.of(women), _Rates.of(men)
    # multiples of the women and the men, from the inverse matrix
    of_women = max(0.0, people.female * b.male - people.male * b.female)
    of_men = max(0.0, people.male * a.female - people.female * a.male)
    estimate = round(total * of_women / (of_women + of_men))

    def score(number: int) -> float:
        return _score(people, ((number, a), (total - number, b)))

    low = bisect_left(range(total + 1), -Z, key=score)
    high = bisect_right(range(total + 1), Z, key=score) - 1
    called = estimate * (a.female + a.male) + (total - estimate) * (b.female + b.male)
    return Estimate(total, estimate, min(low, estimate), max(high, estimate), total - called)


def correct_together(
    counts: Iterable[tuple[str | None, Matrix | None, Row]],
) -> tuple[Estimate | None, list[str]]:
    """The women among people whom several devices counted, each with its model and its matrix.

    Also what the estimate rests on, and whom it leaves out, one line each. None if nobody can be
    corrected.
    """
    # devices with the same matrix share its error: they are corrected together
    groups: dict[tuple[str | None, Matrix | None], list[Row]] = {}
    for model, matrix, people in counts:
        if sum(people):
            groups.setdefault((model, matrix), []).append(people)
    estimates, notes = [], []
    for (model, matrix), rows in groups.items():
        total = Row(*map(sum, zip(*rows, strict=True)))
        try:
            if matrix is None:
                raise NoEstimate(f"no matrix of {model or 'their model, which was not kept'}")
            estimates.append(correct(total, matrix.women, matrix.men))
            notes.append(_source(matrix))
        except NoEstimate as reason:
            notes.append(f"not corrected: {sum(total)} people: {reason}")
    if not estimates:
        return None, notes
    # limits are added up, which is never too narrow, however the matrices' errors are related
    everybody, women, low, high, unknown = map(sum, zip(*estimates, strict=True))
    return Estimate(int(everybody), int(women), int(low), int(high), unknown), notes


def _source(matrix: Matrix) -> str:
    faces = sum(matrix.women) + sum(matrix.men)
    return (
        f"matrix     {matrix.model} at min_confidence {matrix.min_confidence:g}: "
        f"{faces} faces of {matrix.data}, split {matrix.split}"
    )


class _Rates(NamedTuple):
    """How often test faces of one gender are called female and male, 0 to 1."""

    female: float
    male: float
    padded: tuple[float, float]
    """The same two with `ADDED_FACES`, for variances."""
    faces: int

    @classmethod
    def of(cls, row: Row) -> "_Rates":
        faces, padded = sum(row), sum(row) + ADDED_FACES
        female, male = ((calls + ADDED_FACES / 3) / padded for calls in row[:2])
        return cls(row.female / faces, row.male / faces, (female, male), faces)


def _is_useful(women: Row, men: Row) -> bool:
    """Whether sensitivity and specificity surely exceed 1 together, among those called."""
    difference = variance = 0.0
    for row, sign in ((women, 1), (men, -1)):
        faces = row.called + ADDED_FACES
        rate = (row.female + ADDED_FACES / 2) / faces
        difference += sign * rate
        variance += rate * (1 - rate) / faces
    return difference > Z * math.sqrt(variance)


def _score(people: Row, genders: tuple[tuple[int, _Rates], tuple[int, _Rates]]) -> float:
    """How far the calls are from what these numbers of women and men give, standard deviations.

    It rises with the number of women; below 0 it says that there are more.
    """
    (women, a), (men, b) = genders
    female, male = women * a.female + men * b.female, women * a.male + men * b.male
    share = female / (female + male)
    # people may be called female or male more or less often than the test faces
    factor = people.called / (female + male)
    most = min(factor, 1.0)
    variance = 0.0
    for number, rates in genders:
        # anyone called female counts 1 - share, anyone called male -share, the unknown nothing
        p, q = rates.padded
        mean, square = p * (1 - share) - q * share, p * (1 - share) ** 2 + q * share**2
        variance += number * (most * square - (most * mean) ** 2)
        variance += (factor * number) ** 2 * (square - mean**2) / rates.faces
    return (people.called * share - people.female) / math.sqrt(variance)
