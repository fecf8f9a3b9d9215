"""Counted visits against the true ones of a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.types import LABELS, UNKNOWN, Box, People, Visit
from tools.evaluation.count_truth import Truth

MIN_OVERLAP_S = 0.2
"""A counted visit can match a true one only if they overlap by at least this much, seconds."""
MAX_SIZE_RATIO = 1.6
"""A counted visit can match a true one only if their faces' sizes differ by no more than this."""
MIN_ON_FACE = 0.3
"""If it is known where each face is, a counted visit can match a true one only if at least this
fraction of its sightings lies on the face: people who pass each other share a few."""
MAX_SHIFT = 0.5
"""A sighting lies on a face if their middles are at most this far apart, in sides of the face."""
MAX_GAP_S = 0.3
"""Longest time before and after the path of a face for which its ends hold, seconds."""


@dataclass(frozen=True, slots=True)
class CountedVisit:
    """A visit that the daemon counted, and the size of its face."""

    visit: Visit
    face_px: float
    """Median side of its boxes, pixels."""
    sightings: tuple[tuple[float, Box], ...] = ()
    """Seconds, and where the face was seen."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a count compares with the truth."""

    people: int
    counted: int
    missed: int
    doubled: int
    """Visits of people who were counted already."""
    invented: int
    """Visits without a person."""
    matched: int
    """Visits whose gender can be compared."""
    gender_right: int
    unknown: int
    dwell_error_s: float | None
    """Mean difference of the matched visits' durations; None if the truth has no visits."""

    @property
    def with_gender(self) -> int:
        """Visits whose gender can be compared and is not unknown."""
        return max(self.gender_right, self.matched - self.unknown)

    @property
    def count_error(self) -> float:
        """(counted - people) / people; the number counted if there is nobody."""
        return (self.counted - self.people) / (self.people or 1)

    @property
    def accuracy(self) -> float:
        """1 - (missed + doubled + invented) / people: MOTA, with visits for boxes.

        K. Bernardin, R. Stiefelhagen: Evaluating Multiple Object Tracking Performance, 2008.
        """
        wrong = self.missed + self.doubled + self.invented
        return 1 - wrong / self.people if self.people else float(wrong == 0)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN) over visits: IDF1, with visits for boxes.

        E. Ristani et al.: Performance Measures and a Data Set for Multi-Target, Multi-Camera
        Tracking, 2016.
        """
        wrong = self.missed + self.doubled + self.invented
        right = self.people - self.missed
        return 2 * right / (2 * right + wrong) if right or wrong else 1.0


def compare(counted: Sequence[CountedVisit], truth: Truth) -> Figures:
    """The figures of one clip."""
    return _by_visit(counted, truth) if truth.visits else _by_number(counted, truth.people)


def _by_number(counted: Sequence[CountedVisit], people: People) -> Figures:
    by_label = {
        label: sum(item.visit.label == label for item in counted) for label in (*LABELS, UNKNOWN)
    }
    surplus = max(0, len(counted) - people.total)
    # people whose gender is not known in truth may be counted as either
    right = sum(min(by_label[label], getattr(people, label)) for label in LABELS)
    return Figures(
        people=people.total,
        counted=len(counted),
        missed=max(0, people.total - len(counted)),
        doubled=surplus if people.total else 0,
        invented=0 if people.total else surplus,
        matched=min(len(counted), people.female + people.male),
        gender_right=right,
        unknown=by_label[UNKNOWN],
        dwell_error_s=None,
    )


def _by_visit(counted: Sequence[CountedVisit], truth: Truth) -> Figures:
    pairs = match(counted, truth.visits)
    matched = {i for i, _ in pairs}
    surplus = [item for i, item in enumerate(counted) if i not in matched]
    doubled = sum(any(_can_match(item, true) for true in truth.visits) for item in surplus)
    labels = [(counted[i].visit.label, truth.visits[j]["gender"]) for i, j in pairs]
    dwell_errors_s = [
        abs(counted[i].visit.end - counted[i].visit.start - _duration_s(truth.visits[j]))
        for i, j in pairs
    ]
    return Figures(
        people=len(truth.visits),
        counted=len(counted),
        missed=len(truth.visits) - len(pairs),
        doubled=doubled,
        invented=len(surplus) - doubled,
        matched=len(pairs),
        gender_right=sum(label == true for label, true in labels),
        unknown=sum(label == UNKNOWN for label, _ in labels),
        dwell_error_s=float(np.mean(dwell_errors_s)) if dwell_errors_s else None,
    )


def match(
    counted: Sequence[CountedVisit], truth: Sequence[dict[str, Any]]
) -> list[tuple[int, int]]:
    """Index pairs (counted, true), each at most once, with the largest total similarity."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    similarity = np.array([[_similarity(item, true) for true in truth] for item in counted])
    similarity = similarity.reshape(len(counted), len(truth))
    rows, columns = linear_sum_assignment(-similarity)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if similarity[i, j] > 0]


def _similarity(counted: CountedVisit, true: dict[str, Any]) -> float:
    """The number of sightings on the face if its path is known; otherwise intersection over union
    of the two times, divided by the ratio of the faces' sizes."""
    if not _can_match(counted, true):
        return 0.0
    if "path" in true:
        return _on_face(counted, true) * len(counted.sightings)
    return _overlap_s(counted, true) / _union_s(counted, true) / _size_ratio(counted, true)


def _can_match(counted: CountedVisit, true: dict[str, Any]) -> bool:
    if "path" in true:
        return _on_face(counted, true) >= MIN_ON_FACE
    overlaps = _overlap_s(counted, true) >= MIN_OVERLAP_S
    return overlaps and _size_ratio(counted, true) <= MAX_SIZE_RATIO


def _on_face(counted: CountedVisit, true: dict[str, Any]) -> float:
    """Fraction of the sightings, 0 to 1, that lie on the face, whose path is known."""
    path = np.array(true["path"], float)
    seen = np.array([(moment, box.cx, box.cy, box.w) for moment, box in counted.sightings])
    if not len(seen):
        return 0.0
    moments = seen[:, 0]
    x, y, side = (np.interp(moments, path[:, 0], path[:, column]) for column in (1, 2, 3))
    there = (moments >= path[0, 0] - MAX_GAP_S) & (moments <= path[-1, 0] + MAX_GAP_S)
    near = np.hypot(seen[:, 1] - x, seen[:, 2] - y) <= MAX_SHIFT * side
    ratio = np.maximum(seen[:, 3] / side, side / seen[:, 3])
    return float(np.mean(there & near & (ratio <= MAX_SIZE_RATIO)))


def _size_ratio(counted: CountedVisit, true: dict[str, Any]) -> float:
    size = float(true.get("face_px", counted.face_px))
    return max(size, counted.face_px) / max(1e-9, min(size, counted.face_px))


def _overlap_s(counted: CountedVisit, true: dict[str, Any]) -> float:
    visit = counted.visit
    return max(0.0, float(min(visit.end, true["last_s"]) - max(visit.start, true["first_s"])))


def _union_s(counted: CountedVisit, true: dict[str, Any]) -> float:
    visit = counted.visit
    return float(max(visit.end, true["last_s"]) - min(visit.start, true["first_s"]))


def _duration_s(true: dict[str, Any]) -> float:
    return float(true["last_s"] - true["first_s"])
