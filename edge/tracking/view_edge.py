"""Whether a face is at the edge of the view, comes in there or leaves. Pure.

`size` is the width and height of the picture in pixels, as the tracker gets it.
"""

from edge.geometry import margins
from edge.types import Box

EDGE_MARGIN = 0.75
"""A face is at the edge of the view if its margin is less than this, face widths."""
LEAVING_SPEED = 0.5
"""Whoever moves faster than this towards an edge is leaving, face widths per second: people who
stand sway slower."""


def is_at(box: Box, size: tuple[int, int]) -> bool:
    """Whether a face is at an edge of the view."""
    return min(margins(box, size)) < EDGE_MARGIN * box.w


def is_leaving(box: Box, velocity: complex, size: tuple[int, int]) -> bool:
    """Whether a face was last seen at an edge of the view, moving out across it.

    `velocity` is in pixels per second, to the right and, as the imaginary part, downwards.
    """
    left, top, right, bottom = margins(box, size)
    fast, near = LEAVING_SPEED * box.w, EDGE_MARGIN * box.w
    return (
        (velocity.real < -fast and left < near)
        or (velocity.real > fast and right < near)
        or (velocity.imag < -fast and top < near)
        or (velocity.imag > fast and bottom < near)
    )


def heading(box: Box, size: tuple[int, int]) -> int:
    """1 if a new face probably walks to the right, as it is at the left edge; -1 likewise; or 0."""
    left, _, right, _ = margins(box, size)
    near = EDGE_MARGIN * box.w
    return (left < near) - (right < near)
