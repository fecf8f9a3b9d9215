"""Squares of a picture, also where they reach beyond it."""

import cv2
import numpy as np
import pytest

from edge.sources.demo import Scene
from edge.vision.crop import square


@pytest.mark.parametrize("side", [60, 128, 255, 256, 500, 1200, 1800])
@pytest.mark.parametrize(
    ("middle", "tolerance"),
    [
        ((320, 180), 1), ((10, 180), 1), ((630, 180), 1), ((320, 10), 1), ((320, 350), 1),
        # wholly outside there is but the corner, which a smaller picture averages
        ((-300, 900), 10),
    ],
)  # fmt: skip
def test_the_edge_is_repeated(side: int, middle: tuple[int, int], tolerance: int) -> None:
    image = Scene().draw(3.2)
    left, top = middle[0] - side // 2, middle[1] - side // 2
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    method = cv2.INTER_AREA if side > 128 else cv2.INTER_LINEAR
    filled = cv2.resize(image[rows[:, None], columns], (128, 128), interpolation=method)
    part = square(image, left, top, side, 128)
    assert part.shape == (128, 128, 3)
    assert np.abs(part.astype(int) - filled).mean() < tolerance
