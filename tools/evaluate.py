"""Measure a TFLite model on labelled faces, through the daemon's own preprocessing.

python tools/evaluate.py models/gender.tflite --data faces.zip --min-age 12
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import facedata
import metrics
import numpy as np
from facedata import Sample
from layouts import SPLITS, DataError

from edge.classify import Classifier
from edge.errors import ModelError
from edge.runtime import RUNTIMES

WORST = 10


def measure(
    samples: list[Sample], classifier: Classifier, face_px: int | None, page: Path | None = None
) -> dict[str, Any]:
    """The figures of `metrics.summarise`, the detection rate, and the surest mistakes.

    These are also drawn, on a `page`.
    """
    faces, unseen = facedata.find_faces(samples, "faces")
    if not faces:
        raise DataError("no face was found in any picture")
    male = np.empty(len(faces))
    for index, face in enumerate(facedata.bar(iter(faces), len(faces), "model")):
        crop = facedata.crop_of(face, classifier.preprocessing, face_px)
        male[index] = classifier.genders([crop])[0, 1]
    if page:
        import review

        review.save_mistakes(faces, male, classifier.preprocessing, page, face_px)
    truth = np.array([face.label for face in faces])
    sure_of_wrong = np.argsort(-np.abs(male - truth))[:WORST]
    return {
        **metrics.summarise(faces, male),
        "detection_rate": len(faces) / (len(faces) + len(unseen)),
        "mistakes": [
            {"file": faces[i].name, "male": round(float(male[i]), 3)}
            for i in sure_of_wrong
            if (male[i] > 0.5) != truth[i]
        ],
    }


def show(result: dict[str, Any]) -> None:
    """One screen."""
    print(f"data      {result['data']}, split {result['split']}")
    print(f"faces     {result['n']} ({result['detection_rate']:.1%} found)")
    print(f"accuracy  {_share(result)}")
    print(f"ECE       {result['ece']:.3f}")
    for kind, groups in result["groups"].items():
        for name, group in groups.items():
            print(f"{kind:<10}{name:<12}{group['n']:>6}  {_share(group)}")
    for actual, said in result["confusion"].items():
        print(f"{actual:<8}  called " + ", ".join(f"{name} {n}" for name, n in said.items()))
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
    facedata.add_arguments(parser, "--data")
    parser.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        help="default: test where the data set has splits, else all",
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
    try:
        classifier = Classifier(args.model, runtime=args.runtime, threads=args.threads)
        data = facedata.load(args.data, args.layout, args.detect)
        split = args.split or ("test" if data.has_splits else "all")
        samples = [s for s in data.part(split) if s.age is None or s.age >= args.min_age]
        if not samples:
            raise DataError(
                f"data {args.data}: nobody in split {split!r} is {args.min_age} or over"
            )
        result = {"model": classifier.card.id, "data": f"{args.data.name} ({data.layout})"}
        page = args.plots and args.plots / "mistakes.png"
        result |= {"split": split} | measure(samples, classifier, args.face_px, page)
        if args.plots:
            import plots

            plots.evaluation(result, args.plots)
    except (DataError, ModelError) as error:
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
    sys.exit(main())
