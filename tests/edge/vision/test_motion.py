"""What changes in a view is seen where it changes, and noise is not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge.sources.demo import Scene
from edge.types import Image
from edge.vision.areas import Cells
from edge.vision.motion import Motion

VIEW: Image = np.asarray(cv2.cvtColor(Scene().draw(0), cv2.COLOR_BGR2GRAY), np.uint8)
CELL = 8

See = Callable[[Image], Cells]


@pytest.fixture(params=[0, 2, 8])
def see(request: pytest.FixtureRequest) -> See:
    """A motion that sees views with noise of this many gray levels; it knows the empty view."""
    motion, random = Motion(CELL), np.random.default_rng(1)

    def see(view: Image) -> Cells:
        noisy = view + random.normal(0, request.param, view.shape)
        return motion(np.clip(noisy, 0, 255).astype(np.uint8))

    for _ in range(3):
        see(VIEW)
    return see


def with_person(left: int) -> Image:
    """The view with a person of 40 by 60 pixels in it."""
    view = VIEW.copy()
    view[100:160, left : left + 40] //= 2
    return view


def test_the_first_view_is_new() -> None:
    assert Motion(CELL)(VIEW).all()


def test_a_still_view_does_not_change(see: See) -> None:
    assert np.mean([see(VIEW).mean() for _ in range(20)]) < 0.001


def test_a_person_is_seen_where_they_come_in_and_where_they_leave(see: See) -> None:
    for view in (with_person(200), VIEW):
        cells = see(view)
        assert cells[14:19, 26:29].all()
        cells[11:21, 23:32] = False
        assert cells.mean() < 0.001


def test_somebody_who_walks_slowly_is_seen(see: See) -> None:
    see(with_person(200))
    seen = [see(with_person(200 + step))[12:20, 24:36].any() for step in range(1, 40)]
    assert np.mean(seen) > 0.3
    gaps = np.diff(np.flatnonzero(seen))
    assert gaps.max() <= 8


def test_a_change_too_slow_for_two_frames_is_seen(see: See) -> None:
    """A face that comes into the light within 10 s."""
    face = np.zeros(VIEW.shape)
    face[100:130, 200:230] = 40
    seen = [see(np.asarray(VIEW + face * n / 100, np.uint8))[13:16, 26:28] for n in range(100)]
    assert np.any(seen, axis=0).all()


def test_the_light_goes_on(see: See) -> None:
    assert see(np.asarray(VIEW // 2 + 100, np.uint8)).all()
    assert see(np.asarray(VIEW // 2 + 100, np.uint8)).mean() < 0.01
