"""How good a classifier is: accuracy with intervals, groups, calibration, abstention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.types import AGE_GROUPS, LABELS
from edge.vision.classifier import Predictions
from tools.datasets import ages
from tools.datasets.dataset import Sample

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer[Any]]

WORST = 10
"""Mistakes that are named."""

Z95 = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""
CALIBRATION_BINS = 15
ABSTENTION = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Shares of the least sure faces that are left `unknown`."""

GROUPS: dict[str, Callable[[Sample], str | None]] = {
    "gender": lambda sample: LABELS[sample.label],
    "age": lambda sample: sample.age_group,
    "ethnicity": lambda sample: sample.ethnicity,
}


def wilson(right: int, number: int) -> tuple[float, float]:
    """95 % interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share = right / number
    centre = share + Z95**2 / (2 * number)
    spread = Z95 * np.sqrt(share * (1 - share) / number + Z95**2 / (4 * number**2))
    scale = 1 + Z95**2 / number
    return float((centre - spread) / scale), float((centre + spread) / scale)


def calibration_bins(confidence: Floats, right: Bools) -> list[dict[str, float]]:
    """Mean confidence and share of right answers in equal bins of confidence; none for empty."""
    place = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "n": int(np.sum(place == b)),
            "confidence": float(np.mean(confidence[place == b])),
            "accuracy": float(np.mean(right[place == b])),
        }
        for b in np.unique(place)
    ]


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Expected calibration error.

    C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.
    """
    number = sum(b["n"] for b in bins)
    return sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / number


def abstention_curve(confidence: Floats, right: Bools) -> list[dict[str, float]]:
    """Accuracy over the rest when the least sure faces are left `unknown`."""
    surest_first = np.argsort(-confidence, kind="stable")
    curve = []
    for share in ABSTENTION:
        kept = surest_first[: max(1, round(len(right) * (1 - share)))]
        curve.append(
            {
                "unknown": share,
                "n": len(kept),
                "accuracy": float(right[kept].mean()),
                "min_confidence": float(confidence[kept[-1]]),
            }
        )
    return curve


def by_group(faces: Sequence[Sample], right: Bools) -> dict[str, Any]:
    """Number and accuracy with its interval by gender, age and ethnicity, as far as given."""
    result: dict[str, Any] = {}
    for kind, key in GROUPS.items():
        names = np.array([key(face) or "" for face in faces])
        result[kind] = {str(name): share(right[names == name]) for name in np.unique(names) if name}
    return {kind: groups for kind, groups in result.items() if groups}


def share(right: Bools) -> dict[str, Any]:
    """Number, accuracy and its 95 % interval."""
    return {
        "n": len(right),
        "accuracy": float(right.mean()),
        "interval": wilson(int(right.sum()), len(right)),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that a model was asked about faces: its answers, and the truth."""

    faces: list[Sample]
    truth: Integers
    """(n,): columns of `answers`."""
    answers: Floats
    """(n, k): the probability of each name."""
    names: tuple[str, ...]

    @property
    def said(self) -> Integers:
        return np.asarray(self.answers.argmax(axis=1))

    @property
    def right(self) -> Bools:
        return np.asarray(self.said == self.truth)

    @property
    def confidence(self) -> Floats:
        return np.asarray(self.answers.max(axis=1))

    def mistakes(self) -> list[int]:
        """Places of the faces that were called wrong, the surest first."""
        wrong = np.flatnonzero(~self.right)
        return [int(i) for i in wrong[np.argsort(-self.confidence[wrong], kind="stable")]]


def asked(faces: Sequence[Sample], looks: Predictions) -> dict[str, Asked]:
    """The answers by `gender` and `age`, as far as the model gives them.

    Of ages only those of the faces whose age is known, and none where that is nobody's.
    """
    questions = {}
    if looks.gender is not None:
        labels = np.array([face.label for face in faces])
        questions["gender"] = Asked(list(faces), labels, looks.gender, LABELS)
    known = [index for index, face in enumerate(faces) if face.age is not None]
    if looks.age is not None and known:
        groups = np.array([ages.group(face.age) for face in faces if face.age is not None])
        aged = [faces[index] for index in known]
        questions["age"] = Asked(aged, groups, looks.age[known], AGE_GROUPS)
    return questions


def summarize(question: Asked) -> dict[str, Any]:
    """All figures; of ages also `one_off`, the share whose group is right or next to it."""
    right, confidence = question.right, question.confidence
    bins = calibration_bins(confidence, right)
    names = question.names
    figures = {
        **share(right),
        "ece": calibration_error(bins),
        "confusion": {
            actual: {
                called: int(np.sum((question.truth == i) & (question.said == j)))
                for j, called in enumerate(names)
            }
            for i, actual in enumerate(names)
        },
        "groups": by_group(question.faces, right),
        "abstention": abstention_curve(confidence, right),
        "calibration": bins,
        "mistakes": [
            {
                "file": question.faces[i].name,
                "called": names[question.said[i]],
                "confidence": round(float(confidence[i]), 3),
            }
            for i in question.mistakes()[:WORST]
        ],
    }
    if names == AGE_GROUPS:
        figures["one_off"] = share(np.abs(question.said - question.truth) <= 1)
    return figures
