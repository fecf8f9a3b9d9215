"""Pictures for a look at what a model gets wrong."""

from collections.abc import Sequence
from pathlib import Path

import drawing
import facedata
import metrics
import plots
from drawing import Mistake
from facedata import Sample

from edge.classify import Preprocessing
from edge.records import LABELS


def review(
    samples: Sequence[Sample], male: metrics.Floats, preprocessing: Preprocessing, out: Path
) -> None:
    """`NAME.confusion.png` and `NAME.mistakes.png` beside `out`, from p(male) of each sample."""
    confusion = metrics.summarise(samples, male)["confusion"]
    plots.confusion(confusion, out.with_suffix(".confusion.png"))
    save_mistakes(samples, male, preprocessing, out.with_suffix(".mistakes.png"))


def save_mistakes(
    samples: Sequence[Sample],
    male: metrics.Floats,
    preprocessing: Preprocessing,
    path: Path,
    face_px: int | None = None,
) -> None:
    """A page of the faces that are called what they are not, the surest first.

    `face_px` as in `facedata.crop_of`. Raises EdgeError where it cannot be written.
    """
    mistakes = [
        Mistake(
            sample.name,
            LABELS[called],
            max(p, 1 - p),
            facedata.crop_of(sample, preprocessing, face_px),
        )
        for sample, p in zip(samples, map(float, male), strict=True)
        if (called := int(p > 0.5)) != sample.label
    ]
    drawing.save_mistakes(mistakes, path)
