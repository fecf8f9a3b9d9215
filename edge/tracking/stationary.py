"""Faces that never move: a poster, a screen, a shelf in which Haar sees a face. Pure.

Somebody who stands or sits for minutes sways, turns and comes and goes; a poster does none of it.
"""

import math
from dataclasses import dataclass

from edge.geometry import is_near, is_same_place
from edge.types import Box

STEADY_S = 3.0
"""Haar's boxes jitter by a tenth of their size; averaged over so long they are steady."""
STILL_SHIFT = 0.08
"""A steady face that moved farther than this, in face widths, is alive: 1.3 cm of a head's 16."""
STILL_GROWTH = 1.12
"""And so is one whose steady size changed by more than this ratio."""
MAX_GAP_S = 1.0
"""A sighting vouches for the time since the one before, but for no longer than this."""
FORGET_S = 3600.0
"""A place without a face for so long is forgotten: the poster was taken down."""
FADE_S = 4 * 3600.0
"""What was seen so long ago tells a third of what is seen now.

Else the many who each look up for a moment at one busy spot would make it a poster in a day or two.
With 180 seconds for `static_after` they may do so for 1.25 % of the time.
"""


@dataclass(slots=True)
class StationaryFilter:
    """How long one face has been where it is."""

    box: Box
    """Where it is, averaged over `STEADY_S`."""
    anchor: Box
    """Where it was when it last moved."""
    still_s: float = 0.0
    """Seconds of sightings since then."""
    moved: bool = False

    @classmethod
    def at(cls, box: Box) -> "StationaryFilter":
        return cls(box, box)

    def see(self, box: Box, elapsed: float) -> None:
        """One more sighting, `elapsed` seconds after the one before."""
        share = 1 - math.exp(-elapsed / STEADY_S)
        old = self.box
        self.box = Box(
            old.x + share * (box.x - old.x),
            old.y + share * (box.y - old.y),
            old.w + share * (box.w - old.w),
            old.h + share * (box.h - old.h),
        )
        if is_near(self.box, self.anchor, STILL_SHIFT, STILL_GROWTH):
            self.still_s += min(elapsed, MAX_GAP_S)
        else:
            self.anchor, self.still_s, self.moved = self.box, 0.0, True


@dataclass(slots=True)
class StationaryObject:
    """Where faces have stood still, one after the other or one for long."""

    box: Box
    seen_s: float
    last: float


class StationaryObjects:
    """Remembers where faces stand still, so that one that flickers adds up."""

    def __init__(self, static_after: float) -> None:
        """A place is static once faces were still there for `static_after` seconds in sum, of which
        the older ones fade."""
        self._static_after = static_after
        self._places: list[StationaryObject] = []

    def add(self, still: StationaryFilter, mono: float) -> None:
        """A face that never moved has gone, or has been still for long enough."""
        for place in self._places:
            if is_same_place(still.box, place.box):
                place.seen_s *= math.exp((place.last - mono) / FADE_S)
                place.seen_s += still.still_s
                place.last = mono
                return
        self._places.append(StationaryObject(still.box, still.still_s, mono))

    def static_at(self, box: Box, mono: float) -> bool:
        """Whether the face in `box` belongs to a static place; it then stays remembered."""
        self._places = [place for place in self._places if mono - place.last <= FORGET_S]
        for place in self._places:
            static = place.seen_s >= self._static_after
            if static and is_same_place(box, place.box):
                place.last = mono
                return True
        return False

    @property
    def static(self) -> int:
        """Number of static places remembered."""
        return sum(place.seen_s >= self._static_after for place in self._places)
