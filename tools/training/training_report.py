"""Report on a training: on screen, and in files beside the weights."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from edge.vision.classifier import Predictions
from tools.evaluation import metrics
from tools.plotting import charts
from tools.plotting.error_sheet import save_error_sheets
from tools.training.batches import Batches


def write(
    model: keras.Model,
    out: Path,
    train_set: Batches,
    val_set: Batches,
    history: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Evaluate `model`, saved as `out`, on the validation faces and report the training."""
    heads = list(val_set.heads)
    outputs = model.predict(val_set, verbose=0)
    output_by_head = dict(zip(heads, outputs if len(heads) > 1 else [outputs], strict=True))
    results = metrics.by_head(val_set.samples, to_predictions(output_by_head))
    save_error_sheets(results, val_set.preprocessing, out)
    charts.save_training(history, out.with_suffix(".png"))
    accuracies = {head: float(result.correct.mean()) for head, result in results.items()}
    report = {
        "settings": settings,
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "heads": heads,
        "faces": {"train": len(train_set.samples), "val": len(val_set.samples)},
        "preprocessing": asdict(val_set.preprocessing),
        "val_accuracy": {head: round(accuracy, 4) for head, accuracy in accuracies.items()},
        "history": history,
    }
    out.with_suffix(".training.json").write_text(json.dumps(report, indent=1) + "\n")
    summary = ", ".join(f"{head} {accuracy:.2%}" for head, accuracy in accuracies.items())
    print(
        f"saved {out}: {summary} right on validation faces; "
        f"seed {val_set.seed}, backend {keras.backend.backend()}"
    )


def history_by_head(
    rows: pd.DataFrame, heads: Sequence[str], outputs: Sequence[str]
) -> dict[str, Any]:
    """Loss and accuracy of each head by epoch, from Keras' log of a model with these outputs."""
    return {
        head: {
            part + figure: rows[
                f"{part}{head}_{figure}" if len(outputs) > 1 else part + figure
            ].to_list()
            for part in ("", "val_")
            for figure in ("loss", "accuracy")
        }
        for head in heads
    }


def to_predictions(output_by_head: Mapping[str, Any]) -> Predictions:
    """The outputs of a network in the form that the daemon's classifier gives them."""
    gender = output_by_head.get("gender")
    if gender is not None and gender.shape[1] == 1:
        gender = np.hstack([1 - gender, gender])
    return Predictions(gender, output_by_head.get("age"))
