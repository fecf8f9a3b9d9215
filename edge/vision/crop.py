"""Cuts squares out of a picture for a network."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Image

NORMALIZED = np.arange(256, dtype=np.float32) / np.float32(127.5) - 1
"""A channel's value, 0 to 255, as a network takes it: -1 to 1."""
FAR_OUT = 3
"""A square lies far out if it is more than this many times as large as the part that it shows of
the picture; five times a face in the picture never is."""


def normalized_rgb(picture: Image, mirrored: bool = False) -> npt.NDArray[np.float32]:
    """A B G R picture as R G B, -1 to 1, perhaps `mirrored`."""
    rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    if mirrored:
        rgb = cv2.flip(rgb, 1)
    return np.asarray(cv2.LUT(rgb, NORMALIZED), np.float32)


def square(image: Image, left: int, top: int, side: int, size: int) -> Image:
    """A square of an H x W x 3 picture, `side` pixels wide, as size x size x 3.

    The picture's edge is repeated where the square leaves it. Shrinks by area averaging, so that a
    large face is not aliased.
    """
    n = max(1, side)
    part, left, top = _nearby(image, left, top, n)
    if part.shape[:2] != (n, n):
        if n >= 2 * size and n * n > FAR_OUT * part.shape[0] * part.shape[1]:
            return _far_out(part, left, top, n, size)
        part = _with_edge(part, left, top, n)
    method = cv2.INTER_AREA if n > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)


def _nearby(image: Image, left: int, top: int, n: int) -> tuple[Image, int, int]:
    """The part of a picture that a square of n x n pixels shows, and the square's place in it.

    It is the nearest row or column of the picture if the square lies wholly outside.
    """
    height, width = image.shape[:2]
    first_row, first_column = min(max(top, 0), height - 1), min(max(left, 0), width - 1)
    part = image[first_row : max(top + n, 1), first_column : max(left + n, 1)]
    return part, left - first_column, top - first_row


def _with_edge(part: Image, left: int, top: int, n: int) -> Image:
    """A square of n x n pixels, the edge of `part` repeated where it leaves it."""
    above, before = min(max(-top, 0), n - 1), min(max(-left, 0), n - 1)
    below, after = n - above - part.shape[0], n - before - part.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8
    )


def _far_out(part: Image, left: int, top: int, n: int, size: int) -> Image:
    """The same by way of a smaller picture: to fill a large square with an edge takes long."""
    height, width = part.shape[:2]
    small_size = (max(1, width * size // n), max(1, height * size // n))
    small = cv2.resize(part, small_size, interpolation=cv2.INTER_AREA)
    scales = np.array([width, height]) / small_size * size / n
    # the middles of pixels lie at halves
    shifts = scales / 2 - np.array([left, top]) * size / n - 0.5
    place = np.column_stack([np.diag(scales), shifts])
    return np.asarray(
        cv2.warpAffine(small, place, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
