"""Pictures that show what a model gets wrong."""

from collections.abc import Mapping
from pathlib import Path

from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.evaluation import metrics
from tools.evaluation.metrics import HeadResult
from tools.plotting import charts, drawing
from tools.plotting.drawing import Mistake


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
    drawing.save_mistakes(mistakes, path)
