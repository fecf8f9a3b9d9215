"""Boxes: each relation holds up to its limit and not beyond."""

import pytest

from edge.geometry import (
    center,
    distance_to_segment,
    is_near,
    is_same_place,
    is_touching,
    is_within,
    margins,
    overlap,
    position,
    square_box,
)
from edge.types import Box

BOX = Box(100, 50, 40, 40)


def moved(dx: float = 0, dy: float = 0, scale: float = 1) -> Box:
    return square_box(center(BOX) + complex(dx, dy), BOX.w * scale)


def test_a_square_box_lies_around_its_center() -> None:
    assert center(BOX) == 120 + 70j
    assert square_box(120 + 70j, 40) == BOX


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (BOX, 1),
        (moved(dx=20), 0.5),
        (moved(dx=-20, dy=10), 0.375),
        (moved(dx=40), 0),
        (moved(dx=60, dy=60), 0),  # both sides beyond: two negatives are no area
        (moved(scale=0.5), 1),  # wholly within
        (Box(110, 80, 20, 40), 0.25),  # half of its width and a quarter of its height
    ],
)
def test_overlap_is_a_fraction_of_the_smaller_box(other: Box, expected: float) -> None:
    assert overlap(BOX, other) == pytest.approx(expected)
    assert overlap(other, BOX) == pytest.approx(expected)


def test_near_is_a_distance_in_widths_and_a_ratio() -> None:
    assert is_near(BOX, moved(dx=6, dy=8), 0.25, 1)
    assert not is_near(BOX, moved(dx=6, dy=8.1), 0.25, 1)
    assert is_near(BOX, moved(dx=19, scale=2), 0.25, 2)
    assert is_near(moved(dx=19, scale=2), BOX, 0.25, 2), "the larger width is the measure"
    assert not is_near(BOX, moved(scale=2), 0.25, 1.99)
    assert not is_near(moved(scale=2), BOX, 0.25, 1.99)


def test_one_place_is_within_the_jitter_of_a_still_face() -> None:
    assert is_same_place(BOX, moved(dx=-9.9))
    assert not is_same_place(BOX, moved(dx=-10.1))
    assert is_same_place(BOX, moved(scale=1.34))
    assert not is_same_place(BOX, moved(scale=1.36))


def test_within_is_measured_by_the_place() -> None:
    assert is_within(moved(dx=14, dy=-14), BOX, 0.35, 1)
    assert not is_within(moved(dx=14.1), BOX, 0.35, 1)
    assert not is_within(moved(dy=-14.1), BOX, 0.35, 1)
    assert not is_within(BOX, moved(dx=14, scale=0.5), 0.35, 2)
    assert is_within(moved(scale=1.4), BOX, 0.35, 1.4)
    assert is_within(moved(scale=1 / 1.4), BOX, 0.35, 1.41)
    assert not is_within(moved(scale=1.5), BOX, 0.35, 1.4)
    assert not is_within(moved(scale=1 / 1.5), BOX, 0.35, 1.4)


def test_touching_is_measured_by_the_mean_width() -> None:
    assert is_touching(BOX, moved(dx=51, dy=51), 1.3)
    assert not is_touching(BOX, moved(dx=52), 1.3)
    assert not is_touching(BOX, moved(dy=-52), 1.3)
    assert is_touching(BOX, moved(dx=-77, scale=2), 1.3)
    assert not is_touching(BOX, moved(dx=-78, scale=2), 1.3)


def test_margins_are_the_distances_to_the_four_edges() -> None:
    assert margins(BOX, (640, 360)) == (100, 50, 500, 270)
    assert margins(Box(-10, 330, 40, 40), (640, 360)) == (-10, 330, 610, -10)


@pytest.mark.parametrize(
    ("point", "distance"), [(3 + 4j, 4), (10 - 2j, 2), (-3 + 4j, 5), (16 + 8j, 10), (5, 0)]
)
def test_beyond_the_ends_of_a_segment_its_ends_are_nearest(point: complex, distance: float) -> None:
    assert distance_to_segment(point, 0, 10) == distance
    assert distance_to_segment(point, 10, 0) == distance
    assert distance_to_segment(point, 3, 3) == abs(point - 3)


def test_boxes_are_sorted_from_left_to_right() -> None:
    boxes = [Box(1, 9, 9, 9), Box(2, 3, 9, 9), Box(2, 4, 5, 9), Box(2, 4, 6, 9)]
    assert sorted([boxes[2], boxes[3], boxes[1], boxes[0]], key=position) == boxes
