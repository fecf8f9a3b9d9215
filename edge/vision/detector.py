"""Frames to faces: Haar's cascade searches, a second look judges and goes on where Haar loses one.

Haar sees faces in clothes, shelves and lamps, and loses a face that turns away. A small network
looks only where Haar found something or where a followed face is expected, so it costs little.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from edge.geometry import overlap
from edge.types import Box, Face, Frame, Image

Polygon = Sequence[tuple[float, float]]
"""Corners (x, y) in fractions of the picture, from its top left corner."""

SEARCH = "haarcascade_frontalface_default.xml"

FOUND_RATIO = 1.6
"""Haar's boxes vary: a face it found may be so many times larger or smaller at the second look."""
RECOVERED_RATIO = 1.4
"""How large a face is that is followed is known better."""
SAME = 0.5
"""A found face that shares this much of the smaller box with an expected one is that one."""


class Verifier(Protocol):
    """Looks at one place of a picture: is there a face, and where."""

    def __call__(self, image: Image, box: Box, ratio: float) -> Face | None: ...


class HaarDetector:
    """OpenCV's frontal face cascade as a callable from `Frame` to its faces."""

    def __init__(
        self,
        judge: Verifier,
        *,
        min_face_px: int = 24,
        max_face_px: int | None = None,
        scale_factor: float = 1.1,
        min_neighbours: int = 2,
        region: Polygon | None = None,
        excluded: Sequence[Polygon] = (),
    ) -> None:
        """What Haar finds is a face where `judge` sees one too.

        Sizes are sides of the box in image pixels; no `max_face_px` means no limit.
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
        self._judge, self._search = judge, _cascade(SEARCH)

    def __call__(self, frame: Frame, expected: Sequence[Box] = ()) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right.

        Where one is `expected`, Haar needs no second opinion, and what the second look alone finds
        is `recovered`.
        """
        faces = [
            face
            for face in _apart(self._found(frame))
            if _is_among(face.box, expected) or self._judge(frame.image, face.box, FOUND_RATIO)
        ]
        seen = [face.box for face in faces]
        for place in expected:
            if not _is_among(place, seen):
                recovered = self._judge(frame.image, place, RECOVERED_RATIO)
                if recovered is not None and self._counts(recovered.box, frame):
                    faces.append(dataclasses.replace(recovered, recovered=True))
        return sorted(_apart(faces), key=lambda face: (face.box.x, face.box.y))

    def _found(self, frame: Frame) -> list[Face]:
        """What Haar's cascade finds where faces count; scored by the number of overlapping hits."""
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        smallest, largest = max(1, round(self._min / ratio)), round(self._max / ratio)
        left, top, right, bottom = self._searched(frame.gray, largest)
        places, hits = self._search.detectMultiScale2(
            frame.gray[top:bottom, left:right],
            scaleFactor=self._scale_factor,
            minNeighbors=self._min_neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        boxes = [
            Box((x + left) * ratio, (y + top) * ratio, w * ratio, h * ratio)
            for x, y, w, h in np.reshape(places, (-1, 4)).tolist()
        ]
        return [
            Face(box, float(number))
            for box, number in zip(boxes, np.ravel(hits), strict=True)
            if self._counts(box, frame)
        ]

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

    def _counts(self, box: Box, frame: Frame) -> bool:
        height, width = frame.image.shape[:2]
        middle = box.cx / width, box.cy / height

        def within(polygon: npt.NDArray[np.float32]) -> bool:
            return cv2.pointPolygonTest(polygon, middle, measureDist=False) >= 0

        return (self._region is None or within(self._region)) and not any(
            within(polygon) for polygon in self._excluded
        )


def _cascade(name: str) -> cv2.CascadeClassifier:
    cascade = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
    if cascade.empty():
        raise EdgeError(
            f"OpenCV {cv2.__version__} has no {name}; install opencv-python-headless 4.11 to 4.x"
        )
    return cascade


def _apart(faces: list[Face]) -> list[Face]:
    """Without the weaker of two boxes that lie on one face; one that Haar found is stronger."""
    kept: list[Face] = []
    for face in sorted(
        faces, key=lambda face: (face.recovered, -face.score, face.box.x, face.box.y)
    ):
        if not any(overlap(face.box, other.box) > 0.3 for other in kept):
            kept.append(face)
    return kept


def _is_among(box: Box, others: Sequence[Box]) -> bool:
    return any(overlap(box, other) > SAME for other in others)
