"""Squares cut out of a picture for a network."""

import cv2
import numpy as np

from edge.records import Image


def square(image: Image, left: int, top: int, side: int, size: int) -> Image:
    """A part of an H x W x 3 picture, `side` pixels wide and high, as size x size x 3.

    The picture's edge is repeated where the part leaves it. Shrinks by area averaging, so that a
    large face is not aliased.
    """
    n = max(1, side)
    height, width = image.shape[:2]
    # np.clip on the indices repeats the border where the part leaves the picture
    rows = np.clip(np.arange(top, top + n), 0, height - 1)
    cols = np.clip(np.arange(left, left + n), 0, width - 1)
    if rows[-1] - rows[0] == n - 1 and cols[-1] - cols[0] == n - 1:
        part = image[top : top + n, left : left + n]
    else:
        part = image[rows[:, None], cols]
    method = cv2.INTER_AREA if n > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)
