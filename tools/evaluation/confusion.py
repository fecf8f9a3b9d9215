"""Confusion matrices: what the daemon would call labelled faces, at each certainty asked for."""

from collections import Counter

from edge.tracking.votes import gender, log_odds
from edge.types import LABELS
from edge.vision.confusion import Calls, Confusion
from tools.datasets.archive import DataError
from tools.evaluation.metrics import HeadResult

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""The values of `classifier.min_confidence` that a matrix is made for."""


def matrices(result: HeadResult) -> tuple[Confusion, ...]:
    """A matrix for each of `THRESHOLDS`, as if every face were a visit of one look.

    Raises DataError if there are no faces of one gender.
    """
    for label in LABELS:
        if LABELS.index(label) not in result.truth:
            raise DataError(f"no face is labelled {label}: a confusion matrix needs both genders")
    odds = [log_odds(float(male)) for male in result.probabilities[:, LABELS.index("male")]]
    return tuple(_matrix(result, odds, threshold) for threshold in THRESHOLDS)


def _matrix(result: HeadResult, odds: list[float], min_confidence: float) -> Confusion:
    calls = [gender(each, min_confidence)[0] for each in odds]
    numbers = Counter(zip(result.truth.tolist(), calls, strict=True))
    rows = {
        label: Calls(
            female=numbers[truth, "female"],
            male=numbers[truth, "male"],
            unknown=numbers[truth, "unknown"],
        )
        for truth, label in enumerate(LABELS)
    }
    return Confusion(min_confidence=min_confidence, **rows)
