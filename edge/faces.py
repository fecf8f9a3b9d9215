"""Frames to faces, by two of OpenCV's Haar cascades: one searches, the other must agree.

Haar sees faces in clothes, shelves and lamps. A cascade trained on other false alarms rarely errs
in the same place: on a made crowd the second one confirmed four in five sightings or more of every
real face, and one in seven or fewer of a false one.
"""

from pathlib import Path

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.records import Box, Face, Frame, Image

SEARCH = "haarcascade_frontalface_default.xml"
AGREE = "haarcascade_frontalface_alt2.xml"

AGREE_SIDE_PX = 48
"""A found face is brought to this size before the second look, which so costs the same for all."""
AGREE_MARGIN = 0.35
"""Surroundings shown to the second look, in sides of the box."""
AGREE_RATIO = 0.7
"""The second look must find a face between this and 1 / this times the size."""


class HaarDetector:
    """OpenCV's frontal face cascades as a callable from `Frame` to its faces."""

    def __init__(
        self,
        *,
        min_face_px: int = 24,
        max_face_px: int | None = None,
        scale_factor: float = 1.1,
        min_neighbours: int = 3,
    ) -> None:
        """Sizes are sides of the box in image pixels; no `max_face_px` means no limit.

        `scale_factor` is the ratio between one searched size and the next, `min_neighbours` the
        number of overlapping hits that make a face (P. Viola, M. Jones: Rapid Object Detection
        using a Boosted Cascade of Simple Features, CVPR 2001).

        Raises EdgeError where this OpenCV carries no cascade files.
        """
        self._min, self._max = min_face_px, max_face_px or 0
        self._scale_factor, self._min_neighbours = scale_factor, min_neighbours
        self._search, self._agree = _cascade(SEARCH), _cascade(AGREE)

    def __call__(self, frame: Frame) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right."""
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        smallest, largest = max(1, round(self._min / ratio)), round(self._max / ratio)
        found, _, weights = self._search.detectMultiScale3(
            frame.gray,
            scaleFactor=self._scale_factor,
            minNeighbors=self._min_neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
            outputRejectLevels=True,
        )
        faces = [
            Face(Box(*(float(v) * ratio for v in (x, y, w, h))), float(weight))
            for (x, y, w, h), weight in zip(found, np.ravel(weights), strict=True)
            if self._agrees(frame.gray, int(x), int(y), int(w))
        ]
        return sorted(_apart(faces), key=lambda face: (face.box.x, face.box.y))

    def _agrees(self, gray: Image, x: int, y: int, side: int) -> bool:
        margin = round(AGREE_MARGIN * side)
        part = gray[max(0, y - margin) : y + side + margin, max(0, x - margin) : x + side + margin]
        scale = AGREE_SIDE_PX / side
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        brought = cv2.resize(part, None, fx=scale, fy=scale, interpolation=method)
        low, high = round(AGREE_SIDE_PX * AGREE_RATIO), round(AGREE_SIDE_PX / AGREE_RATIO)
        seen = self._agree.detectMultiScale(
            brought, scaleFactor=1.05, minNeighbors=1, minSize=(low, low), maxSize=(high, high)
        )
        return len(seen) > 0


def _cascade(name: str) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
    if cascade.empty():
        raise EdgeError(
            f"OpenCV {cv2.__version__} has no {name}; install opencv-python-headless 4.11 to 4.x"
        )
    return cascade


def _apart(faces: list[Face]) -> list[Face]:
    """Without the weaker of two boxes that lie on one face."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box.x, face.box.y)):
        if not any(_overlap(face.box, other.box) > 0.3 for other in kept):
            kept.append(face)
    return kept


def _overlap(a: Box, b: Box) -> float:
    """Intersection over the smaller area: a small box within a large one is the same face."""
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    return max(w, 0) * max(h, 0) / min(a.w * a.h, b.w * b.h)
