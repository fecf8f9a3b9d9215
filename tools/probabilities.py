"""What the model says of each face, as JSON: {"file": probability of a man}.

    python tools/probabilities.py FOLDER [--runtime tflite-runtime]

Needs nothing but the daemon's own packages, so that it runs wherever the daemon does.
"""

import argparse
import json
import sys
from pathlib import Path

from edge.errors import EdgeError
from edge.sources import pictures
from edge.sources.pictures import PictureError
from edge.types import LABELS
from edge.vision.classifier import Classifier
from edge.vision.tflite import RUNTIMES
from tools.cli.exit import add_verbose, leave

MALE = LABELS.index("male")


def probabilities(folder: Path, classifier: Classifier) -> dict[str, float]:
    """Probability of a man for each aligned face in `folder`. Raises EdgeError."""
    said = {}
    for file in sorted(folder.iterdir()):
        try:
            face = pictures.read(file)
        except PictureError as error:
            raise EdgeError(f"{file} {error}") from error
        height, width = face.shape[:2]
        entry = classifier.preprocessing
        crop = entry.crop(face, entry.whole(width, height))
        said[file.name] = float(classifier.genders([crop])[0, MALE])
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description="What the model says of each face, as JSON.")
    parser.add_argument("faces", type=Path, help="a folder of aligned pictures")
    parser.add_argument("--model", type=Path, default=Path("models/gender.tflite"))
    parser.add_argument("--runtime", choices=["auto", *RUNTIMES], default="auto")
    add_verbose(parser)
    args = parser.parse_args()
    try:
        print(json.dumps(probabilities(args.faces, Classifier(args.model, runtime=args.runtime))))
    except (EdgeError, OSError) as error:
        print(f"probabilities: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    leave(main)
