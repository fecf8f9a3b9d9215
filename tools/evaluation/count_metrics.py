"""Counted visits against the true ones of a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import linear_sum_assignment

from edge.errors import ConfigError
from edge.types import LABELS, UNKNOWN, People, Visit

MIN_OVERLAP_S = 0.2
"""A counted visit may be a true one only if they share at least this much time."""
SIZE_RATIO = 1.6
"""And if their faces differ in size by no more than this ratio."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A counted visit, and how large its face was."""

    visit: Visit
    face_px: float
    """Median side of its boxes, pixels."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is in a clip."""

    people: People
    visits: tuple[dict[str, Any], ...] = ()
    """`gender`, `first_s`, `last_s` and perhaps `face_px` of each visit; empty where not known."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a count compares with the truth."""

    people: int
    counted: int
    missed: int
    doubled: int
    """Visits of somebody who is counted already."""
    invented: int
    """Visits of nobody."""
    matched: int
    """Visits whose gender can be compared."""
    gender_right: int
    unknown: int
    dwell_error_s: float | None
    """Mean difference of the matched visits' lengths, seconds; None where the truth has none."""

    @property
    def count_error(self) -> float:
        """(counted - people) / people; the number of counted where nobody is there."""
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


def read_truth(path: Path, clip: str) -> Truth:
    """The truth about one clip: from its own YAML, or from a folder's clips.yaml.

    Raises ConfigError where there is none, or where it is not as `Truth` says.
    """
    if path.is_dir():
        own = path / f"{Path(clip).stem}.yaml"
        path = own if own.exists() else path / "clips.yaml"
    try:
        truth = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ConfigError(f"truth {path}: cannot be read ({error})") from error
    if isinstance(truth, dict) and Path(clip).name in truth:
        truth = truth[Path(clip).name]
    if not isinstance(truth, dict) or not {"female", "male"} & set(truth):
        raise ConfigError(f"truth {path}: says nothing about {Path(clip).name}")
    try:
        people = People(*(int(truth.get(key, 0)) for key in (*LABELS, "unsure")))
        visits = tuple(truth.get("visits", ()))
        for visit in visits:
            known = visit["gender"] in (*LABELS, UNKNOWN)
            if not known or min(_length(visit), visit.get("face_px", 1)) <= 0:
                raise ValueError(visit)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"truth {path}: must hold numbers of female, male and perhaps unsure people, and "
            "perhaps visits: for each its gender, first_s, a later last_s, and perhaps face_px"
        ) from error
    return Truth(people, visits)


def compare(seen: Sequence[Seen], truth: Truth) -> Figures:
    """The figures of one clip."""
    return _by_visit(seen, truth) if truth.visits else _by_number(seen, truth.people)


def _by_number(seen: Sequence[Seen], people: People) -> Figures:
    counted = {label: sum(s.visit.label == label for s in seen) for label in (*LABELS, UNKNOWN)}
    surplus = max(0, len(seen) - people.total)
    # who nobody could tell may be counted as either
    right = sum(min(counted[label], getattr(people, label)) for label in LABELS)
    return Figures(
        people=people.total,
        counted=len(seen),
        missed=max(0, people.total - len(seen)),
        doubled=surplus if people.total else 0,
        invented=0 if people.total else surplus,
        matched=min(len(seen), people.female + people.male),
        gender_right=right,
        unknown=counted[UNKNOWN],
        dwell_error_s=None,
    )


def _by_visit(seen: Sequence[Seen], truth: Truth) -> Figures:
    pairs = match(seen, truth.visits)
    matched = {i for i, _ in pairs}
    surplus = [s for i, s in enumerate(seen) if i not in matched]
    doubled = sum(any(_may_be(s, t) for t in truth.visits) for s in surplus)
    labels = [(seen[i].visit.label, truth.visits[j]["gender"]) for i, j in pairs]
    lengths = [
        abs(seen[i].visit.end - seen[i].visit.start - _length(truth.visits[j])) for i, j in pairs
    ]
    return Figures(
        people=len(truth.visits),
        counted=len(seen),
        missed=len(truth.visits) - len(pairs),
        doubled=doubled,
        invented=len(surplus) - doubled,
        matched=len(pairs),
        gender_right=sum(said == true for said, true in labels),
        unknown=sum(said == UNKNOWN for said, _ in labels),
        dwell_error_s=float(np.mean(lengths)) if lengths else None,
    )


def match(seen: Sequence[Seen], truth: Sequence[dict[str, Any]]) -> list[tuple[int, int]]:
    """Pairs (counted, true), each at most once, that are the most alike in sum."""
    alike = np.array([[_alike(s, t) for t in truth] for s in seen]).reshape(len(seen), len(truth))
    rows, columns = linear_sum_assignment(-alike)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if alike[i, j] > 0]


def _alike(seen: Seen, true: dict[str, Any]) -> float:
    """Share of their time that they have in common, over the ratio of their faces' sizes."""
    if not _may_be(seen, true):
        return 0.0
    return _shared(seen, true) / _span(seen, true) / _ratio(seen, true)


def _may_be(seen: Seen, true: dict[str, Any]) -> bool:
    return _shared(seen, true) >= MIN_OVERLAP_S and _ratio(seen, true) <= SIZE_RATIO


def _ratio(seen: Seen, true: dict[str, Any]) -> float:
    size = float(true.get("face_px", seen.face_px))
    return max(size, seen.face_px) / max(1e-9, min(size, seen.face_px))


def _shared(seen: Seen, true: dict[str, Any]) -> float:
    shared = min(seen.visit.end, true["last_s"]) - max(seen.visit.start, true["first_s"])
    return max(0.0, float(shared))


def _span(seen: Seen, true: dict[str, Any]) -> float:
    return float(max(seen.visit.end, true["last_s"]) - min(seen.visit.start, true["first_s"]))


def _length(true: dict[str, Any]) -> float:
    return float(true["last_s"] - true["first_s"])
