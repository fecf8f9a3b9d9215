"""Which counted visit is whose: by the places of faces if they are known, otherwise by time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.types import Box, Visit

MIN_OVERLAP_S = 0.2
"""A counted visit can match a true one only if they overlap by at least this much, seconds."""
MAX_SIZE_RATIO = 1.6
"""A counted visit can match a true one only if their faces' sizes differ by no more than this."""
MIN_ON_FACE = 0.3
"""If it is known where each face is, a counted visit can match a true one only if at least this
fraction of its sightings lies on the face: people who pass each other share a few. If the sightings
are on the faces of many people, the one with most of them matches too."""
MIN_ON_FACES = 0.5
"""Fraction of such a visit's sightings that lies on any faces: otherwise it is of nobody."""
MAX_SHIFT = 0.5
"""A sighting lies on a face if their middles are at most this far apart, in sides of the face."""
MAX_GAP_S = 0.3
"""Longest time before and after the path of a face for which its ends hold, seconds."""

Matrix = npt.NDArray[np.float64]
TrueVisit = Mapping[str, Any]
"""A visit as `count_truth.Truth` has it."""


@dataclass(frozen=True, slots=True)
class CountedVisit:
    """A visit that the daemon counted, and the size of its face."""

    visit: Visit
    face_px: float
    """Median side of its boxes, pixels."""
    sightings: tuple[tuple[float, Box], ...] = ()
    """Seconds, and where the face was seen."""


def similarities(counted: Sequence[CountedVisit], truth: Sequence[TrueVisit]) -> Matrix:
    """How alike each counted and each true visit are, counted x true; 0 if they cannot match.

    It is the number of sightings on the face if all paths are known; otherwise the intersection
    over the union of the two times, divided by the ratio of the faces' sizes.
    """
    if all("path" in true for true in truth):
        shares = _matrix(counted, truth, _on_face)
        most = (shares == shares.max(axis=1, keepdims=True, initial=0)) & (shares > 0)
        followed = shares.sum(axis=1, keepdims=True) >= MIN_ON_FACES
        can_match = (shares >= MIN_ON_FACE) | (most & followed)
        lengths = np.array([len(item.sightings) for item in counted], float)
        return np.where(can_match, shares * lengths[:, None], 0.0)
    return _matrix(counted, truth, _likeness)


def match(similarity: Matrix) -> list[tuple[int, int]]:
    """Index pairs (counted, true), each at most once, with the largest total similarity."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    rows, columns = linear_sum_assignment(-similarity)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if similarity[i, j] > 0]


def sightings_on(sightings: Sequence[tuple[float, Box]], true: TrueVisit) -> int:
    """How many sightings lie on a face whose path is known."""
    return int(np.sum(_distances(sightings, true) <= MAX_SHIFT))


def person_at(moment: float, box: Box, truth: Sequence[TrueVisit]) -> int | None:
    """Whose face a sighting lies on, by index: the nearest one; None if on nobody's.

    All paths must be known.
    """
    distances = [float(_distances([(moment, box)], true)[0]) for true in truth]
    nearest = min(range(len(truth)), key=distances.__getitem__, default=None)
    return None if nearest is None or distances[nearest] > MAX_SHIFT else nearest


def duration_s(true: TrueVisit) -> float:
    return float(true["last_s"] - true["first_s"])


def _matrix(
    counted: Sequence[CountedVisit],
    truth: Sequence[TrueVisit],
    value: Callable[[CountedVisit, TrueVisit], float],
) -> Matrix:
    values = [[value(item, true) for true in truth] for item in counted]
    return np.array(values, float).reshape(len(counted), len(truth))


def _likeness(counted: CountedVisit, true: TrueVisit) -> float:
    visit, first_s, last_s = counted.visit, float(true["first_s"]), float(true["last_s"])
    overlap_s = min(visit.end, last_s) - max(visit.start, first_s)
    union_s = max(visit.end, last_s) - min(visit.start, first_s)
    size = float(true.get("face_px", counted.face_px))
    ratio = max(size, counted.face_px) / max(1e-9, min(size, counted.face_px))
    if overlap_s < MIN_OVERLAP_S or ratio > MAX_SIZE_RATIO:
        return 0.0
    return overlap_s / union_s / ratio


def _on_face(counted: CountedVisit, true: TrueVisit) -> float:
    """Fraction of the sightings, 0 to 1, that lie on the face, whose path is known."""
    return sightings_on(counted.sightings, true) / max(1, len(counted.sightings))


def _distances(sightings: Sequence[tuple[float, Box]], true: TrueVisit) -> Matrix:
    """How far sightings are from a face whose path is known, in its sides; infinite where it is
    out of view or of another size."""
    path = np.array(true["path"], float)
    seen = np.array([(moment, box.cx, box.cy, box.w) for moment, box in sightings]).reshape(-1, 4)
    moments = seen[:, 0]
    x, y, side = (np.interp(moments, path[:, 0], path[:, column]) for column in (1, 2, 3))
    there = (moments >= path[0, 0] - MAX_GAP_S) & (moments <= path[-1, 0] + MAX_GAP_S)
    ratio = np.maximum(seen[:, 3] / side, side / seen[:, 3])
    distance = np.hypot(seen[:, 1] - x, seen[:, 2] - y) / side
    return np.where(there & (ratio <= MAX_SIZE_RATIO), distance, np.inf)
