"""Recognizes faces that never move: a poster, a screen, a shelf in which Haar sees a face. Pure.

A person who stands or sits for minutes sways, turns, comes and goes; a poster does none of it.
"""

import math
from dataclasses import dataclass

from edge.geometry import is_near, is_same_place
from edge.types import Box

SMOOTHING_S = 3.0
"""Time constant of the average over a face's boxes, seconds: single ones jitter by a tenth."""
STILL_SHIFT = 0.08
"""Largest shift of the averaged box of a still face, face widths: 1.3 cm of a head's 16."""
STILL_RATIO = 1.12
"""Largest ratio between the averaged widths of a still face."""
MAX_GAP_S = 1.0
"""A sighting vouches for the time since the one before, but for at most this long, seconds."""
FORGET_AFTER_S = 3600.0
"""Seconds without a face after which a place is forgotten: the poster was taken down."""
DECAY_S = 4 * 3600.0
"""Decay time constant, seconds: after this long a sighting's weight has fallen to 1/e.

Without it, many people who each look up for a moment at one busy spot would make it a poster in a
day or two. With 180 seconds for `static_after` they may do so for 1.25 % of the time.
"""


@dataclass(slots=True)
class StationaryFilter:
    """How long one face has kept still."""

    box: Box
    """Its boxes, averaged over `SMOOTHING_S`."""
    anchor: Box
    """The average when it last moved."""
    still_s: float = 0.0
    """Seconds of sightings since then."""
    moved: bool = False
    """Whether it ever moved."""

    @classmethod
    def at(cls, box: Box) -> "StationaryFilter":
        return cls(box, box)

    def update(self, box: Box, elapsed: float) -> None:
        """Take in one more sighting, `elapsed` seconds after the one before."""
        alpha = 1 - math.exp(-elapsed / SMOOTHING_S)
        old = self.box
        self.box = Box(
            old.x + alpha * (box.x - old.x),
            old.y + alpha * (box.y - old.y),
            old.w + alpha * (box.w - old.w),
            old.h + alpha * (box.h - old.h),
        )
        if is_near(self.box, self.anchor, STILL_SHIFT, STILL_RATIO):
            self.still_s += min(elapsed, MAX_GAP_S)
        else:
            self.anchor, self.still_s, self.moved = self.box, 0.0, True


@dataclass(slots=True)
class StationaryObject:
    """A place at which one face or several kept still."""

    box: Box
    still_s: float
    """Seconds in sum; those long ago count less."""
    last: float
    """`Frame.mono` of the latest face there, seconds."""


class StationaryObjects:
    """Remembers where faces keep still, so that the sightings of one that flickers add up."""

    def __init__(self, static_after: float) -> None:
        """A place is stationary once faces kept still there for `static_after` seconds in sum."""
        self._static_after = static_after
        self._objects: list[StationaryObject] = []

    def add(self, face: StationaryFilter, mono: float) -> None:
        """Remember a face that never moved and has gone, or that kept still for long enough."""
        for known in self._objects:
            if is_same_place(face.box, known.box):
                known.still_s *= math.exp((known.last - mono) / DECAY_S)
                known.still_s += face.still_s
                known.last = mono
                return
        self._objects.append(StationaryObject(face.box, face.still_s, mono))

    def recognize(self, box: Box, mono: float) -> bool:
        """Whether the face in `box` is at a stationary place, which is then remembered longer."""
        self._objects = [known for known in self._objects if mono - known.last <= FORGET_AFTER_S]
        for known in self._objects:
            if self._is_stationary(known) and is_same_place(box, known.box):
                known.last = mono
                return True
        return False

    def __len__(self) -> int:
        """Number of stationary places remembered."""
        return sum(map(self._is_stationary, self._objects))

    def _is_stationary(self, known: StationaryObject) -> bool:
        return known.still_s >= self._static_after
