"""Looks for a face at one place of a picture with BlazeFace: where it is and how it is tilted.

V. Bazarevsky et al.: BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs, 2019. The
model is MediaPipe's for short range, which also finds turned and tilted heads.
"""

import cmath
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.errors import ModelError
from edge.geometry import is_within, square_box
from edge.types import Box, Face, Image
from edge.vision.crop import normalized_rgb, square
from edge.vision.tflite import Floats, Tensor, open_interpreter, read_model

SIZE = 128
"""Side of the model's input, pixels."""
ANCHORS_PER_CELL = {8: 2, 16: 6}
"""By stride of the grid, pixels: its anchors per cell.

MediaPipe's face_detection_short_range has four layers of two anchors per cell, of strides 8, 16, 16
and 16; its SsdAnchorsCalculator merges layers of one stride cell by cell.
"""
VALUES = 16
"""Values per anchor: center, size, and the points (x, y) of eyes, nose, mouth and ears."""

VIEWS = ((4.0, False), (3.0, False), (4.0, True), (5.0, False), (3.0, True), (5.0, True))
"""Side of the square that the model sees, in sides of the Haar box, and whether it is mirrored.

The first is the surest on its own. On real clips, real faces of 25 px scored 0.66 or more in nine
of ten sightings, a shelf that Haar takes for a face 0.39 or less; at 3.0 it was 0.69 and 0.55, at
6.0 0.39 and 0.38. A face is one in all of them; what only looks like one often is not, even in a
picture that stands still.
"""
LANDMARKS = (0.314 + 0.389j, 0.671 + 0.391j, 0.485 + 0.629j, 0.489 + 0.789j)
"""Eyes, nose and mouth (x + yj) in the Haar box of an upright face, in its sides.

The median over 542 faces of UTKFace's and the web faces' validation splits.
"""
MIDDLE = sum(LANDMARKS) / len(LANDMARKS)
OFFSETS = tuple(point - MIDDLE for point in LANDMARKS)
"""`LANDMARKS` from their mean, `MIDDLE`."""
SPREAD = sum(abs(offset) ** 2 for offset in OFFSETS)
MIN_SCORE = 0.1
"""Least probability of a face that is returned, 0 to 1."""
MAX_SHIFT = 0.35
"""Largest shift of the face from the middle of the place along each axis, in its sides."""


class BlazeFace:
    """Finds the face at a place, as a callable from picture and box to `Face` or None."""

    def __init__(self, model: Path, *, runtime: str = "auto", threads: int = 1) -> None:
        """Raises ModelError."""
        read_model(model)
        self._interpreter, _ = open_interpreter(model, runtime, threads)
        self._input = Tensor.of(self._interpreter.get_input_details()[0])
        outputs = [Tensor.of(details) for details in self._interpreter.get_output_details()]
        self._anchors = anchors()
        shapes = [(1, len(self._anchors), values) for values in (VALUES, 1)]
        if self._input.shape != (1, SIZE, SIZE, 3) or [o.shape for o in outputs] != shapes:
            raise ModelError(f"model {model}: is not MediaPipe's BlazeFace for short range")
        self._values, self._scores = outputs

    def __call__(self, image: Image, box: Box, ratio: float, view: int = 0) -> Face | None:
        """The most probable face at `box`, a Haar box in pixels of the B G R `image`.

        `view` is an index into `VIEWS`, which go round.

        It is at most `ratio` times as large or small. Its box is the one that Haar would draw
        around the same face held upright, its score the probability of a face, 0 to 1.
        """
        scale, mirrored = VIEWS[view % len(VIEWS)]
        side = round(scale * box.w)
        left, top = round(box.cx - side / 2), round(box.cy - side / 2)
        picture = square(image, left, top, side, SIZE)
        values, scores = self._run(picture, mirrored)
        candidates = np.flatnonzero(scores >= MIN_SCORE)
        for index in candidates[np.argsort(-scores[candidates], kind="stable")].tolist():
            points = _points(values[index, 4:12].tolist(), self._anchors[index].tolist(), mirrored)
            corner = complex(left, top)
            face = _face_at([point * side + corner for point in points], float(scores[index]))
            if is_within(face.box, box, MAX_SHIFT, ratio):
                return face
        return None

    def _run(self, view: Image, mirrored: bool = False) -> tuple[Floats, Floats]:
        rgb = normalized_rgb(view, mirrored)
        self._interpreter.set_tensor(self._input.index, rgb[None])
        self._interpreter.invoke()
        values = self._interpreter.get_tensor(self._values.index)[0]
        logits = self._interpreter.get_tensor(self._scores.index)[0, :, 0]
        return values, 1 / (1 + np.exp(-np.clip(logits, -80, 80)))


def anchors() -> Floats:
    """Centers (x, y) of the anchors as fractions of the input, float32 (896, 2)."""
    centers: list[Floats] = []
    for stride, per_cell in ANCHORS_PER_CELL.items():
        steps = (np.arange(SIZE // stride, dtype=np.float32) + 0.5) * stride / SIZE
        x, y = np.meshgrid(steps, steps)
        centers.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    return np.concatenate(centers)


def _points(values: Sequence[float], anchor: Sequence[float], mirrored: bool) -> list[complex]:
    """Eyes, nose and mouth in the model's input, whose side is 1, from an anchor's values."""
    corner = complex(*anchor)
    points = [complex(x, y) / SIZE + corner for x, y in zip(values[::2], values[1::2], strict=True)]
    if not mirrored:
        return points
    # its left eye is on the right in the mirror
    right, left, *others = (complex(1 - point.real, point.imag) for point in points)
    return [left, right, *others]


def _face_at(points: Sequence[complex], score: float) -> Face:
    """The face whose eyes, nose and mouth lie at `points`, pixels.

    The line through the eyes gives its tilt, for nose and mouth also move when a head turns away.
    Place and size fit `LANDMARKS` with the least squares.
    """
    middle = sum(points) / len(points)
    tilt = (points[1] - points[0]) / max(abs(points[1] - points[0]), 1e-6)
    fit = sum(
        (tilt * offset).conjugate() * (point - middle)
        for offset, point in zip(OFFSETS, points, strict=True)
    )
    side = fit.real / SPREAD
    return Face(
        square_box(middle + side * tilt * (0.5 + 0.5j - MIDDLE), side),
        score,
        roll=math.degrees(cmath.phase(tilt)),
    )
