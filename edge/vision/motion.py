"""Where the view changes, in cells as large as a third of the smallest face."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Image
from edge.vision.areas import Cells

NOISE_SIGMAS = 1.4826
"""Standard deviation of normal noise, in medians of its absolute values."""
CHANGE_SIGMAS = 6.0
"""Least change, standard deviations of the noise: bright parts are noisier than dark ones."""
MIN_CHANGE = 2.0
"""Least change, gray levels."""
LIGHT_CHANGE = 4.0
"""If half of the cells change by more than this many gray levels, the lighting changed."""


class Motion:
    """Remembers how each cell looked when it last changed, so that slow changes are seen too."""

    def __init__(self, cell_px: float) -> None:
        """`cell_px` is about the side of a cell, pixels."""
        self._cell_px = cell_px
        self._before: npt.NDArray[np.float32] | None = None

    def __call__(self, gray: Image) -> Cells:
        """The cells that differ from how they looked when they last did; all of them at first."""
        now = _thumbnail(gray, self._cell_px)
        if self._before is None:
            self._before = now
            return np.ones(now.shape, np.bool_)
        changed = _changed(now, self._before)
        self._before[changed] = now[changed]
        return changed


def _thumbnail(gray: Image, cell_px: float) -> npt.NDArray[np.float32]:
    height, width = gray.shape
    size = max(1, round(width / cell_px)), max(1, round(height / cell_px))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small.astype(np.float32), (3, 3)), np.float32)


def _changed(now: npt.NDArray[np.float32], before: npt.NDArray[np.float32]) -> Cells:
    difference = np.abs(now - before)
    usual = float(np.median(difference))
    if usual > LIGHT_CHANGE:
        return np.ones(now.shape, np.bool_)
    least = max(MIN_CHANGE, CHANGE_SIGMAS * NOISE_SIGMAS * usual)
    return np.asarray(difference > least, np.bool_)
