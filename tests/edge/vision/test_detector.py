"""Haar and BlazeFace find people and not things."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.geometry import overlap
from edge.sources.demo import CYCLE_S, Scene
from edge.sources.recordings import open_file
from edge.tracking.tracker import Tracker
from edge.types import Box, Face, Frame, Image
from edge.vision.blazeface import BlazeFace
from edge.vision.detector import HaarDetector
from edge.vision.search import SelectiveSearch, WholeSearch
from tests.support.paths import ROOT


def scene_frame(seconds: float, scale: int = 1) -> Frame:
    image = Scene().draw(seconds)
    gray = np.asarray(image.mean(axis=2), np.uint8)[::scale, ::scale]
    return Frame(0, 0.0, 0.0, image, np.ascontiguousarray(gray))


@pytest.fixture(scope="module")
def verify() -> BlazeFace:
    return BlazeFace(ROOT / "models/face.tflite")


def test_every_demo_person_is_found_where_they_are(verify: BlazeFace) -> None:
    detect = HaarDetector(verify)
    scene = Scene()
    for cycle in range(5):
        # in the middle of a crossing all of the group are in view
        faces = detect(scene_frame(cycle * CYCLE_S + 3.2))
        assert len(faces) == scene.people(cycle).total


def test_an_empty_room_has_no_faces(verify: BlazeFace) -> None:
    assert HaarDetector(verify)(scene_frame(9.5)) == []


def test_boxes_are_in_pixels_of_the_picture_not_of_its_gray(verify: BlazeFace) -> None:
    full, half = (HaarDetector(verify)(scene_frame(3.2, scale)) for scale in (1, 2))
    assert len(full) == len(half) > 0
    for a, b in zip(full, half, strict=True):
        assert abs(a.box.cx - b.box.cx) < 0.15 * a.box.w
        assert a.box.w == pytest.approx(b.box.w, rel=0.25)


def test_sizes_are_limited(verify: BlazeFace) -> None:
    frame = scene_frame(3.2)
    widths = [face.box.w for face in HaarDetector(verify)(frame)]
    assert HaarDetector(verify, min_face_px=round(max(widths)) + 20)(frame) == []
    limit = round(min(widths)) - 10
    smaller = HaarDetector(verify, max_face_px=limit)(frame)
    assert all(face.box.w <= limit for face in smaller)
    assert HaarDetector(verify, max_face_px=round(min(widths) / 2))(frame) == []


def test_only_faces_in_the_region_count(verify: BlazeFace) -> None:
    frame = scene_frame(3.2)
    height, width = frame.image.shape[:2]
    everybody = HaarDetector(verify)(frame)
    assert len(everybody) >= 2
    one = everybody[0].box
    x, y = one.cx / width, one.cy / height
    around = [
        (x - 0.02, y - 0.02),
        (x + 0.02, y - 0.02),
        (x + 0.02, y + 0.02),
        (x - 0.02, y + 0.02),
    ]
    (found,) = HaarDetector(verify, region=around, max_face_px=round(one.w * 1.15))(frame)
    # a smaller picture is searched in slightly other steps
    assert abs(found.box.cx - one.cx) + abs(found.box.cy - one.cy) < 0.15 * one.w
    rest = HaarDetector(verify, excluded=[around])(frame)
    assert rest == everybody[1:]
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert HaarDetector(verify, region=whole)(frame) == everybody
    assert HaarDetector(verify, excluded=[whole])(frame) == []


def test_nobody_faces_the_camera(verify: BlazeFace, clips: Path) -> None:
    detect = HaarDetector(verify)
    found = [detect(frame) for frame in open_file(clips / "people-detection.gif")]
    assert len(found) == 23
    assert not any(found)


def test_a_shelf_that_haar_takes_for_a_face_is_none(verify: BlazeFace, clips: Path) -> None:
    frames = list(open_file(clips / "classroom.gif"))
    everything = HaarDetector(lambda image, box, ratio, view=0: Face(box, 1.0), min_score=0.1)
    shelf = Box(160, 62, 60, 60)
    seen = [[f for f in everything(frame) if overlap(f.box, shelf) > 0.5] for frame in frames]
    assert sum(map(len, seen)) > 30
    assert not any(
        overlap(f.box, shelf) > 0.5 for frame in frames for f in HaarDetector(verify)(frame)
    )


def test_a_face_that_haar_loses_is_recovered(verify: BlazeFace, clips: Path) -> None:
    detect = HaarDetector(verify)
    frames = open_file(clips / "head-pose-face-detection-female-and-male.gif")
    tracker, alone, recovered = Tracker(), 0, 0
    for frame in frames:
        faces = detect(frame, tracker.predict(frame.mono))
        tracker.update(faces, frame.mono, (480, 270))
        recovered += sum(face.recovered for face in faces)
        alone += len(detect(frame))
    assert alone < 25, "Haar finds them all"
    assert recovered > 70
    left, right = faces
    assert left.roll == pytest.approx(-45, abs=10)
    assert right.roll == pytest.approx(-42, abs=10)


def test_faces_that_never_move_are_stationary(verify: BlazeFace) -> None:
    detect, tracker = HaarDetector(verify), Tracker(static_after=15)
    scene = cv2.resize(Scene().draw(3.2), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0)
    for step in range(100):  # at 4 frames per second, in changing light
        light = 6 * np.sin(step / 9)
        image = np.clip(scene + noise.normal(light, 8, scene.shape), 0, 255).astype(np.uint8)
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        mono = step / 4
        faces = detect(Frame(step, mono, 0.0, image, gray), tracker.predict(mono))
        assert len(faces) == 2
        assert tracker.update(faces, mono, (320, 180))[1] == []
    assert (tracker.present, tracker.stationary) == (0, 2)
    assert tracker.finish() == []


def test_a_face_that_is_found_is_not_recovered_beside_itself(verify: BlazeFace) -> None:
    detect, frame = HaarDetector(verify), scene_frame(3.2)
    faces = detect(frame)
    assert faces
    for shift in (-0.31, 0.31):  # too far to be the same place, near enough to see the face
        beside = [
            Box(box.x + shift * box.w, box.y + shift * box.w, box.w, box.h)
            for box in (face.box for face in faces)
        ]
        assert detect(frame, beside) == faces


@pytest.mark.parametrize(("shared", "faces"), [(0.45, 1), (0.35, 1), (0.25, 2), (0.1, 2)])
def test_boxes_that_share_three_tenths_are_one_face(
    verify: BlazeFace, shared: float, faces: int
) -> None:
    """The second one is a box that was predicted beside the face, in which one is seen too."""
    frame = scene_frame(3.2)
    face = HaarDetector(verify)(frame)[0]
    beside = Box(face.box.x + (1 - shared) * face.box.w, face.box.y, face.box.w, face.box.h)
    assert overlap(face.box, beside) == pytest.approx(shared)

    def nearby(image: Image, box: Box, ratio: float, view: int = 0) -> Face | None:
        return Face(box, 0.9) if overlap(box, face.box) > 0 else None

    found = HaarDetector(nearby)(frame, [beside])
    assert [face.recovered for face in found] == [False, True][:faces]


def test_nothing_is_recovered_where_nobody_is(verify: BlazeFace) -> None:
    detect = HaarDetector(verify)
    assert detect(scene_frame(9.5), [Box(x, 120, 70, 70) for x in range(0, 600, 60)]) == []


def test_recovered_faces_outside_of_the_region_do_not_count(verify: BlazeFace) -> None:
    frame = scene_frame(3.2)
    places = [face.box for face in HaarDetector(verify)(frame)]
    assert places
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert HaarDetector(verify, excluded=[whole])(frame, places) == []


@pytest.mark.parametrize(
    ("score", "hits", "faces"),
    [
        (0.66, 2, 0),  # odds of 1.94: Haar's hits tell nothing
        (0.67, 2, 1),
        (0.67, 1, 0),
        (0.5, 5, 1),  # as a face out of focus
        (0.2, 22, 0),
        (0.2, 24, 1),
        (0.0, 50, 0),  # no better than 0.1
        (0.0, 54, 1),
        (1.0, 0.4, 1),  # no better than 0.9
    ],
)
def test_the_odds_of_haar_and_of_the_verifier_are_multiplied(
    score: float, hits: float, faces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Box(100, 100, 50, 50)
    monkeypatch.setattr(WholeSearch, "__call__", lambda *_: [Face(place, hits)])
    detect = HaarDetector(lambda image, box, ratio, view=0: Face(box, score) if score else None)
    assert len(detect(scene_frame(9.5))) == faces


def test_both_searches_have_about_as_many_hits_on_a_face(verify: BlazeFace) -> None:
    """Else the same odds would not fit both."""
    for cycle in range(5):
        frame = scene_frame(cycle * CYCLE_S + 3.2)
        whole, selective = (HaarDetector(verify, selective=way)(frame) for way in (False, True))
        assert len(whole) == len(selective) > 0
        for a, b in zip(whole, selective, strict=True):
            assert 0.4 < a.score / b.score < 1.1


def test_what_is_followed_may_be_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is judged again, a single picture is not."""
    place = Box(100, 100, 50, 50)
    found: list[int] = []
    for search, selective in ((WholeSearch, False), (SelectiveSearch, True)):
        monkeypatch.setattr(search, "__call__", lambda *_: [Face(place, 2)])
        for score in (0.3, 0.35, 0.7):
            detect = HaarDetector(
                lambda image, box, ratio, view=0, score=score: Face(box, score),
                selective=selective,
            )
            found.append(len(detect(scene_frame(9.5))))
    assert found == [0, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(("min_score", "faces"), [(0.3, 1), (0.5, 1), (0.7, 0)])
def test_a_higher_min_score_finds_less(
    min_score: float, faces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Box(100, 100, 50, 50)
    monkeypatch.setattr(WholeSearch, "__call__", lambda *_: [])
    weak = HaarDetector(lambda image, box, ratio, view=0: Face(box, 0.6), min_score=min_score)
    assert len(weak(scene_frame(9.5), [place])) == faces
    monkeypatch.setattr(WholeSearch, "__call__", lambda *_: [Face(place, 4)])
    assert len(weak(scene_frame(9.5))) == faces
