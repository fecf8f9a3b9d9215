"""Squares of a picture, also where they reach beyond it."""

import cv2
import numpy as np
import pytest

from edge.sources.demo import Scene
from edge.vision.crop import normalized_rgb, square


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


@pytest.mark.parametrize("scale", [3, 4, 5])
@pytest.mark.parametrize("face_px", [30, 56, 85])
@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_around_a_face_at_the_edge_nothing_is_lost(
    scale: int, face_px: int, corner: tuple[int, int]
) -> None:
    """A crop that goes by way of a smaller picture is less sharp."""
    image = Scene().draw(3.2)
    side = scale * face_px
    height, width = image.shape[:2]
    margin = (side - face_px) // 2
    left = corner[0] * (width - face_px) - margin
    top = corner[1] * (height - face_px) - margin
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    method = cv2.INTER_AREA if side > 128 else cv2.INTER_LINEAR
    filled = cv2.resize(image[rows[:, None], columns], (128, 128), interpolation=method)
    assert np.array_equal(square(image, left, top, side, 128), filled)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_picture_as_a_network_takes_it(mirrored: bool) -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (16, 16, 3), np.uint8)
    expected = picture[:, ::-1] if mirrored else picture
    values = normalized_rgb(picture, mirrored)
    assert values.dtype == np.float32
    assert np.array_equal(values, expected[:, :, ::-1].astype(np.float32) / 127.5 - 1)
