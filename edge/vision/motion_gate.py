"""A still view, empty or with a poster in it, needs no search: what keeps an idle machine cool."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.geometry import is_same_place
from edge.types import Box, Face, Frame, Image

Detect = Callable[[Frame, Sequence[Box]], Sequence[Face]]

WIDTH = 64
"""Pixels across the small copy in which changes are looked for: a face of 24 of 640 has two."""
SEARCH_EVERY_S = 1.0
"""A face that came without a change is found after at most so long."""
FACES_EVERY_S = 0.3
"""The same while there are faces: what tells a poster averages over some of Haar's boxes."""
AWAKE_S = 2.0
"""Searched for so long after a change of the view, or of what was found in it.

Haar does not see a face in every frame, and sees some that are none.
"""
USUAL = 75
"""Percentile of all differences that tells the noise: what moves covers less than the rest."""
SIGMA = 1.15
"""That percentile of the absolute values of normal noise, in standard deviations."""
NOISE = 8.0
"""A change is so many standard deviations; bright parts of a view are noisier than dark ones."""
LEAST = 2.0
"""And at least so many grey levels."""
LIGHT = 4.0
"""Where a quarter of the view changed by more grey levels than this, it is no noise."""


class MotionGate:
    """A detector that rests while nothing changes: then the faces are where they were."""

    def __init__(self, detect: Detect) -> None:
        self._detect = detect
        self._still: npt.NDArray[np.float32] | None = None
        """The small copy of the last searched frame."""
        self._faces: Sequence[Face] = ()
        """What was found in it."""
        self._searched = self._changed = float("-inf")

    def __call__(self, frame: Frame, expected: Sequence[Box] = ()) -> Sequence[Face]:
        """The faces in `frame`, or in the last one searched where nothing has changed since."""
        small = _small(frame.gray)
        if self._still is None or changed(small, self._still):
            self._changed = frame.mono
        awake = frame.mono - self._changed <= AWAKE_S
        rest_s = FACES_EVERY_S if self._faces else SEARCH_EVERY_S
        if awake or frame.mono - self._searched >= rest_s:
            self._still, self._searched = small, frame.mono
            before, self._faces = self._faces, self._detect(frame, expected)
            if not _alike(self._faces, before):
                self._changed = frame.mono
        return self._faces


def _alike(now: Sequence[Face], before: Sequence[Face]) -> bool:
    return len(now) == len(before) and all(
        any(is_same_place(a.box, b.box) for b in before) for a in now
    )


def _small(gray: Image) -> npt.NDArray[np.float32]:
    height, width = gray.shape
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(small.astype(np.float32), (3, 3)), np.float32)


def changed(now: npt.NDArray[np.float32], before: npt.NDArray[np.float32]) -> bool:
    """Whether two small copies, in grey levels, differ by more than noise."""
    if now.shape != before.shape:
        return True
    difference = np.abs(now - before)
    usual = float(np.percentile(difference, USUAL))
    return usual > LIGHT or float(difference.max()) > max(LEAST, NOISE * usual / SIGMA)
