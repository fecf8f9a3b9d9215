"""How good a classifier is: accuracy with intervals, groups, calibration, abstention."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.audit.report import Share
from edge.types import AGE_GROUPS, LABELS
from edge.vision.classifier import Predictions
from tools.datasets import ages
from tools.datasets.dataset import Sample

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer[Any]]

LISTED_MISTAKES = 10
"""At most this many mistakes are listed by name."""
CALIBRATION_BINS = 15
ABSTENTION_FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Fractions of the faces, the least confident first, that are left `unknown`."""

GROUPS: dict[str, Callable[[Sample], str | None]] = {
    "gender": lambda sample: LABELS[sample.label],
    "age": lambda sample: sample.age_group,
    "ethnicity": lambda sample: sample.ethnicity,
}


def calibration_bins(confidence: Floats, correct: Bools) -> list[dict[str, float]]:
    """Size, mean confidence and accuracy of equally wide bins of confidence; empty ones omitted."""
    index = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "n": int(np.sum(index == b)),
            "confidence": float(np.mean(confidence[index == b])),
            "accuracy": float(np.mean(correct[index == b])),
        }
        for b in np.unique(index)
    ]


def calibration_error(bins: Sequence[Mapping[str, float]]) -> float:
    """Expected calibration error.

    C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.
    """
    number = sum(b["n"] for b in bins)
    return sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / number


def abstention_curve(confidence: Floats, correct: Bools) -> list[dict[str, float]]:
    """Accuracy on the remaining faces when the least confident ones are left `unknown`."""
    by_confidence = np.argsort(-confidence, kind="stable")
    curve = []
    for fraction in ABSTENTION_FRACTIONS:
        rest = by_confidence[: max(1, round(len(correct) * (1 - fraction)))]
        curve.append(
            {
                "unknown": fraction,
                "n": len(rest),
                "accuracy": float(correct[rest].mean()),
                "min_confidence": float(confidence[rest[-1]]),
            }
        )
    return curve


def accuracy_by_group(faces: Sequence[Sample], correct: Bools) -> dict[str, Any]:
    """Accuracies by gender, age and ethnicity, as far as the data set gives them."""
    result: dict[str, Any] = {}
    for kind, group_of in GROUPS.items():
        groups = np.array([group_of(face) or "" for face in faces])
        result[kind] = {
            str(group): accuracy(correct[groups == group]) for group in np.unique(groups) if group
        }
    return {kind: groups for kind, groups in result.items() if groups}


def accuracy(correct: Bools) -> dict[str, Any]:
    """Number of faces, accuracy and its 95 % interval."""
    return {
        "n": len(correct),
        "accuracy": float(correct.mean()),
        "interval": Share(int(correct.sum()), len(correct)).interval,
    }


@dataclass(frozen=True, slots=True)
class HeadResult:
    """The output of one head of a model, gender or age, on labelled faces."""

    faces: list[Sample]
    truth: Integers
    """(n,): the column of the true class."""
    probabilities: Floats
    """(n, k): one column for each class."""
    classes: tuple[str, ...]

    @property
    def predicted(self) -> Integers:
        """(n,): the column of the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def correct(self) -> Bools:
        return np.asarray(self.predicted == self.truth)

    @property
    def confidence(self) -> Floats:
        """(n,): probability of the predicted class."""
        return np.asarray(self.probabilities.max(axis=1))

    def mistakes(self) -> list[int]:
        """Indices of the faces that were predicted wrong, the most confident first."""
        wrong = np.flatnonzero(~self.correct)
        return [int(i) for i in wrong[np.argsort(-self.confidence[wrong], kind="stable")]]


def by_head(faces: Sequence[Sample], predictions: Predictions) -> dict[str, HeadResult]:
    """The results of `gender` and `age`, as far as the model estimates them.

    For age, faces of unknown age are left out; the key is missing if no age is known.
    """
    results = {}
    if predictions.gender is not None:
        labels = np.array([face.label for face in faces])
        results["gender"] = HeadResult(list(faces), labels, predictions.gender, LABELS)
    known = [index for index, face in enumerate(faces) if face.age is not None]
    if predictions.age is not None and known:
        groups = np.array([ages.group(face.age) for face in faces if face.age is not None])
        aged = [faces[index] for index in known]
        results["age"] = HeadResult(aged, groups, predictions.age[known], AGE_GROUPS)
    return results


def summarize(result: HeadResult) -> dict[str, Any]:
    """All figures of one head.

    Those of age include `one_off`, the accuracy if an adjacent age group counts as right too.
    """
    correct, confidence = result.correct, result.confidence
    bins = calibration_bins(confidence, correct)
    figures = {
        **accuracy(correct),
        "ece": calibration_error(bins),
        "confusion": {
            actual: {
                predicted: int(np.sum((result.truth == i) & (result.predicted == j)))
                for j, predicted in enumerate(result.classes)
            }
            for i, actual in enumerate(result.classes)
        },
        "groups": accuracy_by_group(result.faces, correct),
        "abstention": abstention_curve(confidence, correct),
        "calibration": bins,
        "mistakes": [
            {
                "file": result.faces[i].name,
                "called": result.classes[result.predicted[i]],
                "confidence": round(float(confidence[i]), 3),
            }
            for i in result.mistakes()[:LISTED_MISTAKES]
        ],
    }
    if result.classes == AGE_GROUPS:
        figures["one_off"] = accuracy(np.abs(result.predicted - result.truth) <= 1)
    return figures
