"""Counted visits against the true ones of a clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.types import LABELS, UNKNOWN, People
from tools.evaluation.count_matching import CountedVisit, duration_s, match, similarities
from tools.evaluation.count_truth import Truth


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
    attention_error_s: float | None = None
    """Of the times that their faces were towards the camera; None if the truth lacks them."""

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
    similarity = similarities(counted, truth.visits)
    pairs = match(similarity)
    surplus = set(range(len(counted))) - {i for i, _ in pairs}
    doubled = sum(bool(similarity[i].any()) for i in surplus)
    labels = [(counted[i].visit.label, truth.visits[j]["gender"]) for i, j in pairs]
    dwell_errors_s = [
        abs(counted[i].visit.end - counted[i].visit.start - duration_s(truth.visits[j]))
        for i, j in pairs
    ]
    attention_errors_s = [
        abs(counted[i].visit.attention_s - truth.visits[j]["attention_s"])
        for i, j in pairs
        if truth.has_attention
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
        dwell_error_s=_mean(dwell_errors_s),
        attention_error_s=_mean(attention_errors_s),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
