"""How boxes lie to each other and to the edges of the picture. Pure."""

import math

from edge.types import Box

SAME_PLACE_SHIFT = 0.25
"""Largest distance between two boxes at one place, in widths of the larger.

Haar's boxes of a face that keeps still jitter by a tenth of their size.
"""
SAME_PLACE_RATIO = 1.35
"""Largest ratio between the widths of two boxes at one place."""


def center(box: Box) -> complex:
    """The middle of the box in pixels, x as the real part and y as the imaginary."""
    return complex(box.cx, box.cy)


def square_box(middle: complex, side: float) -> Box:
    """The square box around a middle as `center` returns it, `side` pixels wide."""
    return Box(middle.real - side / 2, middle.imag - side / 2, side, side)


def distance_to_segment(point: complex, start: complex, end: complex) -> float:
    """Distance from a point to the line segment between two others, all as `center` returns."""
    along = end - start
    if not along:
        return abs(point - start)
    share = ((point - start) * along.conjugate()).real / abs(along) ** 2
    return abs(point - start - along * min(max(share, 0.0), 1.0))


def overlap(a: Box, b: Box) -> float:
    """Intersection over the smaller area, 0 to 1: a small box within a large one gives 1."""
    right, bottom = a.x + a.w, a.y + a.h
    other_right, other_bottom = b.x + b.w, b.y + b.h
    # most boxes of a crowd lie apart, and each is compared with each
    if right <= b.x or other_right <= a.x or bottom <= b.y or other_bottom <= a.y:
        return 0.0
    w = min(right, other_right) - max(a.x, b.x)
    h = min(bottom, other_bottom) - max(a.y, b.y)
    return w * h / min(a.w * a.h, b.w * b.h)


def is_near(a: Box, b: Box, shift: float, ratio: float) -> bool:
    """Whether the middles are at most `shift` of the larger width apart, and the widths at most
    `ratio` to one."""
    width = max(a.w, b.w)
    distance = math.hypot(a.cx - b.cx, a.cy - b.cy)
    return distance <= shift * width and width <= ratio * min(a.w, b.w)


def is_same_place(a: Box, b: Box) -> bool:
    """Whether two boxes differ by no more than those of one face that keeps still."""
    return is_near(a, b, SAME_PLACE_SHIFT, SAME_PLACE_RATIO)


def is_within(box: Box, place: Box, shift: float, ratio: float) -> bool:
    """Whether the middle of `box` is off that of `place` by at most `shift` of the place's width
    along each axis, and is at most `ratio` times as wide or as narrow."""
    return _axis_distance(box, place) <= shift * place.w and 1 / ratio <= box.w / place.w <= ratio


def is_touching(a: Box, b: Box, reach: float) -> bool:
    """Whether the middles are less than `reach` times the mean width apart along each axis."""
    limit = reach * (a.w + b.w) / 2
    return abs(a.cx - b.cx) < limit and abs(a.cy - b.cy) < limit


def margins(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Pixels between the box and the left, top, right and bottom of a picture of this width and
    height; negative if the box leaves it."""
    return box.x, box.y, size[0] - box.x - box.w, size[1] - box.y - box.h


def position(box: Box) -> tuple[float, float, float]:
    """A key that sorts boxes from left to right, then downwards, then by width."""
    return box.x, box.y, box.w


def _axis_distance(a: Box, b: Box) -> float:
    """The larger of the distances of the middles along x and y, pixels."""
    return max(abs(a.cx - b.cx), abs(a.cy - b.cy))
