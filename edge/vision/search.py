"""Where Haar sees faces in a frame: searched everywhere, or where a face may be."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.geometry import overlap
from edge.types import Box, Face, Frame
from edge.vision.areas import Area
from edge.vision.cascade import FACE, STEP, Cascade, grouped
from edge.vision.frame_hits import FrameHits, Hit
from edge.vision.motion import Motion
from edge.vision.schedule import Schedule, passes
from edge.vision.zones import Zones

CELLS_PER_FACE = 3
"""Cells of the motion, in the side of the smallest face."""

HITS_RATIO = 3
"""OpenCV's hits on one face for each hit here: it searches for large faces in smaller steps, and
for all sizes at once."""
CLEAR_HITS = 8
"""Hits at the steps from which a followed face is clear: nothing else is searched for there.

Each then stands for another one between the steps.
"""
CLEAR_OVERLAP = 0.5
"""Overlap from which a hit is on a clear face."""


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
        # what lies between the searched places of one frame is at those of the next
        self._shift = (self._shift + 1) % STEP
        search = FrameHits(self._cascade, frame.gray, self._shift)
        hits_on = [self._hits_on(face, search) for face in followed]
        is_clear = [len(hits) >= CLEAR_HITS for hits in hits_on]
        clear = set(itertools.chain(*itertools.compress(hits_on, is_clear)))
        others = set(itertools.chain(*hits_on)) - clear
        plan = self._schedule(frame.mono, self._motion(frame.gray))
        new = set(itertools.chain(*(search.within(*where, fast=True) for where in plan.items())))
        clear_faces = list(itertools.compress(followed, is_clear))
        new = {hit for hit in new - others if not _is_on(clear_faces, search.box(hit))}
        others |= search.around(new)
        others |= search.around(others, between=True)
        boxes = [search.box(hit) for hit in sorted(others)]
        # each stands for those between the steps too
        boxes += STEP * [search.box(hit) for hit in sorted(clear - others)]
        return [Face(_scaled(box, ratio), number) for box, number in grouped(boxes, self._min_hits)]

    def _hits_on(self, face: Box, search: FrameHits) -> set[Hit]:
        """OpenCV's hits where a followed face should be, at the steps, until it is clear."""
        hits: set[Hit] = set()
        for side, area in self._schedule.around(face):
            hits |= search.within(side, [area])
            if len(hits) >= CLEAR_HITS:
                break
        return hits

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


def _is_on(faces: Iterable[Box], box: Box) -> bool:
    return any(overlap(box, face) > CLEAR_OVERLAP for face in faces)
