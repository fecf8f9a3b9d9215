"""Frames to faces, by OpenCV's Haar cascade."""

from pathlib import Path

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.records import Box, Face, Frame

CASCADE = "haarcascade_frontalface_default.xml"


class HaarDetector:
    """OpenCV's frontal face cascade as a callable from `Frame` to its faces."""

    def __init__(
        self,
        *,
        min_face_px: int = 24,
        max_face_px: int | None = None,
        scale_factor: float = 1.1,
        min_neighbours: int = 3,
    ) -> None:
        """Sizes are sides of the box in image pixels; without `max_face_px` there is no upper limit.

        `scale_factor` is the ratio between one searched size and the next, `min_neighbours` the
        number of overlapping hits that make a face (P. Viola, M. Jones: Rapid Object Detection
        using a Boosted Cascade of Simple Features, CVPR 2001).

        Raises EdgeError where this OpenCV carries no cascade files.
        """
        self._min, self._max = min_face_px, max_face_px or 0
        self._scale_factor, self._min_neighbours = scale_factor, min_neighbours
        path = Path(cv2.data.haarcascades) / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise EdgeError(
                f"OpenCV {cv2.__version__} has no {CASCADE}; "
                "install opencv-python-headless 4.11 to 4.x, not 5"
            )

    def __call__(self, frame: Frame) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right."""
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        smallest = max(1, round(self._min / ratio))
        largest = round(self._max / ratio)
        boxes, _, weights = self._cascade.detectMultiScale3(
            frame.gray,
            scaleFactor=self._scale_factor,
            minNeighbors=self._min_neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
            outputRejectLevels=True,
        )
        faces = [
            Face(Box(*(float(v) * ratio for v in box)), float(weight))
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]
        return sorted(faces, key=lambda face: (face.box.x, face.box.y))
