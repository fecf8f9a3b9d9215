"""What Haar takes for a face in pictures without any."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.sources import pictures
from edge.sources.pictures import PictureError
from edge.types import Box, Image
from edge.vision.cascade import Cascade
from tools.cli.options import at_least
from tools.cli.progress import bar
from tools.datasets.archive import DataFiles
from tools.datasets.face_search import MIN_FACE_PX

VIEW = 640, 480
"""Width and height of the part of a picture that is searched, pixels: a frame of a camera."""
MAX_ZOOM = 2.2
"""Largest size of a picture, in multiples of the smallest that fills the view."""
SCALE_FACTOR, MIN_NEIGHBOURS = 1.1, 1
"""As the daemon's search, but with one neighbour less: there are few false finds."""
MAX_FINDS = 12
"""Most finds in one view, those with the most hits: a texture may have hundreds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--without-faces` and `--max-faces`, for what learns from both."""
    parser.add_argument(
        "--without-faces",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="pictures of anything but people's faces, a folder or zip file; may be repeated",
    )
    parser.add_argument(
        "--max-faces", type=at_least(1), default=4000, help="most faces of each data set"
    )


def false_finds(
    files: DataFiles, views: int, rng: np.random.Generator
) -> Iterator[tuple[str, Image, list[Box]]]:
    """Random parts of each picture, B G R, and what Haar takes for a face there, pixels.

    Yields the picture's name along with each of its `views`. What cannot be read, or is smaller
    than a face, is left out.
    """
    cascade = Cascade()
    for member in bar(files.images(), len(files.images()), "pictures without faces"):
        try:
            picture = pictures.decode(files.read(member))
        except PictureError:
            continue
        if min(picture.shape[:2]) < MIN_FACE_PX:
            continue
        for _ in range(views):
            view = random_part(picture, rng)
            gray = np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2GRAY), np.uint8)
            finds = cascade.faces(gray, MIN_FACE_PX, 0, SCALE_FACTOR, MIN_NEIGHBOURS)
            finds.sort(key=lambda find: find[1], reverse=True)
            yield member, view, [box for box, _ in finds[:MAX_FINDS]]


def random_part(picture: Image, rng: np.random.Generator) -> Image:
    """A part of a picture, B G R, as large as a frame: uint8 (480, 640, 3)."""
    height, width = picture.shape[:2]
    smallest = max(VIEW[0] / width, VIEW[1] / height)
    scale = smallest * float(np.exp(rng.uniform(0, np.log(MAX_ZOOM))))
    # only the part that is seen is enlarged
    part_width, part_height = min(width, VIEW[0] / scale), min(height, VIEW[1] / scale)
    left = int(rng.uniform(0, width - part_width + 1))
    top = int(rng.uniform(0, height - part_height + 1))
    part = picture[top : top + max(1, round(part_height)), left : left + max(1, round(part_width))]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, VIEW, interpolation=method), np.uint8)
