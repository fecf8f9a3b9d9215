"""Windows of a cascade: those on faces that it finds, and those that stages so far let pass."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.geometry import overlap
from edge.types import Box, Image
from edge.vision.cascade import FACE, STEP
from edge.vision.preprocessing import Preprocessing
from edge.vision.pyramid import Pyramid
from tools.conversion.cascade_file import Stage, Stump, cascade_text
from tools.training.early_stages import Windows, upright_features

VIEW = Preprocessing(size=66, colour="grey", crop_scale=1.5, crop_down=0.0)
"""A face and what is around it, small enough for few sizes."""
FACE_OVERLAP = 0.15
"""Least overlap of a window on a face with the face's box."""
PER_FACE = 8
"""Most windows on one face: the others are much the same."""
DEFOCUSED, BLUR_PX = 0.4, (0.4, 3.0)
"""Fraction of the pictures that are blurred, and the standard deviation of the blur, pixels."""
LIGHT = 0.25, 1.5
"""Factors of the brightness."""
LIFTED, LIFT = 0.5, (-10, 40)
"""Fraction of the pictures whose gray levels are moved, and by how much."""
MAX_NOISE = 6
"""Largest standard deviation of the noise, gray levels."""
RATIO = 1.1
"""Between one searched size and the next."""


def as_filmed(gray: Image, rng: np.random.Generator) -> Image:
    """A gray picture as a camera might see it: out of focus, in other light, with noise."""
    pixels = gray.astype(np.float32)
    if rng.random() < DEFOCUSED:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(*BLUR_PX))))
    pixels *= np.float32(np.exp(rng.uniform(*np.log(LIGHT))))
    if rng.random() < LIFTED:
        pixels += np.float32(rng.uniform(*LIFT))
    pixels += rng.normal(0, rng.uniform(0, MAX_NOISE), pixels.shape).astype(np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def loaded(stages: Sequence[Stage]) -> cv2.CascadeClassifier:
    """OpenCV's search by these stages."""
    storage = cv2.FileStorage(
        cascade_text("", list(stages)), cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY
    )
    cascade = cv2.CascadeClassifier()
    assert cascade.read(storage.getFirstTopLevelNode())
    return cascade


def everything() -> Stage:
    """A stage that every window passes."""
    stump = Stump(next(upright_features()), 0.0, 0.0, 0.0)
    return Stage((stump,), -1.0)


def hits(
    cascade: cv2.CascadeClassifier, level: Image, shift: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Left and top of what the cascade finds in steps from `shift` on, pixels, (n, 2)."""
    left, top = shift
    places = cascade.detectMultiScale(
        level[top:, left:], minNeighbors=0, minSize=(FACE, FACE), maxSize=(FACE, FACE)
    )
    return np.reshape(places, (-1, 4))[:, :2].astype(np.int64) + shift


def on_face(view: Image, cascade: cv2.CascadeClassifier, rng: np.random.Generator) -> list[Image]:
    """A few of the windows that the cascade finds on the face in the middle of a `VIEW`."""
    side = view.shape[0]
    face_px = side / VIEW.crop_scale
    face = Box((side - face_px) / 2, (side - face_px) / 2, face_px, face_px)
    found, scale, pyramid = [], 1.0, Pyramid(view)
    while side / scale > FACE + 2 * STEP:
        level = pyramid.level(scale)
        for shift in ((0, 0), (0, 1), (1, 0), (1, 1)):
            for x, y in hits(cascade, level, shift).tolist():
                box = Box(x * scale, y * scale, FACE * scale, FACE * scale)
                if overlap(box, face) > FACE_OVERLAP:
                    found.append(level[y : y + FACE, x : x + FACE])
        scale *= RATIO
    return [found[i].copy() for i in rng.permutation(len(found))[:PER_FACE]]


def passing(
    views: Iterable[Image],
    cascade: cv2.CascadeClassifier,
    per_view: int,
    rng: np.random.Generator,
    faces: cv2.CascadeClassifier | None = None,
) -> Windows:
    """Windows in gray pictures that the cascade finds: at most `per_view` in each, at random.

    Those that `faces` finds too are left out.
    """
    windows: list[Image] = []
    for view in views:
        found: list[Image] = []
        scale, pyramid = float(rng.uniform(1, RATIO**2)), Pyramid(view)
        while min(view.shape) / scale > FACE + 2 * STEP:
            level = pyramid.level(scale)
            shift = int(rng.integers(STEP)), int(rng.integers(STEP))
            places = hits(cascade, level, shift)
            left_out = set(map(tuple, hits(faces, level, shift).tolist())) if faces else set()
            # few of each level, so that not all are kept in memory
            few = places[rng.permutation(len(places))[:per_view]]
            found += [
                level[y : y + FACE, x : x + FACE] for x, y in few.tolist() if (x, y) not in left_out
            ]
            scale *= RATIO**2
        windows += [found[i].copy() for i in rng.permutation(len(found))[:per_view]]
    return np.array(windows, np.uint8).reshape(-1, FACE, FACE)
