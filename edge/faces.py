"""Frames to faces, by two of OpenCV's Haar cascades: one searches, the other must agree.

Haar sees faces in clothes, shelves and lamps. A cascade trained on other false alarms rarely errs
in the same place: on a made crowd the second one confirmed four in five sightings or more of every
real face, and one in seven or fewer of a false one.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from edge.records import Box, Face, Frame, Image

Polygon = Sequence[tuple[float, float]]
"""Corners (x, y) in fractions of the picture, from its top left corner."""

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
        region: Polygon | None = None,
        excluded: Sequence[Polygon] = (),
    ) -> None:
        """Sizes are sides of the box in image pixels; no `max_face_px` means no limit.

        `scale_factor` is the ratio between one searched size and the next, `min_neighbours` the
        number of overlapping hits that make a face (P. Viola, M. Jones: Rapid Object Detection
        using a Boosted Cascade of Simple Features, CVPR 2001). A face counts where its centre lies
        in `region` and in none of `excluded`; outside of the region nothing is searched.

        Raises EdgeError where this OpenCV carries no cascade files.
        """
        self._min, self._max = min_face_px, max_face_px or 0
        self._scale_factor, self._min_neighbours = scale_factor, min_neighbours
        self._region = None if region is None else np.array(region, np.float32)
        self._excluded = [np.array(polygon, np.float32) for polygon in excluded]
        self._search, self._agree = _cascade(SEARCH), _cascade(AGREE)

    def __call__(self, frame: Frame) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right."""
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        smallest, largest = max(1, round(self._min / ratio)), round(self._max / ratio)
        left, top, right, bottom = self._searched(frame.gray, largest)
        found, _, weights = self._search.detectMultiScale3(
            frame.gray[top:bottom, left:right],
            scaleFactor=self._scale_factor,
            minNeighbors=self._min_neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
            outputRejectLevels=True,
        )
        places = [(x + left, y + top, w, h) for x, y, w, h in found]
        height, width = frame.gray.shape
        faces = [
            Face(Box(*(float(v) * ratio for v in (x, y, w, h))), float(weight))
            for (x, y, w, h), weight in zip(places, np.ravel(weights), strict=True)
            if self._counts((x + w / 2) / width, (y + h / 2) / height)
            and self._agrees(frame.gray, int(x), int(y), int(w))
        ]
        return sorted(_apart(faces), key=lambda face: (face.box.x, face.box.y))

    def _searched(self, gray: Image, largest: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of all faces whose centre may lie in the region, pixels."""
        height, width = gray.shape
        if self._region is None:
            return 0, 0, width, height
        half = (largest or min(width, height)) / 2
        low = self._region.min(axis=0) * (width, height) - half
        high = self._region.max(axis=0) * (width, height) + half
        left, top = (int(v) for v in np.maximum(np.floor(low), 0))
        right, bottom = (int(v) for v in np.minimum(np.ceil(high), (width, height)))
        return left, top, right, bottom

    def _counts(self, x: float, y: float) -> bool:
        def within(polygon: npt.NDArray[np.float32]) -> bool:
            return cv2.pointPolygonTest(polygon, (float(x), float(y)), measureDist=False) >= 0

        return (self._region is None or within(self._region)) and not any(
            within(polygon) for polygon in self._excluded
        )

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
