"""Where Haar sees faces in a frame: searched everywhere, or where a face may be."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.types import Box, Face, Frame
from edge.vision.areas import Area
from edge.vision.cascade import FACE, STEP, Cascade, Rect, grouped
from edge.vision.motion import Motion
from edge.vision.pyramid import Pyramid
from edge.vision.schedule import Schedule, passes
from edge.vision.zones import Zones

CELLS_PER_FACE = 3
"""Cells of the motion, in the side of the smallest face."""

HITS_RATIO = 3
"""OpenCV's hits on one face for each hit here: it searches for large faces in smaller steps, and
for all sizes at once."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Which faces Haar finds."""

    min_px: int = 24
    max_px: int | None = None
    """Sides of the box, pixels of the picture; None is no limit."""
    scale_factor: float = 1.1
    """Ratio between one searched size and the next."""
    min_neighbours: int = 2
    """Number of overlapping hits that make a face."""

    def in_gray(self, ratio: float) -> tuple[int, int]:
        """Smallest and largest side in a copy `ratio` times smaller; the largest may be 0: any."""
        return max(1, round(self.min_px / ratio)), round((self.max_px or 0) / ratio)


class WholeSearch:
    """Searches the whole region in every frame."""

    def __init__(self, sizes: Sizes, zones: Zones) -> None:
        """Raises EdgeError if this OpenCV carries no cascade files."""
        self._sizes, self._zones, self._cascade = sizes, zones, Cascade()

    def __call__(self, frame: Frame, predicted: Sequence[Box]) -> list[Face]:
        """Haar's faces, in pixels of `frame.image`; their score is the number of hits."""
        height, width = frame.gray.shape
        ratio = frame.image.shape[1] / width
        smallest, largest = self._sizes.in_gray(ratio)
        margin = (largest or min(width, height)) / 2
        left, top, right, bottom = self._zones.bounds((width, height), margin)
        boxes = self._cascade.faces(
            frame.gray[top:bottom, left:right],
            smallest,
            largest,
            self._sizes.scale_factor,
            self._sizes.min_neighbours,
        )
        return [
            Face(_scaled(Box(box.x + left, box.y + top, box.w, box.h), ratio), hits / HITS_RATIO)
            for box, hits in boxes
        ]


class SelectiveSearch:
    """Searches where the view changes and around predicted faces, and now and then everywhere."""

    def __init__(self, sizes: Sizes, zones: Zones) -> None:
        """Raises EdgeError if this OpenCV carries no cascade files."""
        self._sizes, self._zones, self._cascade = sizes, zones, Cascade()
        self._min_hits = max(1, sizes.min_neighbours // HITS_RATIO)
        self._view: tuple[int, ...] = ()
        """Shapes of picture and gray copy, for which motion and schedule are."""
        self._shift = 0
        """Remainder of the places that were searched in the latest frame."""
        self._motion: Motion
        self._schedule: Schedule

    def __call__(self, frame: Frame, predicted: Sequence[Box]) -> list[Face]:
        """Haar's faces, in pixels of `frame.image`; their score is the number of hits."""
        if self._view != (view := frame.image.shape + frame.gray.shape):
            self._view = view
            self._start(frame)
        ratio = frame.image.shape[1] / frame.gray.shape[1]
        followed = [_scaled(box, 1 / ratio) for box in predicted]
        pyramid = Pyramid(frame.gray)
        # what lies between the searched places of one frame is at those of the next
        self._shift = (self._shift + 1) % STEP
        hits: list[Box] = []
        plan = self._schedule(frame.mono, self._motion(frame.gray))
        around = self._schedule.around(followed)
        for side in sorted(plan.keys() | around.keys()):
            level = pyramid.level(side / FACE)
            scale = frame.gray.shape[1] / level.shape[1]
            parts, likely = (
                [_in_level(area, scale, level.shape) for area in areas.get(side, [])]
                for areas in (plan, around)
            )
            hits += [
                Box(x * scale, y * scale, side, side)
                for x, y in self._cascade.hits(level, parts, likely, self._shift)
            ]
        return [Face(_scaled(box, ratio), number) for box, number in grouped(hits, self._min_hits)]

    def _start(self, frame: Frame) -> None:
        height, width = frame.gray.shape
        smallest, largest = self._sizes.in_gray(frame.image.shape[1] / width)
        largest = min(largest or width, width, height)
        sizes = (FACE * self._sizes.scale_factor**number for number in itertools.count())
        until_largest = itertools.takewhile(lambda side: round(side) <= largest, sizes)
        sides = [side for side in until_largest if round(side) >= smallest]
        self._motion = Motion(max(FACE, smallest) / CELLS_PER_FACE)
        region = self._zones.bounds((width, height))
        self._schedule = Schedule(
            sides, (width, height), Area(*region), passes(self._sizes.scale_factor)
        )


def _scaled(box: Box, factor: float) -> Box:
    return Box(box.x * factor, box.y * factor, box.w * factor, box.h * factor)


def _in_level(area: Area, scale: float, shape: tuple[int, ...]) -> Rect:
    """An area of the picture in a copy of this shape, `scale` times smaller.

    Wider by a step to the right and down: the cascade leaves out the last place.
    """
    height, width = shape
    return (
        int(area.left / scale),
        int(area.top / scale),
        min(width, math.ceil(area.right / scale) + STEP),
        min(height, math.ceil(area.bottom / scale) + STEP),
    )
