"""OpenCV's Haar cascade for frontal faces.

P. Viola, M. Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR 2001.
"""

import contextlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from edge.types import Box, Image

OPENCV_FILE = Path(cv2.__file__).parent / "data/haarcascade_frontalface_default.xml"
FAST_FILE = Path(__file__).with_name("frontalface_fast.xml")
"""The same with other early stages, which reject sooner what is no face, and without the last:
it misses few hits and has others beside them. Made by `tools/fast_cascade.py`."""
FACE = 24
"""Side of the cascade's faces, pixels: larger ones are found in a smaller picture."""
STEP = 2
"""Pixels from one searched place to the next, at this size."""
NEARBY = 3
"""Pixels to each side of a place in which the others around it are searched."""
GROUP_EPS = 0.2
"""Largest difference between the sides of hits on one face, in their sides: OpenCV's default."""

Place = tuple[int, int]
"""Left and top, pixels."""
Rect = tuple[int, int, int, int]
"""Left, top, right and bottom, pixels."""


class Cascade:
    """The cascade, loaded, and a fast version of it."""

    def __init__(self) -> None:
        """Raises EdgeError if this OpenCV carries no cascades."""
        self._cascade, self._fast = _loaded(OPENCV_FILE), _loaded(FAST_FILE)

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

    def hits(self, level: Image, part: Rect, shift: int) -> set[Place]:
        """Places of all hits of `FACE` pixels in a part of a picture.

        The search takes steps, from places with the remainder `shift`, 0 or 1, on.
        """
        return _search(self._cascade, level, part, shift)

    def fast_hits(self, level: Image, part: Rect, shift: int) -> set[Place]:
        """The same by the fast cascade, whose hits are to be looked at again."""
        return _search(self._fast, level, part, shift)

    def hits_around(self, level: Image, places: Collection[Place], shift: int) -> set[Place]:
        """Those next to other places: all that are at most `NEARBY` away."""
        found: set[Place] = set()
        return found.union(*(self.hits(level, part, shift) for part in _around(places)))


def _loaded(file: Path) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier()
    # a damaged file is an error, a missing one is not
    with contextlib.suppress(cv2.error):
        cascade.load(str(file))
    if cascade.empty():
        raise EdgeError(
            f"OpenCV {cv2.__version__} cannot read {file}; "
            "install opencv-python-headless 4.11 to 4.x"
        )
    return cascade


def _search(cascade: cv2.CascadeClassifier, level: Image, part: Rect, shift: int) -> set[Place]:
    left, top, right, bottom = part
    # parts that overlap are searched at the same places
    left, top = left + (shift - left) % STEP, top + (shift - top) % STEP
    places = cascade.detectMultiScale(
        level[top:bottom, left:right], minNeighbors=0, minSize=(FACE, FACE), maxSize=(FACE, FACE)
    )
    if not len(places):
        return set()
    return {(left + x, top + y) for x, y, _, _ in np.asarray(places).tolist()}


def _around(hits: Iterable[Place]) -> list[Rect]:
    """The parts of a picture with the neighbours of hits, one for all hits on a face.

    They may reach beyond its right and lower edge.
    """
    groups: list[list[Place]] = []
    for x, y in sorted(hits):
        for group in groups:
            if abs(x - group[0][0]) <= FACE // 2 and abs(y - group[0][1]) <= FACE // 2:
                group.append((x, y))
                break
        else:
            groups.append([(x, y)])
    far = FACE + NEARBY + 1
    parts: list[Rect] = []
    for group in groups:
        xs, ys = zip(*group, strict=True)
        left, top = max(0, min(xs) - NEARBY), max(0, min(ys) - NEARBY)
        parts.append((left, top, max(xs) + far, max(ys) + far))
    return parts


def grouped(hits: Sequence[Box], min_neighbours: int) -> list[tuple[Box, float]]:
    """Faces made of more than `min_neighbours` overlapping hits each, and how many these are."""
    boxes = [(round(hit.x), round(hit.y), round(hit.w), round(hit.h)) for hit in hits]
    return _boxes(*cv2.groupRectangles(boxes, min_neighbours, GROUP_EPS)) if boxes else []


def _boxes(places: npt.ArrayLike, hits: npt.ArrayLike) -> list[tuple[Box, float]]:
    """OpenCV's rectangles and numbers; it returns tuples if there are none."""
    boxes = (Box(*place) for place in np.reshape(places, (-1, 4)).astype(float).tolist())
    return list(zip(boxes, np.ravel(hits).astype(float).tolist(), strict=True))
