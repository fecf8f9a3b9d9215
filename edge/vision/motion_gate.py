"""Skips the search while the view is still, empty or with a poster in it, to keep cool."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.geometry import is_same_place
from edge.types import Box, Face, Frame, Image

Detect = Callable[[Frame, Sequence[Box]], Sequence[Face]]

THUMBNAIL_PX = 64
"""Width of the copy that is compared, pixels: a face of 24 of 640 covers two of them."""
SEARCH_EVERY_S = 1.0
"""Longest time between searches of a still view, seconds: a face may come without a change."""
SEARCH_FACES_EVERY_S = 0.3
"""The same while there are faces, seconds: posters show in an average over Haar's boxes."""
AWAKE_S = 2.0
"""Every frame is searched for this long after a change of the view or its faces, seconds.

Haar does not see a face in every frame, and sees some that are not faces.
"""
NOISE_PERCENTILE = 75
"""Percentile of the differences that measures the noise: less than a quarter of a view moves."""
PERCENTILE_SIGMAS = 1.15
"""That percentile of normal noise's absolute values, standard deviations."""
CHANGE_SIGMAS = 8.0
"""Least change, standard deviations of the noise: bright parts are noisier than dark ones."""
MIN_CHANGE = 2.0
"""Least change, gray levels."""
LIGHT_CHANGE = 4.0
"""If a quarter of the pixels change by more than this many gray levels, the lighting changed."""


class MotionGate:
    """A detector that returns the last faces again while nothing changes."""

    def __init__(self, detect: Detect) -> None:
        self._detect = detect
        self._thumbnail: npt.NDArray[np.float32] | None = None
        """Of the last searched frame."""
        self._faces: Sequence[Face] = ()
        """Those found in it."""
        self._searched = self._changed = float("-inf")

    def __call__(self, frame: Frame, predicted: Sequence[Box] = ()) -> Sequence[Face]:
        """The faces in `frame`, or in the last one searched if nothing has changed since."""
        thumbnail = _thumbnail(frame.gray)
        if self._thumbnail is None or has_changed(thumbnail, self._thumbnail):
            self._changed = frame.mono
        awake = frame.mono - self._changed <= AWAKE_S
        interval_s = SEARCH_FACES_EVERY_S if self._faces else SEARCH_EVERY_S
        if awake or frame.mono - self._searched >= interval_s:
            self._thumbnail, self._searched = thumbnail, frame.mono
            before, self._faces = self._faces, self._detect(frame, predicted)
            if not _are_are_alike(self._faces, before):
                self._changed = frame.mono
        return self._faces


def _are_are_alike(now: Sequence[Face], before: Sequence[Face]) -> bool:
    return len(now) == len(before) and all(
        any(is_same_place(a.box, b.box) for b in before) for a in now
    )


def _thumbnail(gray: Image) -> npt.NDArray[np.float32]:
    height, width = gray.shape
    size = (THUMBNAIL_PX, max(1, round(height * THUMBNAIL_PX / width)))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small.astype(np.float32), (3, 3)), np.float32)


def has_changed(now: npt.NDArray[np.float32], before: npt.NDArray[np.float32]) -> bool:
    """Whether two thumbnails, float32 gray levels, differ by more than noise."""
    if now.shape != before.shape:
        return True
    difference = np.abs(now - before)
    usual = float(np.percentile(difference, NOISE_PERCENTILE))
    least = max(MIN_CHANGE, CHANGE_SIGMAS * usual / PERCENTILE_SIGMAS)
    return usual > LIGHT_CHANGE or float(difference.max()) > least
