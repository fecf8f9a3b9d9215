"""Pictures that show what a model gets wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from edge.types import Image
from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.evaluation import metrics
from tools.evaluation.metrics import HeadResult
from tools.plotting import charts, image_files

COLUMNS = 8
"""Faces side by side on a sheet."""
MAX_FACES = 80
"""Most faces on a sheet."""
NAME_LETTERS = 26
"""Letters of a file's name in one line below its face; there are two lines."""
DPI = 100


@dataclass(frozen=True, slots=True)
class Mistake:
    """A labelled face for which something else was predicted."""

    file: str
    predicted: str
    confidence: float
    """Probability of the predicted label."""
    crop: Image
    """The model's input, R G B or gray."""


def save_error_sheets(
    results: Mapping[str, HeadResult], preprocessing: Preprocessing, out: Path
) -> None:
    """`NAME.confusion.png` and `NAME.mistakes.png` beside `out`.

    Those of a second head carry its name: `NAME.age.confusion.png`. Raises EdgeError.
    """
    for number, (head, result) in enumerate(results.items()):
        infix = f".{head}" if number else ""
        table = metrics.summarize(result)["confusion"]
        charts.save_confusion(table, out.with_suffix(f"{infix}.confusion.png"))
        save_mistakes(result, preprocessing, out.with_suffix(f"{infix}.mistakes.png"))


def save_mistakes(
    result: HeadResult, preprocessing: Preprocessing, path: Path, face_px: int | None = None
) -> None:
    """A sheet of the faces that were predicted wrong, the most confident first.

    `face_px` as in `dataset.crop_of`. Raises EdgeError if the file cannot be written.
    """
    mistakes = [
        Mistake(
            result.faces[i].name,
            result.classes[result.predicted[i]],
            float(result.confidence[i]),
            dataset.crop_of(result.faces[i], preprocessing, face_px),
        )
        for i in result.mistakes()
    ]
    save_sheet(mistakes, path)


def save_sheet(mistakes: Sequence[Mistake], path: Path) -> None:
    """Draw the most confident mistakes side by side, the worst first.

    Raises EdgeError if the file cannot be written.
    """
    worst = sorted(mistakes, key=lambda mistake: -mistake.confidence)[:MAX_FACES]
    rows = max(1, math.ceil(len(worst) / COLUMNS))
    figure = Figure(figsize=(1.6 * COLUMNS, 2.1 * rows + 0.4), dpi=DPI, layout="constrained")
    omitted = f", the worst {MAX_FACES}" if len(mistakes) > MAX_FACES else ""
    figure.suptitle(f"predicted wrong: {len(mistakes)}{omitted}")
    cells = np.ravel(figure.subplots(rows, COLUMNS, squeeze=False))
    for axes in cells:
        axes.set_axis_off()
    for axes, mistake in zip(cells, worst, strict=False):  # the last row may be short
        name = fill(mistake.file[-2 * NAME_LETTERS :], NAME_LETTERS)
        title = f"{mistake.predicted} {mistake.confidence:.2f}\n{name}"
        axes.imshow(mistake.crop, cmap="gray")
        axes.set_title(title, y=0, pad=-3, verticalalignment="top", fontsize=7)
    image_files.save_figure(figure, path)
