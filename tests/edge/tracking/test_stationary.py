"""What keeps still, for how long, and how long it is remembered."""

import math

import pytest

from edge.geometry import square_box
from edge.tracking.stationary import StationaryFilter, StationaryObjects
from edge.types import Box


def at(x: float = 300, width: float = 50) -> Box:
    return square_box(complex(x, 150), width)


def kept_still(seconds: float, box: Box) -> StationaryFilter:
    return StationaryFilter(box, box, seconds)


def test_the_box_is_an_average_over_three_seconds() -> None:
    still = StationaryFilter.at(Box(300, 100, 50, 60))
    still.update(Box(302, 101, 54, 62), 3.0)
    part = 1 - math.exp(-1)
    assert (still.box.x, still.box.y) == pytest.approx((300 + 2 * part, 100 + part))
    assert (still.box.w, still.box.h) == pytest.approx((50 + 4 * part, 60 + 2 * part))


def test_sightings_vouch_for_the_time_before_them_but_not_for_long() -> None:
    still = StationaryFilter.at(at())
    for elapsed in (0.25, 1.0, 30.0):
        still.update(at(), elapsed)
    assert (still.still_s, still.moved) == (2.25, False)


@pytest.mark.parametrize(
    ("box", "moved"),
    [(at(303.9), False), (at(304.1), True), (at(width=55.9), False), (at(width=56.1), True)],
)
def test_a_face_that_moved_or_grew_begins_again(box: Box, moved: bool) -> None:
    """It is 50 wide: 0.08 of that is 4, and 1.12 times that is 56."""
    still = StationaryFilter.at(at())
    still.update(at(), 1.0)
    still.update(box, 1e9)  # long enough for the average to be there
    assert still.moved is moved
    assert still.still_s == (0 if moved else 2)
    assert still.anchor == (still.box if moved else at())
    still.update(box, 0.5)
    assert still.still_s == (0.5 if moved else 2.5)
    assert still.moved is moved, "once moved, always moved"


def test_still_faces_at_one_place_add_up() -> None:
    objects = StationaryObjects(static_after=10)
    objects.add(kept_still(6, at()), 100)
    assert not objects.recognize(at(), 100)
    assert len(objects) == 0
    objects.add(kept_still(3.9, at(309)), 100)
    assert len(objects) == 0
    objects.add(kept_still(0.1, at(291)), 100)
    assert len(objects) == 1
    assert objects.recognize(at(312), 100)
    assert not objects.recognize(at(313), 100)
    assert not objects.recognize(at(width=68), 100)


def test_two_places_do_not_add_up() -> None:
    objects = StationaryObjects(static_after=10)
    for x in (100, 300):
        objects.add(kept_still(9, at(x)), 100)
    assert len(objects) == 0
    objects.add(kept_still(1, at(300)), 100)
    assert [objects.recognize(at(x), 100) for x in (100, 300)] == [False, True]


@pytest.mark.parametrize(("more", "known"), [(-0.01, 0), (0.01, 1)])
def test_after_four_hours_a_sighting_weighs_a_third(more: float, known: int) -> None:
    objects = StationaryObjects(static_after=10)
    objects.add(kept_still(9, at()), 0)
    objects.add(kept_still(10 - 9 / math.e + more, at()), 4 * 3600)
    assert len(objects) == known


def test_a_place_is_forgotten_an_hour_after_its_last_face() -> None:
    objects = StationaryObjects(static_after=10)
    objects.add(kept_still(10, at()), 0)
    assert objects.recognize(at(), 3600)
    assert objects.recognize(at(), 7200), "each face there makes it last"
    assert not objects.recognize(at(500), 7300), "a face elsewhere does not"
    assert not objects.recognize(at(), 10_801)
    assert len(objects) == 0
