"""Compare the predictions of a model before and after its conversion."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tools.evaluation.metrics import HeadResult

CHANGED_FACES = 3
"""Faces to list: those whose prediction changed most."""


def compare(
    before: Mapping[str, HeadResult], after: Mapping[str, HeadResult]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Accuracies and agreement by head, and a line for each face that changed most."""
    figures: dict[str, dict[str, Any]] = {}
    changes: list[str] = []
    for head, was in before.items():
        now = after[head]
        difference = np.abs(now.probabilities - was.probabilities)
        figures[head] = {
            "faces": len(was.faces),
            "float_accuracy": round(float(was.correct.mean()), 4),
            "accuracy": round(float(now.correct.mean()), 4),
            "agreement": round(float(np.mean(now.predicted == was.predicted)), 4),
            "mean_difference": round(float(difference.mean()), 4),
        }
        if not changes:
            for i in np.argsort(-difference.max(axis=1))[:CHANGED_FACES]:
                label = was.predicted[i]
                p, q = was.probabilities[i, label], now.probabilities[i, label]
                name = was.classes[label]
                changes.append(f"{was.faces[i].name}: p({name}) {p:.2f} became {q:.2f}")
    return figures, changes


def excess_drop(figures: Mapping[str, Mapping[str, Any]], max_drop: float) -> str | None:
    """Why the converted model is refused: it lost more than `max_drop` percentage points."""
    drop = 100 * max(head["float_accuracy"] - head["accuracy"] for head in figures.values())
    return f"loses {drop:.2f} points, more than --max-drop {max_drop}" if drop > max_drop else None
