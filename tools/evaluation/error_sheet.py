"""Pictures for a look at what a model gets wrong."""

from collections.abc import Mapping
from pathlib import Path

from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.evaluation import metrics
from tools.evaluation.metrics import Asked
from tools.plotting import charts, drawing
from tools.plotting.drawing import Mistake


def review(questions: Mapping[str, Asked], preprocessing: Preprocessing, out: Path) -> None:
    """`NAME.confusion.png` and `NAME.mistakes.png` beside `out`.

    Those of a second question carry its name: `NAME.age.confusion.png`.
    """
    for number, (name, question) in enumerate(questions.items()):
        kind = f".{name}" if number else ""
        table = metrics.summarize(question)["confusion"]
        charts.confusion(table, out.with_suffix(f"{kind}.confusion.png"))
        save_mistakes(question, preprocessing, out.with_suffix(f"{kind}.mistakes.png"))


def save_mistakes(
    question: Asked, preprocessing: Preprocessing, path: Path, face_px: int | None = None
) -> None:
    """A page of the faces that are called what they are not, the surest first.

    `face_px` as in `facedata.crop_of`. Raises EdgeError where it cannot be written.
    """
    mistakes = [
        Mistake(
            question.faces[i].name,
            question.names[question.said[i]],
            float(question.confidence[i]),
            dataset.crop_of(question.faces[i], preprocessing, face_px),
        )
        for i in question.mistakes()
    ]
    drawing.save_mistakes(mistakes, path)
