"""Measure a TFLite model on labelled faces, with the daemon's own preprocessing.

python tools/evaluate.py models/gender.tflite --data faces.zip --min-age 12

With --record the model's JSON keeps how many women and men are called women, men and unknown, at
each of several `classifier.min_confidence`. The daemon publishes its own with `info`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.vision.classifier import Classifier
from edge.vision.confusion import Measurement
from edge.vision.tflite import RUNTIMES
from tools.cli.exit import run_command
from tools.cli.options import at_least, fraction
from tools.cli.progress import bar
from tools.conversion import card
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.datasets.readers import SPLITS
from tools.evaluation import confusion, metrics
from tools.evaluation.metrics import HeadResult


def evaluate(
    samples: list[Sample], classifier: Classifier, face_px: int | None, face_cache: Path | None
) -> tuple[dict[str, HeadResult], float]:
    """The model's results by head, and the fraction of the pictures in which a face was found.

    Raises DataError if nothing can be evaluated.
    """
    faces, without_face = dataset.find_faces(samples, "faces", face_cache)
    if not faces:
        raise DataError("no face was found in any picture")
    crops = (dataset.crop_of(face, classifier.preprocessing, face_px) for face in faces)
    results = metrics.by_head(faces, classifier(bar(crops, len(faces), "model")))
    if not results:
        raise DataError("the model estimates only age, and no picture's age is known")
    return results, len(faces) / (len(faces) + len(without_face))


def training_sets(model: Path) -> list[str]:
    """Names of the data sets that the model was trained on, according to its card."""
    card = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    try:
        return [str(name) for name in card["trained"]["settings"]["data"]]
    except (KeyError, TypeError):  # the card was not written by tools/quantize.py
        return []


def print_report(result: dict[str, Any]) -> None:
    """The result on one screen."""
    print(f"data      {result['data']}, split {result['split']}")
    print(f"faces     {result['n']} ({result['detection_rate']:.1%} found)")
    _print_head(result)
    if "age" in result:
        print(f"\nage       {result['age']['n']} faces")
        _print_head(result["age"])


def _print_head(result: dict[str, Any]) -> None:
    print(f"accuracy  {_accuracy(result)}")
    if "one_off" in result:
        print(f"one off   {_accuracy(result['one_off'])}")
    print(f"ECE       {result['ece']:.3f}")
    for kind, groups in result["groups"].items():
        for name, group in groups.items():
            print(f"{kind:<10}{name:<12}{group['n']:>6}  {_accuracy(group)}")
    for actual, predicted in result["confusion"].items():
        counts = ", ".join(f"{name} {n}" for name, n in predicted.items() if n)
        print(f"{actual:<8}  predicted {counts}")
    for point in result["abstention"][1:]:
        print(
            f"unknown   below {point['min_confidence']:.2f}, {point['unknown']:.0%} of the faces: "
            f"accuracy {point['accuracy']:.2%} on the rest"
        )


def _accuracy(figures: dict[str, Any]) -> str:
    low, high = figures["interval"]
    return f"{figures['accuracy']:.2%}  (95 %: {low:.2%} to {high:.2%})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .tflite file with its JSON beside it")
    dataset.add_arguments(parser, "--data")
    parser.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        help="default: test if the data set has splits or the model was trained on it, else all",
    )
    parser.add_argument("--min-age", type=int, default=0, help="leave out younger faces, years")
    parser.add_argument(
        "--face-px",
        type=at_least(1),
        help="shrink each picture until the side of its face has this many pixels",
    )
    parser.add_argument("--runtime", default="auto", choices=("auto", *RUNTIMES))
    parser.add_argument("--threads", type=at_least(1), default=1)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also save charts, as PNG")
    parser.add_argument(
        "--min-accuracy", type=fraction, default=0.0, help="exit with 1 below this, 0 to 1"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the confusion matrix into the JSON beside the model, for the daemon to publish",
    )
    args = parser.parse_args()
    try:
        if args.plots:
            dataset.make_folder(args.plots, f"--plots {args.plots}")
        classifier = Classifier(args.model, runtime=args.runtime, threads=args.threads)
        if args.record and not classifier.card.labels:
            raise DataError(f"--record: {args.model} estimates only age")
        data = dataset.load(args.data, args.layout, args.detect)
        held_back = data.has_splits or args.data.name in training_sets(args.model)
        split = args.split or ("test" if held_back else "all")
        samples = [s for s in data.part(split) if s.age is None or s.age >= args.min_age]
        if not samples:
            raise DataError(
                f"data {args.data}: nobody in split {split!r} is {args.min_age} or older"
            )
        heads, detection_rate = evaluate(samples, classifier, args.face_px, args.face_cache)
        figures = {name: metrics.summarize(head) for name, head in heads.items()}
        first, *others = figures
        result: dict[str, Any] = {
            "model": classifier.card.id,
            "data": f"{args.data.name} ({data.layout})",
            "split": split,
            "detection_rate": detection_rate,
            **figures[first],
        }
        result |= {name: figures[name] for name in others}
        if args.record:
            measured = Measurement(
                model=classifier.card.id,
                data=args.data.absolute().name,
                split=split,
                min_age=args.min_age,
                face_px=args.face_px,
                thresholds=confusion.matrices(heads["gender"]),
            )
            recorded = card.record(measured, args.model)
        if args.plots:
            from tools.plotting import charts, error_sheet

            for name, head in heads.items():
                folder = args.plots if name == first else args.plots / name
                charts.save_evaluation(figures[name], folder)
                sheet = folder / "mistakes.png"
                error_sheet.save_mistakes(head, classifier.preprocessing, sheet, args.face_px)
    except (DataError, EdgeError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(result))
    else:
        print_report(result)
        if args.record:
            print(f"recorded  confusion matrix of {measured.data}, in {recorded}")
    if result["accuracy"] < args.min_accuracy:
        print(f"evaluate: accuracy is below {args.min_accuracy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_command(main)
