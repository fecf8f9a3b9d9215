"""Whatever the page may show of a picture, no face in it can be found or made out."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import wiring
from edge.aim.picture import (
    BLUR_CELLS,
    CELLS,
    FULL_WIDTH,
    LINE_LENGTH,
    MAX_LINES,
    RoomLines,
    degrade,
    degraded_png,
    full_jpeg,
)
from edge.config import Config
from edge.sources.demo import PEOPLE
from edge.sources.frame import frame_of
from edge.sources.open import open_frames
from edge.types import CaptureSettings, Frame, Image
from edge.vision.detector import HaarDetector
from tests.support.paths import CLIP, PICTURE

JPEG_APP0, JPEG_METADATA = b"\xff\xe0", [bytes([0xFF, marker]) for marker in range(0xE1, 0xF0)]


@pytest.fixture(scope="module")
def detector() -> HaarDetector:
    # each picture is a view of its own: search it whole
    return wiring.detector(Config.model_validate({"detector": {"idle": False}}))


def frame(image: Image) -> Frame:
    return frame_of(0, 0.0, 0.0, image, CaptureSettings())


def portrait(share: float) -> Image:
    """One of the demo's people, who fills this share of the picture's height."""
    face = cv2.imread(str(sorted(PEOPLE.glob("*.jpg"))[0]))
    assert face is not None
    view = np.full((480, 640, 3), 150, np.uint8)
    side = round(480 * share)
    top, left = (480 - side) // 2, (640 - side) // 2
    view[top : top + side, left : left + side] = cv2.resize(face, (side, side))
    return view


def enlarged(image: Image) -> list[Frame]:
    """The degraded picture as large as it was, in the ways in which browsers enlarge it."""
    size = image.shape[1::-1]
    small = degrade(image)
    methods = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    views = [
        np.asarray(cv2.resize(small, size, interpolation=method), np.uint8) for method in methods
    ]
    lines = RoomLines().update(frame(image).gray, 0.0)
    for view in views:
        for x1, y1, x2, y2 in lines:
            begin = round(x1 * size[0]), round(y1 * size[1])
            end = round(x2 * size[0]), round(y2 * size[1])
            cv2.line(view, begin, end, (255, 255, 255))
    return [frame(view) for view in views]


def hidden(detector: HaarDetector, image: Image) -> int:
    """The number of faces in a picture, none of which is found once it is degraded."""
    faces = detector(frame(image))
    for view in enlarged(image):
        assert detector(view) == []
        assert [face for face in faces if detector.face_evidence(view, face.box, 0) >= 0] == []
    return len(faces)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 1.0])
def test_a_face_of_any_size_is_hidden(detector: HaarDetector, share: float) -> None:
    assert hidden(detector, portrait(share)) == 1


def test_the_people_of_the_clip_and_of_the_picture_are_hidden(detector: HaarDetector) -> None:
    frames = itertools.islice(open_frames(str(CLIP)), 25, 65, 13)
    images = [frame.image for frame in frames if isinstance(frame, Frame)]
    assert sum(hidden(detector, image) for image in images) >= 5
    assert hidden(detector, np.asarray(cv2.imread(str(PICTURE)), np.uint8)) == 3


@pytest.mark.shared
def test_real_people_are_hidden(detector: HaarDetector, clips: Path) -> None:
    names = ("woman-frowns.mp4", "man-blinks-portrait.mp4")  # their faces fill most of the picture
    number = 0
    for name in names:
        frames = itertools.islice(open_frames(str(clips / "real" / name)), 10, 91, 40)
        number += sum(hidden(detector, frame.image) for frame in frames if isinstance(frame, Frame))
    assert number >= 5


def test_a_face_that_no_detector_finds_is_hidden_as_well() -> None:
    """Nothing depends on detection: a face upside down is left as few pixels as any other."""
    image = portrait(0.5)
    upright, turned = degrade(image), degrade(np.ascontiguousarray(image[::-1]))
    assert upright.shape == turned.shape == (CELLS, round(CELLS * 640 / 480), 3)
    assert np.abs(upright[::-1].astype(int) - turned).max() <= 8


@pytest.mark.parametrize("shape", [(480, 640), (640, 480), (2000, 20), (1, 1), (9, 1000)])
def test_no_picture_is_left_more_pixels(shape: tuple[int, int]) -> None:
    small = degrade(np.zeros((*shape, 3), np.uint8))
    assert min(small.shape[:2]) <= CELLS
    assert max(small.shape[:2]) <= 4 * CELLS


def test_details_leave_no_trace_that_many_pictures_could_add_up() -> None:
    """Stripes as wide as a cell would show, shift by shift, if they were only sampled."""
    cell = 480 // CELLS
    columns = np.arange(640)
    for shift in (0, cell // 2, cell):
        stripes = np.where((columns + shift) // cell % 2, 255, 0).astype(np.uint8)
        image = np.repeat(np.tile(stripes, (480, 1))[:, :, None], 3, axis=2)
        inner = degrade(image)[:, 3:-3].astype(int)  # the edges have no neighbors
        assert np.ptp(inner) <= 8
    assert BLUR_CELLS >= 1


def test_lines_are_those_of_the_room_and_few() -> None:
    room = np.full((360, 640), 90, np.uint8)
    room[:, 300:] = 160  # a wall
    cv2.circle(room, (150, 200), 60, (30,), -1)  # a head
    (line, *others) = RoomLines().update(room, 0.0)
    assert [line[0], line[2]] == pytest.approx([300 / 640] * 2, abs=0.01)
    assert abs(line[3] - line[1]) > 0.9
    assert all(
        np.hypot((x2 - x1) * 640, (y2 - y1) * 360) >= LINE_LENGTH * 360 for x1, y1, x2, y2 in others
    )
    stripes = np.tile(np.repeat([60, 200], 4).astype(np.uint8), (360, 80))
    assert len(RoomLines().update(stripes, 0.0)) == MAX_LINES
    assert RoomLines().update(np.zeros((360, 640), np.uint8), 0.0) == ()


def test_lines_of_what_passes_fade_and_those_of_the_room_stay() -> None:
    lines = RoomLines()
    for number in range(40):
        view = np.full((360, 640), 90, np.uint8)
        view[:, 300:] = 160
        left = 100 + 10 * number  # a tall bright thing on its way through
        view[100:, left : left + 40] = 220
        newest = lines.update(view, number / 10)
    xs = [round(640 * x1) for x1, *_ in newest]
    assert any(abs(x - 300) < 4 for x in xs)
    # where it was when lines were searched last, after 3 s
    assert not any(abs(x - 400) < 4 or abs(x - 440) < 4 for x in xs)


def test_pictures_carry_no_metadata() -> None:
    image = np.random.default_rng(1).integers(0, 255, (720, 1920, 3), np.uint8)
    jpeg = full_jpeg(image)
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (
        360,
        FULL_WIDTH,
        3,
    )
    header = jpeg[: jpeg.index(b"\xff\xda")]
    assert JPEG_APP0 in header
    assert not any(marker in header for marker in JPEG_METADATA)
    png = degraded_png(image)
    chunks = set()
    place = 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        chunks.add(png[place + 4 : place + 8])
        place += length + 12
    assert chunks == {b"IHDR", b"IDAT", b"IEND"}
