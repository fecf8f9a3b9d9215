"""Whether a new face is that of somebody who was lost."""

import math

import pytest

from edge.tracking import reappearance
from edge.tracking.kalman import FaceMotion
from edge.types import Box

LOST_AT, FOUND_AT = 2.0, 4.0
"""Seconds."""


def followed(
    x: float, speed: float, width: float = 50, first: float = FOUND_AT, scale: float = 1
) -> FaceMotion:
    """A face that was followed for two seconds, with its middle at `x` when `first` was."""

    def box(step: int) -> Box:
        left = x + speed * step / 10 - width / 2
        return Box(scale * left, scale * (150 - width / 2), scale * width, scale * width)

    motion = FaceMotion(box(0), first)
    for step in range(1, 21):
        motion.update(box(step), first + step / 10, recovered=False, hidden=False)
    return motion


def lost(speed: float, scale: float = 1) -> FaceMotion:
    """A face that was lost at 500."""
    return followed(500 - LOST_AT * speed, speed, first=0.0, scale=scale)


def log_odds(
    speed: float, x: float, found_speed: float, width: float = 50, contradiction: float = 0
) -> float:
    return reappearance.log_odds(lost(speed), followed(x, found_speed, width), contradiction)


@pytest.mark.parametrize(
    ("speed", "likelier", "less_likely"),
    [
        # it walked, and may have stopped anywhere from 500 to 700
        (100, (500, 0), (450, 0)),
        (100, (600, 0), (450, 0)),
        (100, (700, 0), (750, 0)),
        # or have walked on rather than turned back
        (100, (700, 100), (700, 0)),
        (100, (700, 100), (500, -100)),
        (100, (400, -100), (250, -100)),
        (100, (400, -100), (400, 100)),
        # it stood, and may have walked off at any time
        (0, (500, 0), (550, 0)),
        (0, (600, 100), (600, 0)),
        (0, (600, 100), (600, -100)),
        (0, (700, 100), (750, 100)),
    ],
)
def test_whoever_is_on_the_way_on_which_one_was_going_is_likelier_the_same(
    speed: float, likelier: tuple[float, float], less_likely: tuple[float, float]
) -> None:
    assert log_odds(speed, *likelier) > log_odds(speed, *less_likely) + 0.3
    # and likewise from right to left
    mirrored = [(1000 - x, -found_speed) for x, found_speed in (likelier, less_likely)]
    assert [log_odds(-speed, *at) for at in mirrored] == pytest.approx(
        [log_odds(speed, *at) for at in (likelier, less_likely)]
    )


def test_of_one_who_stands_where_one_stood_it_is_nearly_sure() -> None:
    """By the fit: path, straight line and turn are all 0."""
    sure = 0.11 - 1.15 * math.log(0.1) - (0.88 + 0.95) * math.log(0.5)
    assert log_odds(0, 500, 0) == pytest.approx(sure, abs=0.05)
    assert 1 / (1 + math.exp(-sure)) > 0.97


def test_a_face_of_another_size_is_less_likely_the_same() -> None:
    same = log_odds(0, 500, 0)
    for ratio in (1.5, 1 / 1.5):
        assert log_odds(0, 500, 0, 50 * ratio) - same == pytest.approx(-3.9 * 0.164, abs=0.02)
    assert log_odds(0, 500, 0, 25) < same - 1.8


def test_a_gender_that_contradicts_makes_it_less_likely() -> None:
    assert log_odds(0, 500, 0, contradiction=1) - log_odds(0, 500, 0) == pytest.approx(-1.76)


@pytest.mark.parametrize("scale", [0.3, 4])
def test_it_does_not_depend_on_how_many_pixels_the_picture_has(scale: float) -> None:
    found = followed(640, 60, 55, scale=scale)
    assert reappearance.log_odds(lost(100, scale), found, 0) == pytest.approx(
        log_odds(100, 640, 60, 55)
    )
