"""Cuts squares out of a picture for a network."""

import cv2
import numpy as np

from edge.types import Image


def square(image: Image, left: int, top: int, side: int, size: int) -> Image:
    """A square of an H x W x 3 picture, `side` pixels wide, as size x size x 3.

    The picture's edge is repeated where the square leaves it. Shrinks by area averaging, so that a
    large face is not aliased.
    """
    n = max(1, side)
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and left + n <= width and top + n <= height:
        part = image[top : top + n, left : left + n]
    elif n >= 2 * size:
        return _far_out(image, left, top, n, size)
    else:
        part = _with_edge(image, left, top, n)
    method = cv2.INTER_AREA if n > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)


def _with_edge(image: Image, left: int, top: int, n: int) -> Image:
    """A square of n x n pixels, the picture's edge repeated where it leaves it."""
    height, width = image.shape[:2]
    # the nearest row and column of the picture, if the square lies wholly outside
    first_row, first_column = min(max(top, 0), height - 1), min(max(left, 0), width - 1)
    end_row, end_column = (
        max(min(top + n, height), first_row + 1),
        max(min(left + n, width), first_column + 1),
    )
    above, before = min(max(-top, 0), n - 1), min(max(-left, 0), n - 1)
    inside = image[first_row:end_row, first_column:end_column]
    below, after = n - above - inside.shape[0], n - before - inside.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8
    )


def _far_out(image: Image, left: int, top: int, n: int, size: int) -> Image:
    """The same by way of a smaller picture: to fill a large part with its edge takes long."""
    height, width = image.shape[:2]
    small_size = (max(1, width * size // n), max(1, height * size // n))
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)
    scales = np.array([width, height]) / small_size * size / n
    # the middles of pixels lie at halves
    shifts = scales / 2 - np.array([left, top]) * size / n - 0.5
    place = np.column_stack([np.diag(scales), shifts])
    part = cv2.warpAffine(small, place, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(part, np.uint8)
