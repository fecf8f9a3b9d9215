"""Measure a TFLite model on labelled faces, through the daemon's own preprocessing.

python tools/evaluate.py models/gender.tflite --data aligned:faces.zip --min-age 12
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import facedata
import numpy as np
from facedata import DataError, Sample

from edge.classify import RUNTIMES, Classifier
from edge.errors import ModelError
from edge.records import LABELS

Z95 = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(right: int, number: int) -> tuple[float, float]:
    """95 % interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share = right / number
    centre = share + Z95**2 / (2 * number)
    spread = Z95 * np.sqrt(share * (1 - share) / number + Z95**2 / (4 * number**2))
    scale = 1 + Z95**2 / number
    return float((centre - spread) / scale), float((centre + spread) / scale)


def calibration_error(confidence: Any, right: Any, bins: int = 15) -> float:
    """Expected calibration error over equal bins of confidence.

    C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        np.mean(place == b) * abs(np.mean(confidence[place == b]) - np.mean(right[place == b]))
        for b in np.unique(place)
    ]
    return float(sum(gaps))


def measure(samples: list[Sample], classifier: Classifier) -> dict[str, Any]:
    """Accuracy over faces found, per group, confusion, calibration, detection rate."""
    faces, unseen = facedata.find_faces(samples)
    if not faces:
        raise DataError("no face was found in any picture")
    male = classifier(facedata.crops_of(faces, classifier.preprocessing))[:, 1]
    truth = np.array([sample.label for sample in faces])
    right = (male > 0.5) == truth
    confidence = np.maximum(male, 1 - male)
    confusion = {
        actual: {
            said: int(np.sum((truth == i) & ((male > 0.5) == j))) for j, said in enumerate(LABELS)
        }
        for i, actual in enumerate(LABELS)
    }
    by: dict[str, Callable[[Sample], str | None]] = {
        "gender": lambda sample: LABELS[sample.label],
        "age": lambda sample: sample.age_group,
        "ethnicity": lambda sample: sample.ethnicity,
    }
    return {
        "n": len(faces),
        "accuracy": float(right.mean()),
        "interval": wilson(int(right.sum()), len(faces)),
        "detection_rate": len(faces) / (len(faces) + len(unseen)),
        "ece": calibration_error(confidence, right),
        "confusion": confusion,
        "groups": {kind: _groups(faces, right, key) for kind, key in by.items()},
    }


def _groups(faces: list[Sample], right: Any, key: Callable[[Sample], str | None]) -> dict[str, Any]:
    names = np.array([key(sample) or "not given" for sample in faces])
    return {
        str(name): {
            "n": int(np.sum(names == name)),
            "accuracy": float(right[names == name].mean()),
        }
        for name in np.unique(names)
    }


def show(result: dict[str, Any]) -> None:
    """One screen."""
    low, high = result["interval"]
    print(f"faces     {result['n']} ({result['detection_rate']:.1%} found)")
    print(f"accuracy  {result['accuracy']:.2%}  (95 %: {low:.2%} to {high:.2%})")
    print(f"ECE       {result['ece']:.3f}")
    for kind, groups in result["groups"].items():
        for name, group in groups.items():
            print(f"{kind:<10}{name:<12}{group['n']:>6}  {group['accuracy']:.2%}")
    for actual, said in result["confusion"].items():
        print(f"{actual:<8} called " + ", ".join(f"{name} {n}" for name, n in said.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .tflite file with its JSON beside it")
    parser.add_argument("--data", required=True, metavar="LAYOUT:PATH", help=facedata.LAYOUTS)
    parser.add_argument("--split", default="test", choices=facedata.SPLITS)
    parser.add_argument("--min-age", type=int, default=0, help="leave out younger faces")
    parser.add_argument("--runtime", default="auto", choices=("auto", *RUNTIMES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--min-accuracy", type=float, default=0.0, help="exit with 1 below, 0 to 1")
    args = parser.parse_args()
    try:
        classifier = Classifier(args.model, runtime=args.runtime, threads=args.threads)
        samples = [
            sample
            for sample in facedata.load(args.data, args.split)
            if sample.age is None or sample.age >= args.min_age
        ]
        result = measure(samples, classifier)
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
