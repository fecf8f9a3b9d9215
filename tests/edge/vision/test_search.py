"""A selective search finds what a search of every frame finds, in time and for less."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources.demo import PEOPLE, Scene
from edge.types import Box, Face, Frame, Image
from edge.vision.cascade import Cascade, Place, Rect
from edge.vision.schedule import PASS_S, SWEEP_S
from edge.vision.search import SelectiveSearch, Sizes, WholeSearch
from edge.vision.zones import Zones
from tests.edge.vision.test_cascade import with_early_stage

FPS = 10
VIEW: Image = Scene().draw(0)
FACE: Image = np.asarray(cv2.imread(str(min(PEOPLE.glob("*.jpg")))), np.uint8)
WIDTH, HEIGHT = 640, 360


def frame_of(image: Image, number: int) -> Frame:
    noise = np.random.default_rng(number).normal(0, 2, image.shape)
    noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
    gray = np.asarray(cv2.cvtColor(noisy, cv2.COLOR_BGR2GRAY), np.uint8)
    return Frame(number, number / FPS, 0.0, noisy, gray)


def with_face(left: int, top: int, side: int) -> tuple[Image, Box]:
    """The view with a face of about this size, and its box as Haar sees it in the whole picture."""
    image = VIEW.copy()
    image[top : top + side, left : left + side] = cv2.resize(
        FACE, (side, side), interpolation=cv2.INTER_AREA
    )
    faces = WholeSearch(Sizes(), Zones())(frame_of(image, 0), [])
    inside = (f for f in faces if left <= f.box.cx <= left + side and top <= f.box.cy <= top + side)
    return image, max(inside, key=lambda face: face.score).box


def is_found(faces: list[Face], box: Box) -> bool:
    return any(
        abs(f.box.cx - box.cx) + abs(f.box.cy - box.cy) < 0.25 * box.w
        and 0.8 < f.box.w / box.w < 1.25
        for f in faces
    )


CORNERS = [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)]


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("side", [48, 70, 110, 170, 260])
def test_a_face_that_appears_is_found_at_once(corner: tuple[float, float], side: int) -> None:
    left, top = round(corner[0] * (WIDTH - side)), round(corner[1] * (HEIGHT - side))
    image, box = with_face(left, top, side)
    search = SelectiveSearch(Sizes(), Zones())
    for number in range(12):
        search(frame_of(VIEW, number), [])
    seconds = range(12, 12 + round(PASS_S * FPS))
    assert any(is_found(search(frame_of(image, n), []), box) for n in seconds)


@pytest.mark.parametrize("corner", CORNERS)
def test_a_face_that_nothing_betrays_is_found_in_the_next_sweep(
    corner: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.vision.motion.MIN_CHANGE", 1000.0)
    monkeypatch.setattr("edge.vision.motion.LIGHT_CHANGE", 1000.0)
    left, top = round(corner[0] * (WIDTH - 90)), round(corner[1] * (HEIGHT - 90))
    image, box = with_face(left, top, 90)
    search = SelectiveSearch(Sizes(), Zones())
    search(frame_of(VIEW, 0), [])
    found = [is_found(search(frame_of(image, n), []), box) for n in range(1, 40)]
    assert 0 < np.mean(found) < 0.2
    assert any(found[: round(SWEEP_S * FPS)])


def test_a_followed_face_is_found_in_every_frame() -> None:
    image, box = with_face(300, 100, 80)
    search = SelectiveSearch(Sizes(), Zones())
    found = [is_found(search(frame_of(image, n), [box]), box) for n in range(30)]
    assert np.mean(found) > 0.9


def test_around_a_followed_face_opencvs_cascade_searches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_early_stage(1.0, tmp_path / "fast.xml")  # finds nothing
    monkeypatch.setattr("edge.vision.cascade.FAST_FILE", tmp_path / "fast.xml")
    image, box = with_face(300, 100, 80)
    search = SelectiveSearch(Sizes(), Zones())
    found = [is_found(search(frame_of(image, n), [box] if n >= 10 else []), box) for n in range(20)]
    assert not any(found[:10])
    assert all(found[10:])


@pytest.fixture(name="searched")
def _searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The remainders of the places in all parts that OpenCV's cascade has searched."""
    shifts: list[int] = []
    hits = Cascade.hits

    def record(cascade: Cascade, level: Image, part: Rect, shift: int) -> set[Place]:
        shifts.append(shift)
        return hits(cascade, level, part, shift)

    monkeypatch.setattr(Cascade, "hits", record)
    return shifts


def test_places_between_the_steps_of_one_frame_are_searched_in_the_next(
    searched: list[int],
) -> None:
    image, box = with_face(300, 100, 80)
    search = SelectiveSearch(Sizes(), Zones())
    shifts = []
    for number in range(4):
        search(frame_of(image, number), [box])
        shifts.append(searched[-1])  # it is clear: nothing is searched between
    assert shifts in ([0, 1] * 2, [1, 0] * 2)


def test_around_a_clear_face_little_is_searched_and_its_hits_count_more(
    searched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, box = with_face(300, 100, 80)

    def look() -> tuple[int, float]:
        """Parts that were searched, and the mean number of hits on the face."""
        search = SelectiveSearch(Sizes(), Zones())
        search(frame_of(image, 0), [box])
        searched.clear()
        faces = [face for n in range(1, 9) for face in search(frame_of(image, n), [box])]
        assert len(faces) == 8
        assert is_found(faces, box)
        return len(searched), float(np.mean([face.score for face in faces]))

    few, hits = look()
    monkeypatch.setattr("edge.vision.search.CLEAR_HITS", 1000)
    many, all_hits = look()
    assert few < many / 2
    assert all_hits / 2 < hits < all_hits


def crossings() -> Iterator[Frame]:
    scene = Scene()
    for number in range(100):
        yield frame_of(scene.draw(number / FPS), number)


def test_people_who_walk_past_are_found_as_often() -> None:
    """Each face within three frames of where a search of every frame sees it."""
    whole, selective = WholeSearch(Sizes(), Zones()), SelectiveSearch(Sizes(), Zones())
    recent: list[list[Face]] = []
    expected = found = 0
    for frame in crossings():
        recent = [*recent[-3:], selective(frame, [])]
        if frame.seq % 5 == 4:
            for face in whole(frame, []):
                expected += 1
                near = Box(face.box.x - 30, face.box.y, face.box.w + 60, face.box.h)
                found += any(
                    near.x <= f.box.cx <= near.x + near.w and abs(f.box.cy - face.box.cy) < 20
                    for faces in recent
                    for f in faces
                )
    assert expected > 10
    assert found >= 0.95 * expected


def test_another_view_starts_anew() -> None:
    image, box = with_face(300, 100, 80)
    search = SelectiveSearch(Sizes(), Zones())
    search(frame_of(VIEW, 0), [])
    small = np.asarray(cv2.resize(image, (480, 270), interpolation=cv2.INTER_AREA), np.uint8)
    faces = search(frame_of(small, 1), [])
    assert is_found(
        [Face(Box(*(v / 0.75 for v in (f.box.x, f.box.y, f.box.w, f.box.h))), 1) for f in faces],
        box,
    )


def test_boxes_are_in_pixels_of_the_picture_not_of_its_gray() -> None:
    image, box = with_face(300, 100, 120)
    frame = frame_of(image, 0)
    half = np.asarray(cv2.resize(frame.gray, (320, 180), interpolation=cv2.INTER_AREA), np.uint8)
    search = SelectiveSearch(Sizes(), Zones())
    assert is_found(search(Frame(0, 0.0, 0.0, frame.image, half), []), box)
