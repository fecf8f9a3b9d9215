"""BlazeFace: is there a face at a place, where exactly, and how is it tilted."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.sources.demo import PEOPLE, Scene
from edge.types import Box, Image
from edge.vision.blazeface import SIZE, VIEWS, BlazeFace, anchors
from edge.vision.tflite import RUNTIMES
from tests.support.paths import ROOT

MODEL = ROOT / "models/face.tflite"


@pytest.fixture(scope="module")
def verify() -> BlazeFace:
    return BlazeFace(MODEL)


def somebody(verify: BlazeFace) -> tuple[Image, Box]:
    """A picture and the box of one face in it."""
    image = Scene().draw(3.2)
    for x in range(0, image.shape[1] - 80, 20):
        found = verify(image, Box(x, 120, 80, 80), 1.6)
        if found is not None:
            return image, found.box
    pytest.fail("nobody in the demo scene")


def test_a_face_is_found_again_from_a_place_beside_it(verify: BlazeFace) -> None:
    image, box = somebody(verify)
    for dx, dy, scale in ((0.2, 0, 1.1), (-0.2, 0.1, 0.9), (0, -0.2, 1.2)):
        w = box.w * scale
        place = Box(box.cx + dx * w - w / 2, box.cy + dy * w - w / 2, w, w)
        found = verify(image, place, 1.6)
        assert found is not None
        assert abs(found.box.cx - box.cx) + abs(found.box.cy - box.cy) < 0.15 * box.w
        assert found.box.w == pytest.approx(box.w, rel=0.12)


@pytest.mark.parametrize("view", range(len(VIEWS)))
def test_each_view_shows_the_same_face(verify: BlazeFace, view: int) -> None:
    image, box = somebody(verify)
    turn = cv2.getRotationMatrix2D((box.cx, box.cy), 15, 1.0)
    tilted = np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1]), np.uint8)
    first, other = verify(tilted, box, 1.6), verify(tilted, box, 1.6, view)
    assert first is not None
    assert other is not None
    assert abs(other.box.cx - first.box.cx) + abs(other.box.cy - first.box.cy) < 0.1 * box.w
    assert other.box.w == pytest.approx(first.box.w, rel=0.1)
    assert other.roll == pytest.approx(first.roll, abs=8)
    assert (other.score == first.score) == (view == 0)


@pytest.mark.parametrize("turned", [-35, -15, 20, 40])
def test_tilt_is_measured(verify: BlazeFace, turned: float) -> None:
    image, box = somebody(verify)
    upright = verify(image, box, 1.6)
    turn = cv2.getRotationMatrix2D((box.cx, box.cy), -turned, 1.0)
    tilted = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    found = verify(np.asarray(tilted, np.uint8), box, 1.6)
    assert upright is not None
    assert found is not None
    assert found.roll - upright.roll == pytest.approx(turned, abs=8)
    assert found.box.w == pytest.approx(upright.box.w, rel=0.15)


@pytest.mark.parametrize("fraction", [0.15, 0.25, 0.4, 0.5, 0.7, 1.0])
def test_all_anchors_that_see_a_face_agree_on_its_place(verify: BlazeFace, fraction: float) -> None:
    """From a small part of the view to all of it, with the small anchors and the large."""
    side = round(SIZE * fraction)
    corner = (SIZE - side) // 2
    seen = 0
    for file in sorted(PEOPLE.glob("*.jpg")):
        view = np.full((SIZE, SIZE, 3), 110, np.uint8)
        face = cv2.resize(
            np.asarray(cv2.imread(str(file))), (side, side), interpolation=cv2.INTER_AREA
        )
        view[corner : corner + side, corner : corner + side] = face
        values, scores = verify._run(view)
        found = np.flatnonzero(scores > 0.5)
        centers = anchors()[found] * SIZE + values[found, :2]
        seen += len(found) > 1
        if len(found):
            assert np.abs(centers - SIZE / 2).max() < 0.2 * side
            assert np.abs(centers - np.median(centers, axis=0)).max() < 0.1 * side
    assert seen >= 10


def test_there_is_no_face_in_a_wall(verify: BlazeFace) -> None:
    image = Scene().draw(9.5)
    assert not any(verify(image, Box(x, 100, 80, 80), 1.6) for x in range(0, 560, 20))


def test_a_place_beyond_the_edge_is_looked_at_too(verify: BlazeFace) -> None:
    image, box = somebody(verify)
    cut = np.ascontiguousarray(image[:, max(0, round(box.x)) :])
    found = verify(cut, Box(0, box.y, box.w, box.h), 1.6)
    assert found is not None
    assert abs(found.box.x) < 0.2 * box.w


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no build from 3.12 on")
def test_both_runtimes_see_the_same() -> None:
    seen = []
    for runtime in RUNTIMES:
        verify = BlazeFace(MODEL, runtime=runtime)
        _, box = somebody(verify)
        seen.append((box.x, box.y, box.w))
    assert seen[0] == pytest.approx(seen[1], abs=0.5)


def test_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not MediaPipe's BlazeFace"):
        BlazeFace(ROOT / "models/gender.tflite")
    with pytest.raises(ModelError, match=r"none\.tflite: cannot be read"):
        BlazeFace(tmp_path / "none.tflite")
    text = tmp_path / "text.tflite"
    text.write_text("no model at all")
    with pytest.raises(ModelError, match="is not a TFLite file"):
        BlazeFace(text)
