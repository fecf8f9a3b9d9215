"""Finds the faces in a frame: Haar's cascade searches, a small network verifies and recovers.

Haar sees faces in clothes, shelves and lamps, and loses a face that turns away. The network looks
only at what Haar found and where a followed face should be, so it costs little.
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

CASCADE = "haarcascade_frontalface_default.xml"

VERIFY_RATIO = 1.6
"""Largest ratio between Haar's box and the verified one: Haar's vary in size."""
RECOVER_RATIO = 1.4
"""Largest ratio between a predicted box and the recovered one: its size is known better."""
SAME_PLACE_OVERLAP = 0.5
"""Overlap from which a found face is the one that was predicted there."""
SAME_FACE_OVERLAP = 0.3
"""Overlap from which two boxes are one face.

In a film of a crowd, seven in ten pairs of boxes that overlap at all share less: people who pass
each other. Two in ten share 0.6 or more: one face. What lies between is taken for one face, for a
face found twice is counted twice, and one that is half hidden comes to light soon.
"""


class Verifier(Protocol):
    """Looks for a face at one place of a picture, at most `ratio` times as large or small."""

    def __call__(self, image: Image, box: Box, ratio: float) -> Face | None: ...


class HaarDetector:
    """OpenCV's frontal face cascade and a verifier, as a callable from `Frame` to its faces."""

    def __init__(
        self,
        verify: Verifier,
        *,
        min_face_px: int = 24,
        max_face_px: int | None = None,
        scale_factor: float = 1.1,
        min_neighbours: int = 2,
        region: Polygon | None = None,
        excluded: Sequence[Polygon] = (),
    ) -> None:
        """What Haar finds is a face if `verify` sees one there too.

        Sizes are sides of the box in image pixels; no `max_face_px` means no limit.
        `scale_factor` is the ratio between one searched size and the next, `min_neighbours` the
        number of overlapping hits that make a face (P. Viola, M. Jones: Rapid Object Detection
        using a Boosted Cascade of Simple Features, CVPR 2001). A face counts if its center lies in
        `region` and in none of `excluded`; nothing is searched outside of the region.

        Raises EdgeError if this OpenCV carries no cascade files.
        """
        self._min, self._max = min_face_px, max_face_px or 0
        self._scale_factor, self._min_neighbours = scale_factor, min_neighbours
        self._region = None if region is None else np.array(region, np.float32)
        self._excluded = [np.array(polygon, np.float32) for polygon in excluded]
        self._verify, self._search = verify, _cascade(CASCADE)

    def __call__(self, frame: Frame, predicted: Sequence[Box] = ()) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right.

        A face of Haar's where one is `predicted` needs no verification; one that the verifier alone
        finds there is `recovered`.
        """
        faces = [
            face
            for face in _without_duplicates(self._find(frame))
            if _is_among(face.box, predicted) or self._verify(frame.image, face.box, VERIFY_RATIO)
        ]
        found = [face.box for face in faces]
        for place in predicted:
            if not _is_among(place, found):
                recovered = self._verify(frame.image, place, RECOVER_RATIO)
                if recovered is not None and self._counts(recovered.box, frame):
                    faces.append(dataclasses.replace(recovered, recovered=True))
        return sorted(_without_duplicates(faces), key=lambda face: (face.box.x, face.box.y))

    def is_face(self, frame: Frame, box: Box) -> bool:
        """Whether the verifier sees a face at `box`, in pixels of `frame.image`."""
        return self._verify(frame.image, box, VERIFY_RATIO) is not None

    def _find(self, frame: Frame) -> list[Face]:
        """Haar's faces that count; their score is the number of overlapping hits."""
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        smallest, largest = max(1, round(self._min / ratio)), round(self._max / ratio)
        left, top, right, bottom = self._searched_area(frame.gray, largest)
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

    def _searched_area(self, gray: Image, largest: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, pixels, of all faces whose center may be in the region."""
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
        point = box.cx / width, box.cy / height

        def within(polygon: npt.NDArray[np.float32]) -> bool:
            return cv2.pointPolygonTest(polygon, point, measureDist=False) >= 0

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


def _without_duplicates(faces: list[Face]) -> list[Face]:
    """Of boxes on one face only the strongest; those that Haar found are stronger."""
    distinct: list[Face] = []
    for face in sorted(
        faces, key=lambda face: (face.recovered, -face.score, face.box.x, face.box.y)
    ):
        if not any(overlap(face.box, other.box) > SAME_FACE_OVERLAP for other in distinct):
            distinct.append(face)
    return distinct


def _is_among(box: Box, others: Sequence[Box]) -> bool:
    return any(overlap(box, other) > SAME_PLACE_OVERLAP for other in others)
