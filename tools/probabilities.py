"""Print the probability of a man for each face as JSON: {"file": probability}.

    python tools/probabilities.py FOLDER [--runtime tflite-runtime]

Uses only the daemon's own packages, so it runs wherever the daemon does.
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
from tools.cli.exit import add_verbose, run_command

MALE = LABELS.index("male")


def probabilities(folder: Path, classifier: Classifier) -> dict[str, float]:
    """p(male) of each aligned face in `folder`, by file name. Raises EdgeError."""
    result = {}
    for file in sorted(folder.iterdir()):
        try:
            face = pictures.read(file)
        except PictureError as error:
            raise EdgeError(f"{file} {error}") from error
        height, width = face.shape[:2]
        preprocessing = classifier.preprocessing
        crop = preprocessing.crop(face, preprocessing.whole(width, height))
        result[file.name] = float(classifier.genders([crop])[0, MALE])
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    run_command(main)
