"""Teach a model to tell faces from other things, with one more output, for the daemon's counts.

    python tools/add_face_output.py build/gender.tflite --data faces.zip \
        --without-faces pictures --out build/with-face/gender.tflite

The other outputs stay as they are. The pictures without faces may show anything but people.
"""

import argparse
import sys
import zlib
from pathlib import Path

import numpy as np

from edge.errors import EdgeError
from edge.sources.pictures import PictureError
from edge.types import Box, Image
from edge.vision.model_card import read_card
from edge.vision.tflite import Floats, read_model
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, output_file
from tools.cli.progress import bar
from tools.conversion import card
from tools.conversion.face_output import with_face_output
from tools.datasets import dataset
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.dataset import DataSet
from tools.datasets.false_finds import add_arguments, false_finds
from tools.training.face_output import Features, fit, spoilt

FEW_FACES, REPEATS = 1000, 4
"""Faces of a set that has fewer are used so many times, each time spoilt in another way."""
HELD_BACK = 5
"""One in so many pictures without faces is not learned from, but measured with."""
MIN_FINDS = 20
"""Fewest things that Haar takes for faces to learn from, and to measure with."""
MAYBE_FACE, NAMED = 2.0, 5
"""Log-odds of a face from which a picture is named, and most pictures that are."""


class Collection:
    """Features of faces and of other things, spoilt as a poor camera would."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Raises DataError or ModelError."""
        self._args, self._rng = args, np.random.default_rng(args.seed)
        self._sets = [dataset.load(path, args.layout, args.detect) for path in args.data]
        self._without_faces = [DataFiles(path) for path in args.without_faces]
        self._preprocessing = read_card(args.model).input
        try:
            self._features = Features(read_model(args.model), self._preprocessing)
        except DataError as error:
            raise DataError(f"model {args.model}: {error}") from error

    def faces(self, split: str) -> Floats:
        """Of the data sets, float32 (n, features). Raises DataError if a set has none."""
        return np.concatenate([self._faces_of(data, split) for data in self._sets])

    def things(self) -> tuple[list[Path], Floats]:
        """The picture of each of Haar's finds in those without faces, and float32 (n, features).

        Raises DataError if there are too few finds.
        """
        names: list[Path] = []
        rows: list[Floats] = []
        for files in self._without_faces:
            for member, view, boxes in false_finds(files, self._args.views, self._rng):
                names += [files.path / member] * len(boxes)
                rows += [self._seen(view, box) for box in boxes]
        if len(rows) < MIN_FINDS:
            raise DataError(
                f"--without-faces: Haar takes {len(rows)} things there for faces; at least "
                f"{MIN_FINDS} are needed, so add pictures or --views"
            )
        return names, np.concatenate(rows)

    def _faces_of(self, data: DataSet, split: str) -> Floats:
        samples, name = data.part(split), f"{data.path.name}, {split}"
        chosen = self._rng.permutation(len(samples))[: self._args.max_faces]
        cache: Path | None = self._args.face_cache
        faces, _ = dataset.find_faces([samples[i] for i in chosen], name, cache)
        if not faces:
            raise DataError(f"data {data.path}: no face was found in split {split!r}")
        faces *= REPEATS if len(faces) < FEW_FACES and split == "train" else 1
        rows = []
        for face in bar(faces, len(faces), name):
            image = face.image()
            rows.append(self._seen(image, face.face(image, self._preprocessing)))
        return np.concatenate(rows)

    def _seen(self, image: Image, box: Box) -> Floats:
        return self._features(spoilt(image, box, self._preprocessing, self._rng))


def learn(args: argparse.Namespace) -> None:
    """Write the model with its new output. Raises DataError, PictureError or EdgeError."""
    collection = Collection(args)
    train, val = collection.faces("train"), collection.faces("val")
    names, things = collection.things()
    held_back = np.array([zlib.crc32(name.name.encode()) % HELD_BACK == 0 for name in names])
    if not 0 < held_back.sum() < len(names):
        raise DataError("--without-faces: a few more pictures are needed to measure with")
    weights, bias = fit(train, things[~held_back])
    told_faces, told_things = val @ weights + bias > 0, things[held_back] @ weights + bias <= 0
    print(f"learned   from {len(train)} faces and {(~held_back).sum()} things that Haar finds")
    print(f"faces     {told_faces.mean():.1%} right of {len(val)} of the val splits")
    print(f"things    {told_things.mean():.1%} right of {held_back.sum()} in pictures held back")
    log_odds = things @ weights + bias
    likeliest = [names[i] for i in np.argsort(-log_odds) if log_odds[i] > MAYBE_FACE]
    for name in list(dict.fromkeys(likeliest))[:NAMED]:
        print(f"look at   {name}: if it shows a face, leave it out and begin again")
    model = with_face_output(read_model(args.model), weights, bias)
    card.copied(args.model, face=True).write(model, args.out)
    print(f"written   {args.out}; measure it with tools/evaluate.py --record")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="an int8 .tflite file, its JSON beside it")
    dataset.add_arguments(parser, "--data", several=True)
    add_arguments(parser)
    parser.add_argument("--out", type=output_file(".tflite"), required=True, metavar="TFLITE")
    outputs.add_arguments(parser)
    parser.add_argument(
        "--views", type=at_least(1), default=3, help="parts of each picture that are searched"
    )
    parser.add_argument("--seed", type=at_least(0), default=1)
    args = parser.parse_args()
    try:
        for file in (args.out, args.out.with_suffix(".json")):
            outputs.need_free("--out", file, force=args.force)
        dataset.make_folder(args.out.parent, f"--out {args.out}")
        learn(args)
    except (DataError, EdgeError, PictureError) as error:
        print(f"add_face_output: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
