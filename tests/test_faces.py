"""Haar finds people and not things."""

from pathlib import Path

import numpy as np
import pytest

from edge.cameras import View
from edge.faces import HaarDetector
from edge.frames import open_frames
from edge.records import Frame
from edge.scene import CYCLE_S, Scene


def scene_frame(seconds: float, scale: int = 1) -> Frame:
    image = Scene().draw(seconds)
    gray = np.asarray(image.mean(axis=2), np.uint8)[::scale, ::scale]
    return Frame(0, 0.0, 0.0, image, np.ascontiguousarray(gray))


def test_every_demo_person_is_found_where_they_are() -> None:
    detect = HaarDetector()
    scene = Scene()
    for cycle in range(5):
        # in the middle of a crossing all of the group are in view
        faces = detect(scene_frame(cycle * CYCLE_S + 3.2))
        assert len(faces) == scene.people(cycle).total


def test_an_empty_room_has_no_faces() -> None:
    assert HaarDetector()(scene_frame(9.5)) == []


def test_boxes_are_in_pixels_of_the_picture_not_of_its_gray() -> None:
    full, half = (HaarDetector()(scene_frame(3.2, scale)) for scale in (1, 2))
    assert len(full) == len(half) > 0
    for a, b in zip(full, half, strict=True):
        assert abs(a.box.cx - b.box.cx) < 0.15 * a.box.w
        assert a.box.w == pytest.approx(b.box.w, rel=0.25)


def test_sizes_are_limited() -> None:
    frame = scene_frame(3.2)
    widths = [face.box.w for face in HaarDetector()(frame)]
    assert HaarDetector(min_face_px=round(max(widths)) + 20)(frame) == []
    assert HaarDetector(max_face_px=round(min(widths)) - 20)(frame) == []


def test_only_faces_in_the_region_count() -> None:
    frame = scene_frame(3.2)
    height, width = frame.image.shape[:2]
    everybody = HaarDetector()(frame)
    assert len(everybody) >= 2
    one = everybody[0].box
    x, y = one.cx / width, one.cy / height
    around = [
        (x - 0.02, y - 0.02),
        (x + 0.02, y - 0.02),
        (x + 0.02, y + 0.02),
        (x - 0.02, y + 0.02),
    ]
    (found,) = HaarDetector(region=around, max_face_px=round(one.w * 1.5))(frame)
    # a smaller picture is searched in slightly other steps
    assert abs(found.box.cx - one.cx) + abs(found.box.cy - one.cy) < 0.15 * one.w
    rest = HaarDetector(excluded=[around])(frame)
    assert rest == everybody[1:]
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert HaarDetector(region=whole)(frame) == everybody
    assert HaarDetector(excluded=[whole])(frame) == []


def test_nobody_faces_the_camera(clips: Path) -> None:
    detect = HaarDetector()
    found = [detect(frame) for frame in open_frames(str(clips / "people-detection.gif"), View())]
    assert len(found) == 23
    assert not any(found)
