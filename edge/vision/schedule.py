"""Which sizes of faces are searched for where, and when. Pure.

The sizes are dealt out to passes, which run in turn: a face that lies between the sizes of one is
found by the next.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edge.types import Box
from edge.vision.areas import Area, Cells, counts_around, rectangles

PASS_RATIO = 1.25
"""Largest ratio between one size of a pass and the next."""
LARGE_PX = 96
"""Side, pixels, from which faces are searched for in all passes: one pass takes too large steps."""
PASS_S = 0.31
"""Longest time between two runs of a pass, seconds; with fewer frames each one runs all passes.

Three frames at 10 a second, a little late.
"""
SWEEP_S = 2.5
"""Longest time between two searches of a place for a size, seconds."""
CORE = 0.6
"""Side of the square in the middle of a face that changes when it appears, in its sides."""
CHANGED = 0.3
"""Least fraction of that square that changes."""
SHARED_CORES = 2
"""Sizes of one pass for which the places are looked up together, to save time."""
FOLLOW_RATIO = 1.35
"""Largest ratio between a followed face's size and those that are searched for there."""
FOLLOW_SHIFT = 0.4
"""Largest distance along each axis from its predicted middle to where it is searched for, in
its sides."""

Plan = dict[float, list[Area]]
"""Sides to search for, and the areas in which such faces would lie; pixels."""


def passes(scale_factor: float) -> int:
    """The number of passes if each size is `scale_factor` times the one before."""
    return max(1, int(math.log(PASS_RATIO) / math.log(scale_factor)))


class Schedule:
    """Plans the search of one frame after another."""

    def __init__(
        self, sides: Sequence[float], size: tuple[int, int], region: Area, passes: int
    ) -> None:
        """`sides` are the sizes of faces to search for; their middles lie in `region`.

        All are in pixels, as is the picture's `size`.
        """
        self._size = size
        self._middles = {side: _shrunk(side / 2, size, region) for side in sides}
        """By side: where the middle of such a face may be."""
        self._passes = [
            _Pass([s for n, s in enumerate(sides) if n % passes == number or s >= LARGE_PX])
            for number in range(passes)
        ]
        self._mono = -math.inf

    def __call__(self, mono: float, changed: Cells) -> Plan:
        """Where to search for faces at `mono`, seconds, if these cells have just changed."""
        gap, self._mono = mono - self._mono, mono
        plan: Plan = {}
        across, down = self._size[0] / changed.shape[1], self._size[1] / changed.shape[0]
        for number, one in enumerate(self._passes):
            for sides, (left, top, right, bottom) in one.run(mono, gap, changed, across):
                area = Area(left * across, top * down, right * across, bottom * down)
                for side in sides:
                    if where := self._of_faces(side, area):
                        plan.setdefault(side, []).append(where)
            if math.isinf(gap):  # from now on the passes run in turn
                one.delay(number / len(self._passes))
        return plan

    def around(self, face: Box) -> Iterator[tuple[float, Area]]:
        """Where to search for a predicted face, in pixels, in every frame.

        At about its size, the nearest one first.
        """
        reach = FOLLOW_SHIFT * face.w
        middles = Area(face.cx - reach, face.cy - reach, face.cx + reach, face.cy + reach)
        ratios = {side: max(face.w / side, side / face.w) for side in self._middles}
        for side in sorted(ratios, key=ratios.__getitem__):
            if ratios[side] > FOLLOW_RATIO:
                break
            if where := self._of_faces(side, middles):
                yield side, where

    def _of_faces(self, side: float, middles: Area) -> Area | None:
        """The area of the faces of this size with their middles there, if there are any."""
        possible, half = self._middles[side], side / 2
        left, top = max(middles.left, possible.left), max(middles.top, possible.top)
        right, bottom = min(middles.right, possible.right), min(middles.bottom, possible.bottom)
        if left > right or top > bottom:
            return None
        return Area(left - half, top - half, right + half, bottom + half)


def _shrunk(margin: float, size: tuple[int, int], region: Area) -> Area:
    """The part of a region that is so far from the edges of a picture."""
    width, height = size
    return Area(
        max(region.left, margin),
        max(region.top, margin),
        min(region.right, width - margin),
        min(region.bottom, height - margin),
    )


class _Pass:
    """When faces of some sizes were searched for where, and where the view has changed since."""

    def __init__(self, sides: Sequence[float]) -> None:
        self._sides = [sides[n : n + SHARED_CORES] for n in range(0, len(sides), SHARED_CORES)]
        self._ran = -math.inf
        self._changed: Cells | None = None
        self._searched: list[npt.NDArray[np.float64]] = []
        """For each of `_sides`, when faces with their middle in each cell were searched for."""

    def run(
        self, mono: float, gap: float, changed: Cells, cell_px: float
    ) -> Iterator[tuple[Sequence[float], Area]]:
        """Yield sizes, and cells in which faces of these sizes may have their middle.

        Yields nothing if the next frame, in `gap` seconds, is early enough.
        """
        self._changed = changed if self._changed is None else self._changed | changed
        if mono - self._ran + gap <= PASS_S:
            return
        if not self._searched:
            self._searched = [np.full(changed.shape, -math.inf) for _ in self._sides]
        cells, self._ran, self._changed = self._changed, mono, None
        too_late = mono + max(gap, PASS_S) - SWEEP_S
        for sides, searched in zip(self._sides, self._searched, strict=True):
            core = max(1, round(CORE * sides[0] / cell_px))
            middles = counts_around(cells, core) >= max(1, CHANGED * core * core)
            middles |= searched < too_late
            for area in rectangles(middles):
                searched[int(area.top) : int(area.bottom), int(area.left) : int(area.right)] = mono
                yield sides, area

    def delay(self, fraction: float) -> None:
        """Run earlier from now on, by this fraction of the time between two runs."""
        self._ran -= fraction * PASS_S
        for searched in self._searched:
            searched -= fraction * SWEEP_S
