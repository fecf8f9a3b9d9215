"""OpenCV's Haar cascade for frontal faces.

P. Viola, M. Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from edge.types import Box, Image

CASCADE = "haarcascade_frontalface_default.xml"
FACE = 24
"""Side of the cascade's faces, pixels: larger ones are found in a smaller picture."""
STEP = 2
"""Pixels from one searched place to the next, at this size."""
GROUP_EPS = 0.2
"""Largest difference between the sides of hits on one face, in their sides: OpenCV's default."""

Rect = tuple[int, int, int, int]
"""Left, top, right and bottom, pixels."""


class Cascade:
    """The cascade, loaded."""

    def __init__(self) -> None:
        """Raises EdgeError if this OpenCV carries no cascade files."""
        self._cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / CASCADE))
        if self._cascade.empty():
            raise EdgeError(
                f"OpenCV {cv2.__version__} has no {CASCADE}; "
                "install opencv-python-headless 4.11 to 4.x"
            )

    def faces(
        self, gray: Image, smallest: int, largest: int, scale_factor: float, min_neighbours: int
    ) -> list[tuple[Box, float]]:
        """Faces of all sizes, and their hits, as OpenCV finds them; `largest` 0 is no limit."""
        places, hits = self._cascade.detectMultiScale2(
            gray,
            scaleFactor=scale_factor,
            minNeighbors=min_neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        return _boxes(places, hits)

    def hits(
        self, level: Image, parts: Iterable[Rect], *, twice: bool = False
    ) -> list[tuple[int, int]]:
        """Left and top of all hits of `FACE` pixels in parts of a picture, each once.

        `twice` also searches the places between the steps.
        """
        hits: set[tuple[int, int]] = set()
        shifts = range(STEP if twice else 1)
        for (left, top, right, bottom), shift in itertools.product(parts, shifts):
            # parts that overlap are searched at the same places
            left, top = left - left % STEP + shift, top - top % STEP + shift
            places = self._cascade.detectMultiScale(
                level[top:bottom, left:right],
                minNeighbors=0,
                minSize=(FACE, FACE),
                maxSize=(FACE, FACE),
            )
            hits.update((left + x, top + y) for x, y, _, _ in np.reshape(places, (-1, 4)).tolist())
        return sorted(hits)


def grouped(hits: Sequence[Box], min_neighbours: int) -> list[tuple[Box, float]]:
    """Faces made of more than `min_neighbours` overlapping hits each, and how many these are."""
    boxes = [(round(hit.x), round(hit.y), round(hit.w), round(hit.h)) for hit in hits]
    return _boxes(*cv2.groupRectangles(boxes, min_neighbours, GROUP_EPS)) if boxes else []


def _boxes(places: npt.ArrayLike, hits: npt.ArrayLike) -> list[tuple[Box, float]]:
    """OpenCV's rectangles and numbers; it returns tuples if there are none."""
    boxes = (Box(*place) for place in np.reshape(places, (-1, 4)).astype(float).tolist())
    return list(zip(boxes, np.ravel(hits).astype(float).tolist(), strict=True))
