"""Faces for people in a film: those of the demo, or of any labelled data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import EdgeError
from edge.sources import pictures
from edge.sources.demo import PEOPLE
from edge.sources.pictures import PictureError
from edge.types import LABELS, Box, Image
from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample

SPARE = 1.5
"""Pictures looked at for each face that is needed, because some show none that can be found."""


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """A picture with a face in it."""

    image: Image
    """B G R."""
    box: Box
    """The face as the detector would box it, pixels of the picture."""
    label: int
    """Index into `edge.types.LABELS`."""


def of_the_demo(number: int, rng: np.random.Generator) -> list[LabelledFace]:
    """Composite faces of people who do not exist, drawn at random. Raises EdgeError."""
    files = sorted(PEOPLE.glob("*.jpg"))
    if not files:
        raise EdgeError(f"no faces in {PEOPLE}; the installation is incomplete")
    return [_composite(files[index]) for index in _drawn(len(files), number, rng)]


def of_data(
    samples: Sequence[Sample], number: int, rng: np.random.Generator, cache: Path | None = None
) -> list[LabelledFace]:
    """Faces of a data set, drawn at random, each once if there are enough.

    `cache` is a file that remembers where faces were found.

    Raises DataError if no face can be found.
    """
    order = rng.permutation(len(samples))
    faces: list[LabelledFace] = []
    while len(faces) < number and len(order):
        tried = max(1, round(SPARE * (number - len(faces))))
        part = [samples[index] for index in order[:tried]]
        usable, _ = dataset.find_faces(part, "faces", cache)
        faces += [_labelled(sample) for sample in usable]
        order = order[tried:]
    if not faces and number:
        raise DataError(f"data {samples[0].files.path}: no face can be found in its pictures")
    return [faces[index] for index in _drawn(len(faces), number, rng)]


def _drawn(available: int, number: int, rng: np.random.Generator) -> list[int]:
    """Indices in random order, none twice before all are used."""
    rounds = -(-number // max(1, available))
    order = [int(index) for _ in range(rounds) for index in rng.permutation(available)]
    return order[:number]


def _composite(file: Path) -> LabelledFace:
    try:
        image = pictures.read(file)
    except PictureError as error:
        raise EdgeError(f"{file}: {error}") from error
    box = Preprocessing().whole(image.shape[1], image.shape[0])
    return LabelledFace(image, box, LABELS.index(file.name.split("-")[0]))


def _labelled(sample: Sample) -> LabelledFace:
    image = sample.image()
    return LabelledFace(image, sample.face(image, Preprocessing()), sample.label)
