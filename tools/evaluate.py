"""Measure a TFLite model on labelled faces, through the daemon's own preprocessing.

python tools/evaluate.py models/gender.tflite --data faces.zip --min-age 12
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.vision.classifier import Classifier
from edge.vision.tflite import RUNTIMES
from tools.cli.exit import leave
from tools.cli.progress import bar
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.datasets.readers import SPLITS
from tools.evaluation import metrics
from tools.evaluation.metrics import Asked


def ask(
    samples: list[Sample], classifier: Classifier, face_px: int | None
) -> tuple[dict[str, Asked], float]:
    """The model's answers of each kind, and the share of the faces that was found."""
    faces, unseen = dataset.find_faces(samples, "faces")
    if not faces:
        raise DataError("no face was found in any picture")
    crops = (dataset.crop_of(face, classifier.preprocessing, face_px) for face in faces)
    questions = metrics.asked(faces, classifier(bar(crops, len(faces), "model")))
    if not questions:
        raise DataError("the model estimates age alone, and no picture's age is known")
    return questions, len(faces) / (len(faces) + len(unseen))


def trained_on(model: Path) -> list[str]:
    """The names of the data sets that tools/train.py was given for it, as its JSON tells."""
    card = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    try:
        return [str(name) for name in card["trained"]["settings"]["data"]]
    except (KeyError, TypeError):  # made by somebody else
        return []


def show(result: dict[str, Any]) -> None:
    """One screen."""
    print(f"data      {result['data']}, split {result['split']}")
    print(f"faces     {result['n']} ({result['detection_rate']:.1%} found)")
    _show_answers(result)
    if "age" in result:
        print(f"\nage       of {result['age']['n']} faces")
        _show_answers(result["age"])


def _show_answers(result: dict[str, Any]) -> None:
    print(f"accuracy  {_share(result)}")
    if "one_off" in result:
        print(f"one off   {_share(result['one_off'])}")
    print(f"ECE       {result['ece']:.3f}")
    for kind, groups in result["groups"].items():
        for name, group in groups.items():
            print(f"{kind:<10}{name:<12}{group['n']:>6}  {_share(group)}")
    for actual, said in result["confusion"].items():
        print(f"{actual:<8}  called " + ", ".join(f"{name} {n}" for name, n in said.items() if n))
    for point in result["abstention"][1:]:
        print(
            f"unknown   least sure {point['unknown']:.0%}, below {point['min_confidence']:.2f}: "
            f"{point['accuracy']:.2%} right of the rest"
        )


def _share(figures: dict[str, Any]) -> str:
    low, high = figures["interval"]
    return f"{figures['accuracy']:.2%}  (95 %: {low:.2%} to {high:.2%})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .tflite file with its JSON beside it")
    dataset.add_arguments(parser, "--data")
    parser.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        help="default: test where the data set has splits or the model was trained on it, else all",
    )
    parser.add_argument("--min-age", type=int, default=0, help="leave out younger faces")
    parser.add_argument(
        "--face-px", type=int, help="shrink each picture so that its face has so many pixels"
    )
    parser.add_argument("--runtime", default="auto", choices=("auto", *RUNTIMES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also draw the figures as PNG")
    parser.add_argument("--min-accuracy", type=float, default=0.0, help="exit with 1 below, 0 to 1")
    args = parser.parse_args()
    for name in ("face_px", "threads"):
        if (value := getattr(args, name)) is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be 1 or more")
    if not 0 <= args.min_accuracy <= 1:
        parser.error("--min-accuracy must be 0 to 1")
    try:
        if args.plots:
            dataset.make_folder(args.plots, f"--plots {args.plots}")
        classifier = Classifier(args.model, runtime=args.runtime, threads=args.threads)
        data = dataset.load(args.data, args.layout, args.detect)
        held_back = data.has_splits or args.data.name in trained_on(args.model)
        split = args.split or ("test" if held_back else "all")
        samples = [s for s in data.part(split) if s.age is None or s.age >= args.min_age]
        if not samples:
            raise DataError(
                f"data {args.data}: nobody in split {split!r} is {args.min_age} or over"
            )
        questions, found = ask(samples, classifier, args.face_px)
        figures = {name: metrics.summarize(question) for name, question in questions.items()}
        first, *others = figures
        result: dict[str, Any] = {
            "model": classifier.card.id,
            "data": f"{args.data.name} ({data.layout})",
            "split": split,
            "detection_rate": found,
            **figures[first],
        }
        result |= {name: figures[name] for name in others}
        if args.plots:
            from tools.evaluation import error_sheet
            from tools.plotting import charts

            for name, question in questions.items():
                folder = args.plots if name == first else args.plots / name
                charts.evaluation(figures[name], folder)
                page = folder / "mistakes.png"
                error_sheet.save_mistakes(question, classifier.preprocessing, page, args.face_px)
    except (DataError, EdgeError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(result))
    else:
        show(result)
    if result["accuracy"] < args.min_accuracy:
        print(f"evaluate: accuracy is below {args.min_accuracy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    leave(main)
