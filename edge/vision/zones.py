"""The parts of the picture in which faces count."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Box

Polygon = Sequence[tuple[float, float]]
"""Corners (x, y) in fractions of the picture, from its top left corner."""


class Zones:
    """A region, or the whole picture, without excluded parts."""

    def __init__(self, region: Polygon | None = None, excluded: Sequence[Polygon] = ()) -> None:
        self._region = None if region is None else np.array(region, np.float32)
        self._excluded = [np.array(polygon, np.float32) for polygon in excluded]

    def contain(self, box: Box, size: tuple[int, int]) -> bool:
        """Whether the middle of `box` counts in a picture of this width and height."""
        point = box.cx / size[0], box.cy / size[1]

        def within(polygon: npt.NDArray[np.float32]) -> bool:
            return cv2.pointPolygonTest(polygon, point, measureDist=False) >= 0

        return (self._region is None or within(self._region)) and not any(
            within(polygon) for polygon in self._excluded
        )

    def bounds(self, size: tuple[int, int], margin: float = 0) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the region with a margin around it, pixels."""
        width, height = size
        if self._region is None:
            return 0, 0, width, height
        low = self._region.min(axis=0) * (width, height) - margin
        high = self._region.max(axis=0) * (width, height) + margin
        left, top = (int(v) for v in np.maximum(np.floor(low), 0))
        right, bottom = (int(v) for v in np.minimum(np.ceil(high), (width, height)))
        return left, top, right, bottom
