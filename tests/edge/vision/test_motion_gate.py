"""A still view costs no search, and nobody is missed for it."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from edge.sources.demo import Scene
from edge.types import Box, Face, Frame, Image
from edge.vision.motion_gate import MotionGate

FPS = 10
VIEW: Image = np.asarray(cv2.cvtColor(Scene().draw(0), cv2.COLOR_BGR2GRAY), np.uint8)
FACE = Face(Box(10, 10, 30, 30), 1.0)


class Search:
    """Notes when it is called, and returns the faces that a test sets."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.faces: list[Face] = []

    def __call__(self, frame: Frame, expected: Sequence[Box] = ()) -> list[Face]:
        self.at.append(frame.mono)
        return self.faces


class Watch:
    """Frames on a clock of their own, through the gate."""

    def __init__(self, sigma: float) -> None:
        self.search = Search()
        self.gate = MotionGate(self.search)
        self.random = np.random.default_rng(1)
        self.sigma, self.number = sigma, 0

    def see(self, view: Image, frames: int, expected: Sequence[Box] = ()) -> list[Sequence[Face]]:
        """The gate's faces for this many frames of one view, each with its own noise."""
        given = []
        for _ in range(frames):
            noisy = view + self.random.normal(0, self.sigma, view.shape)
            gray = np.clip(noisy, 0, 255).astype(np.uint8)
            image = np.zeros((*gray.shape, 3), np.uint8)
            frame = Frame(self.number, self.number / FPS, 0, image, gray)
            given.append(self.gate(frame, expected))
            self.number += 1
        return given

    def searches(self, frames: int) -> int:
        """How many of the latest frames were searched."""
        return sum(at > (self.number - frames - 0.5) / FPS for at in self.search.at)


@pytest.fixture(params=[0, 2, 8])
def watch(request: pytest.FixtureRequest) -> Watch:
    return Watch(request.param)


def test_a_still_view_is_searched_once_a_second(watch: Watch) -> None:
    watch.see(VIEW, 3 * FPS)
    watch.see(VIEW, 10 * FPS)
    assert watch.searches(10 * FPS) == 10


def test_a_person_who_comes_in_is_searched_for_at_once_and_for_a_while(watch: Watch) -> None:
    watch.see(VIEW, 5 * FPS)
    someone = VIEW.copy()
    someone[100:160, 200:240] //= 2  # 40 by 60 of 640 by 360 pixels
    watch.see(someone, 1)
    assert watch.searches(1) == 1
    watch.see(someone, FPS)
    assert watch.searches(FPS) == FPS


def test_somebody_who_walks_slowly_is_a_change(watch: Watch) -> None:
    watch.see(VIEW, 5 * FPS)
    for step in range(4 * FPS):
        someone = VIEW.copy()
        someone[100:160, 200 + step : 240 + step] //= 2
        watch.see(someone, 1)
    assert watch.searches(4 * FPS) > 3.5 * FPS


def test_the_light_goes_on(watch: Watch) -> None:
    watch.see(VIEW, 5 * FPS)
    watch.see(np.asarray(VIEW // 2 + 100, np.uint8), 1)
    assert watch.searches(1) == 1


def test_a_face_that_is_lost_without_a_change_is_searched_for_in_each_frame(watch: Watch) -> None:
    watch.search.faces = [FACE]
    watch.see(VIEW, 5 * FPS)
    watch.search.faces = []
    given = watch.see(VIEW, 2 * FPS)
    lost = given.index([])
    assert lost <= FPS
    assert watch.searches(2 * FPS - lost) == 2 * FPS - lost


def test_faces_of_a_still_view_stay_where_they_were(watch: Watch) -> None:
    """As a poster does."""
    watch.search.faces = [FACE]
    given = watch.see(VIEW, 13 * FPS, [FACE.box])
    assert given == [[FACE]] * (13 * FPS)
    assert 20 < watch.searches(9 * FPS) <= 30  # of 90


def test_a_false_face_in_place_of_a_true_one_is_looked_at_twice(watch: Watch) -> None:
    watch.search.faces = [FACE]
    watch.see(VIEW, 5 * FPS)
    watch.search.faces = [Face(Box(100, 10, 30, 30), 1.0)]
    watch.see(VIEW, FPS)
    assert watch.searches(FPS // 2) == FPS // 2


def test_a_camera_that_comes_back_with_another_size() -> None:
    watch = Watch(0)
    watch.see(VIEW, 5 * FPS)
    watch.see(np.ascontiguousarray(VIEW.T), 1)
    assert watch.searches(1) == 1
