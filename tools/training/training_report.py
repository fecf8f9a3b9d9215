"""What a training gave, on screen and in files beside the weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from edge.vision.classifier import Predictions
from tools.evaluation import metrics
from tools.evaluation.error_sheet import review
from tools.plotting import charts
from tools.training.batches import Batches


def tell(
    model: keras.Model,
    out: Path,
    train_set: Batches,
    val_set: Batches,
    history: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """What `model`, saved as `out`, makes of the validation faces; its history and settings."""
    heads = list(val_set.heads)
    answers = model.predict(val_set, verbose=0)
    several = answers if len(model.outputs) > 1 else [answers]
    by_head = dict(zip(heads, several, strict=True))
    questions = metrics.asked(val_set.samples, looks_of(by_head))
    review(questions, val_set.preprocessing, out)
    right = {name: float(question.right.mean()) for name, question in questions.items()}
    charts.training(history, out.with_suffix(".png"))
    told = {
        "settings": settings,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "heads": heads,
        "faces": {"train": len(train_set.samples), "val": len(val_set.samples)},
        "preprocessing": asdict(val_set.preprocessing),
        "val_accuracy": {head: round(share, 4) for head, share in right.items()},
        "history": history,
    }
    out.with_suffix(".training.json").write_text(json.dumps(told, indent=1) + "\n")
    said = ", ".join(f"{head} {share:.2%}" for head, share in right.items())
    print(
        f"saved {out}: {said} right on validation faces; "
        f"seed {val_set.seed}, backend {keras.backend.backend()}"
    )


def figures(rows: pd.DataFrame, heads: list[str], ends: list[str]) -> dict[str, Any]:
    """Loss and accuracy of each answer, by epoch."""
    return {
        head: {
            part + figure: rows[
                f"{part}{head}_{figure}" if len(ends) > 1 else part + figure
            ].to_list()
            for part in ("", "val_")
            for figure in ("loss", "accuracy")
        }
        for head in heads
    }


def looks_of(answers: Mapping[str, Any]) -> Predictions:
    """The answers of a network's heads as the daemon's classifier would give them."""
    gender = answers.get("gender")
    if gender is not None and gender.shape[1] == 1:
        gender = np.hstack([1 - gender, gender])
    return Predictions(gender, answers.get("age"))
