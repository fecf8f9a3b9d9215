"""A gray picture in smaller copies."""

import math

import cv2
import numpy as np

from edge.types import Image


class Pyramid:
    """Copies of one picture, each made when it is first needed."""

    def __init__(self, gray: Image) -> None:
        self._halves = [gray]

    def level(self, scale: float) -> Image:
        """The picture, `scale` times smaller, 1 or more."""
        height, width = self._halves[0].shape
        size = max(1, round(width / scale)), max(1, round(height / scale))
        base = self._half(int(math.log2(scale)))
        if size == base.shape[::-1]:
            return base
        return np.asarray(cv2.resize(base, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def _half(self, times: int) -> Image:
        """The picture, halved this often; from there on linear interpolation skips no pixel."""
        while len(self._halves) <= times:
            height, width = self._halves[-1].shape
            size = max(1, width // 2), max(1, height // 2)
            half = cv2.resize(self._halves[-1], size, interpolation=cv2.INTER_AREA)
            self._halves.append(np.asarray(half, np.uint8))
        return self._halves[times]
