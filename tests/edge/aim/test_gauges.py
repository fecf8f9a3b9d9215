"""Light and sharpness of pictures of the demo's scene, as they get worse."""

import cv2
import numpy as np
import pytest

from edge.aim.gauges import (
    DIM_LIGHT,
    GOOD_LIGHT,
    GOOD_SHARPNESS,
    MAX_WHITE,
    SOFT_SHARPNESS,
    light,
    overexposed,
    sharpness,
)
from edge.types import Image
from tests.support.paths import PICTURE


@pytest.fixture(scope="module")
def gray() -> Image:
    return np.asarray(cv2.imread(str(PICTURE), cv2.IMREAD_GRAYSCALE), np.uint8)


def times(gray: Image, factor: float) -> Image:
    """A brighter or darker picture."""
    return np.clip(gray.astype(float) * factor, 0, 255).astype(np.uint8)


def test_a_good_picture_is_good(gray: Image) -> None:
    assert light(gray) > GOOD_LIGHT
    assert sharpness(gray) > GOOD_SHARPNESS
    assert overexposed(gray) < MAX_WHITE


def test_light_falls_with_the_light(gray: Image) -> None:
    assert light(times(gray, 0.25)) == pytest.approx(light(gray) / 4, abs=1)
    assert light(times(gray, 0.125)) < DIM_LIGHT
    assert overexposed(times(gray, 3)) > MAX_WHITE
    assert overexposed(np.full((4, 4), 255, np.uint8)) == 1


def test_sharpness_falls_with_the_focus(gray: Image) -> None:
    values = [sharpness(np.asarray(cv2.GaussianBlur(gray, (0, 0), s), np.uint8)) for s in (1, 2, 4)]
    assert sharpness(gray) > values[0] > values[1] > values[2]
    assert values[2] < SOFT_SHARPNESS
    assert sharpness(np.full((9, 9), 77, np.uint8)) == 0
