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
        # np.clip on the indices repeats the border where the part leaves the picture
        rows = np.clip(np.arange(top, top + n), 0, height - 1)
        cols = np.clip(np.arange(left, left + n), 0, width - 1)
        part = image[rows[:, None], cols]
    method = cv2.INTER_AREA if n > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)


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
