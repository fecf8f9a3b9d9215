"""The cascade looks for faces in steps, and around what it finds also between them."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import EdgeError
from edge.sources.demo import PEOPLE, Scene
from edge.types import Image
from edge.vision.cascade import FACE, NEARBY, OPENCV_FILE, STEP, Cascade, Place
from tools.conversion.cascade_file import Stage, cascade_text, read_cascade
from tools.training.windows import everything

WIDTH, HEIGHT = 320, 180
WHOLE = (0, 0, WIDTH, HEIGHT)


def room(side: int) -> tuple[Image, list[Place]]:
    """A room with the demo's faces of this size, one near each corner, and their places."""
    view = cv2.resize(Scene().draw(0), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    gray = np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2GRAY), np.uint8)
    right, bottom = WIDTH - side - STEP, HEIGHT - side - STEP
    places = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    places += [(35 + 49 * (n % 5) + n, 25 + 45 * (n // 5)) for n in range(15)]
    for (left, top), path in zip(places, sorted(PEOPLE.glob("*.jpg")), strict=False):
        face = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        gray[top : top + side, left : left + side] = cv2.resize(
            face, (side, side), interpolation=cv2.INTER_AREA
        )
    return gray, places


def is_at(hits: set[Place], place: Place) -> bool:
    return any(abs(x - place[0]) < 12 and abs(y - place[1]) < 12 for x, y in hits)


@pytest.fixture(name="cascade", scope="module")
def _cascade() -> Cascade:
    return Cascade()


@pytest.mark.parametrize("shift", [0, 1])
def test_the_places_around_hits_are_searched_at_the_steps_or_between(
    cascade: Cascade, shift: int
) -> None:
    gray, _ = room(25)
    size = FACE + STEP

    def lattice(shift: int) -> set[Place]:
        """Hits at the places with this remainder, each place looked at for itself."""
        places = itertools.product(
            range(shift, WIDTH - FACE, STEP), range(shift, HEIGHT - FACE, STEP)
        )
        parts = {(x, y): (x, y, x + size, y + size) for x, y in places}
        return {place for place, part in parts.items() if place in cascade.hits(gray, part, shift)}

    hits, steps = cascade.hits(gray, WHOLE, shift), lattice(shift)
    assert hits <= steps
    # OpenCV takes a longer step after a place that is nothing like a face
    assert len(hits) > 0.9 * len(steps) > 40
    for remainder in (0, 1):
        near = {
            p
            for p in lattice(remainder)
            if any(max(abs(p[0] - x), abs(p[1] - y)) <= NEARBY for x, y in hits)
        }
        around = cascade.hits_around(gray, hits, remainder)
        assert len(near & around) > 0.9 * len(near) > 40
        assert around <= lattice(remainder)


def test_a_face_between_the_steps_is_found_from_another_place_on(cascade: Cascade) -> None:
    gray, places = room(31)
    even, odd = (cascade.hits(gray, WHOLE, shift) for shift in (0, 1))
    found = [(is_at(even, place), is_at(odd, place)) for place in places]
    assert found.count((True, False)) >= 2
    assert found.count((False, True)) >= 2


def test_parts_are_searched_at_the_same_places(cascade: Cascade) -> None:
    gray, _ = room(25)
    whole = cascade.hits(gray, WHOLE, 0)
    for part in ((7, 3, WIDTH, HEIGHT), (0, 0, 161, 91)):
        hits = cascade.hits(gray, part, 0)
        inside = {(x, y) for x, y in whole if part[0] <= x < part[2] - 40 and part[1] <= y < 50}
        assert len(hits & inside) > 0.9 * len(inside) > 5
        assert all(x % STEP == y % STEP == 0 for x, y in hits)


def test_where_nothing_looks_like_a_face_there_is_none(cascade: Cascade) -> None:
    plain = np.full((HEIGHT, WIDTH), 90, np.uint8)
    assert cascade.hits(plain, WHOLE, 0) == cascade.fast_hits(plain, WHOLE, 0) == set()
    assert cascade.hits_around(plain, [(30, 30)], 0) == cascade.hits_around(plain, [], 0) == set()


def with_early_stage(threshold: float, file: Path) -> None:
    """OpenCV's cascade after a stage that all windows pass, or none."""
    notice, stages = read_cascade(OPENCV_FILE)
    early = Stage(everything().stumps, threshold)
    file.write_text(cascade_text(notice, [early, *stages]))


def test_the_fast_cascade_is_a_file_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gray, _ = room(25)
    file = tmp_path / "fast.xml"
    monkeypatch.setattr("edge.vision.cascade.FAST_FILE", file)
    with_early_stage(1.0, file)
    assert Cascade().fast_hits(gray, WHOLE, 0) == set()
    with_early_stage(-1.0, file)
    cascade = Cascade()
    assert cascade.fast_hits(gray, WHOLE, 0) == cascade.hits(gray, WHOLE, 0) != set()
    file.write_text("no cascade")
    with pytest.raises(EdgeError, match=r"cannot read .*fast\.xml"):
        Cascade()
