"""Shows a view in which the place can be recognized and people cannot.

No face is looked for, so one that every detector misses is hidden, too. What is left of a picture
is a small, blurred copy and, apart from it, the long straight lines of the room: door frames,
shelves, the edge of a floor. A face has short and curved ones, however still it is held.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Image

CELLS = 8
"""Pixels of the copy along the picture's shorter side: a face half as large is 4 of them wide.

People still recognize half of the well-known faces at 7 x 10 pixels (P. Sinha et al.: Face
Recognition by Humans, Proceedings of the IEEE, 2006). With 12, Haar and BlazeFace found faces of
0.65 of the picture's width in the copy, with 8 none of 87 faces in 26 clips.
"""
MAX_ASPECT = 4
"""Most pixels of the copy along the longer side, in multiples of `CELLS`."""
BLUR_CELLS = 1.0
"""Standard deviation of the blur before the copy is sampled, in its pixels.

Less than 1 % of the contrast is left of what is finer than two of them, so that many pictures of a
face that moves show no more of it than one does.
"""
FINER = 4
"""The blur is applied to a copy this many times as large as the result: that is fast enough."""
LEVELS = 64
"""Values per color channel."""

LINE_LENGTH = 0.2
"""Shortest line shown, in lengths of the picture's shorter side.

Of a face two thirds as wide as the picture, 0.15 showed the mouth and a cheek, 0.25 nothing.
"""
MAX_LINES = 80
"""Most lines, the longest first."""
LINES_EVERY_S = 1.0
"""Seconds between two searches for lines: a room stays as it is."""
MEMORY_S = 3.0
"""Time constant of the average in which lines are searched, seconds: people who pass fade."""

FULL_WIDTH = 960
"""Largest width of a full picture, pixels."""

Line = tuple[float, float, float, float]
"""Both ends of a line, x1, y1, x2, y2, in fractions of the picture."""


def degrade(image: Image) -> Image:
    """A copy of a B G R picture, `CELLS` pixels along its shorter side, that shows no face."""
    height, width = image.shape[:2]
    cell = max(min(width, height) / CELLS, max(width, height) / (CELLS * MAX_ASPECT))
    size = (max(1, round(width / cell)), max(1, round(height / cell)))
    finer = (size[0] * FINER, size[1] * FINER)
    copy = cv2.resize(image, finer, interpolation=cv2.INTER_AREA)
    copy = cv2.GaussianBlur(copy, (0, 0), BLUR_CELLS * FINER)
    copy = cv2.resize(copy, size, interpolation=cv2.INTER_AREA)
    step = 256 // LEVELS
    return np.asarray(copy // step * step + step // 2, np.uint8)


def degraded_png(image: Image) -> bytes:
    """`degrade` as a PNG file."""
    return _encoded(".png", degrade(image))


def full_jpeg(image: Image) -> bytes:
    """A picture as it is, at most `FULL_WIDTH` wide, as a JPEG file without metadata."""
    height, width = image.shape[:2]
    if width > FULL_WIDTH:
        size = (FULL_WIDTH, max(1, round(height * FULL_WIDTH / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _encoded(".jpg", image)


def _encoded(suffix: str, image: Image) -> bytes:
    return bytes(cv2.imencode(suffix, image)[1])


class RoomLines:
    """The long straight lines of a room, from an average over the newest pictures."""

    def __init__(self) -> None:
        self._average: npt.NDArray[np.float32] | None = None
        self._updated = self._searched = float("-inf")
        self._lines: Sequence[Line] = ()
        self._find = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD)

    def update(self, gray: Image, mono: float) -> Sequence[Line]:
        """The lines after one more gray picture, taken at `mono`, seconds."""
        if self._average is None or self._average.shape != gray.shape or mono < self._updated:
            self._average, self._searched = gray.astype(np.float32), float("-inf")
        else:
            weight = 1 - np.exp((self._updated - mono) / MEMORY_S)
            cv2.accumulateWeighted(gray, self._average, float(weight))
        self._updated = mono
        if mono - self._searched >= LINES_EVERY_S:
            self._searched, self._lines = mono, self._search(self._average)
        return self._lines

    def _search(self, average: npt.NDArray[np.float32]) -> Sequence[Line]:
        # R. Grompone von Gioi et al.: LSD: a Line Segment Detector, IPOL 2012
        found: Any = self._find.detect(average.astype(np.uint8))[0]  # None without any lines
        if found is None:
            return ()
        height, width = average.shape
        ends = np.reshape(found, (-1, 4))
        lengths = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
        longest = np.argsort(-lengths, kind="stable")[:MAX_LINES]
        kept = [i for i in longest if lengths[i] >= LINE_LENGTH * min(width, height)]
        fractions = ends[kept] / (width, height, width, height)
        return [(x1, y1, x2, y2) for x1, y1, x2, y2 in fractions.round(3).tolist()]
