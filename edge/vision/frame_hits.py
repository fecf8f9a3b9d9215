"""Haar's hits in one frame, of faces of any size."""

import itertools
import math
from collections.abc import Iterable
from operator import itemgetter

from edge.types import Box, Image
from edge.vision.areas import Area
from edge.vision.cascade import FACE, STEP, Cascade, Rect
from edge.vision.pyramid import Pyramid

Hit = tuple[float, int, int]
"""Side of a face, pixels of the gray copy, and its left and top in a smaller one: there its side
is `FACE`."""


class FrameHits:
    """Searches the gray copy of a frame in steps, for faces of one size after another."""

    def __init__(self, cascade: Cascade, gray: Image, shift: int) -> None:
        """`shift`, 0 or 1, is the remainder of the places that are searched."""
        self._cascade, self._shift = cascade, shift
        self._pyramid, self._width = Pyramid(gray), gray.shape[1]
        self._levels: dict[float, tuple[Image, float]] = {}
        """By side of a face: the smaller copy, and how many times smaller it is."""

    def within(self, side: float, areas: Iterable[Area], *, fast: bool = False) -> set[Hit]:
        """Hits of this size in areas of the gray copy, pixels, by OpenCV's cascade or the fast."""
        find = self._cascade.fast_hits if fast else self._cascade.hits
        level, scale = self._level(side)
        parts = (_part(area, scale, level.shape) for area in areas)
        return {(side, x, y) for part in parts for x, y in find(level, part, self._shift)}

    def around(self, hits: Iterable[Hit], *, between: bool = False) -> set[Hit]:
        """Hits by OpenCV's cascade next to others, at the steps or `between` them."""
        shift = STEP - 1 - self._shift if between else self._shift
        found: set[Hit] = set()
        for side, group in itertools.groupby(sorted(hits), key=itemgetter(0)):
            level, _ = self._level(side)
            places = self._cascade.hits_around(level, [(x, y) for _, x, y in group], shift)
            found.update((side, x, y) for x, y in places)
        return found

    def box(self, hit: Hit) -> Box:
        """Where a hit lies in the gray copy."""
        side, x, y = hit
        _, scale = self._level(side)
        return Box(x * scale, y * scale, side, side)

    def _level(self, side: float) -> tuple[Image, float]:
        if side not in self._levels:
            level = self._pyramid.level(side / FACE)
            self._levels[side] = level, self._width / level.shape[1]
        return self._levels[side]


def _part(area: Area, scale: float, shape: tuple[int, ...]) -> Rect:
    """An area of the gray copy in one of this shape, `scale` times smaller.

    Wider by a step to the right and down: the cascade leaves out the last place.
    """
    height, width = shape
    return (
        int(area.left / scale),
        int(area.top / scale),
        min(width, math.ceil(area.right / scale) + STEP),
        min(height, math.ceil(area.bottom / scale) + STEP),
    )
