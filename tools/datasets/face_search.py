"""Find the face in a picture of a data set, with the daemon's own detector."""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge import geometry, types, vision
from edge.sources import frame, pictures
from edge.sources.frame import frame_of
from edge.types import Box, CaptureSettings, Face, Image
from edge.vision.blazeface import BlazeFace
from edge.vision.detector import HaarDetector

FACE_MODEL = Path(__file__).parents[2] / "models/face.tflite"
MIN_FACE_PX = 24
MAX_SEARCHED_PX = 2_000_000
"""Most pixels of a picture and its margin to search; the daemon searches about half a million."""


def detector() -> HaarDetector:
    """The daemon's detector, for one thread. Raises EdgeError."""
    return HaarDetector(BlazeFace(FACE_MODEL), min_face_px=MIN_FACE_PX)


def version() -> str:
    """A digest of all that decides which face is found: the code, the face model and OpenCV."""
    digest = hashlib.sha256(cv2.__version__.encode())
    code = [Path(str(module.__file__)) for module in (geometry, types, frame, pictures)]
    code += sorted(Path(str(vision.__file__)).parent.glob("*.py"))
    for file in (*code, Path(__file__), FACE_MODEL):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def largest_face(image: Image, detect: HaarDetector) -> Box | None:
    """The largest face in a B G R picture, pixels; None if there is none."""

    def search(padded: Image) -> list[Face]:
        return detect(frame_of(0, 0.0, 0.0, padded, CaptureSettings(gray_width=padded.shape[1])))

    faces = with_margin(image, search)
    return max((face.box for face in faces), key=lambda box: box.w, default=None)


def with_margin(image: Image, search: Callable[[Image], list[Face]]) -> list[Face]:
    """Faces that `search` finds in the picture with a margin around it, in pixels of the picture.

    Haar needs some margin around a face, which tightly cropped pictures lack. The margin is at most
    the picture's shorter side, and the search covers at most `MAX_SEARCHED_PX`, so that it is fast
    for pictures of any shape and size.
    """
    height, width = image.shape[:2]
    margin = min(max(height, width) // 4, min(height, width))
    padded = (height + 2 * margin) * (width + 2 * margin)
    scale = min(1.0, math.sqrt(MAX_SEARCHED_PX / padded))
    if scale < 1:
        margin = round(margin * scale)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    image = np.asarray(
        cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE), np.uint8
    )

    def in_picture(box: Box) -> Box:
        return Box((box.x - margin) / scale, (box.y - margin) / scale, box.w / scale, box.h / scale)

    return [dataclasses.replace(face, box=in_picture(face.box)) for face in search(image)]
