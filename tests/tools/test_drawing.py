"""What is written on frames and pictures can be read: on a field, as large as needed, inside."""

import dataclasses

import numpy as np
import pytest

from edge.types import UNKNOWN, Box, Frame, Image, Track
from tools.plotting import drawing
from tools.plotting.drawing import COLOURS, annotated, captioned

CAPTION = (
    "in view 2",
    "counted 2 (2 female, 0 male, 0 unknown)",
    "a person counts on leaving",
    "13.0 frames per second",
)


def frame(width: int, height: int) -> Frame:
    image = np.zeros((height, width, 3), np.uint8)
    return Frame(0, 0.0, 0.0, image, image[:, :, 0])


def track(x: float, y: float, side: float, **changes: object) -> Track:
    person = Track(3, Box(x, y, side, side), 0.0, 1.0, confirmed=True, votes=1, log_odds=-1.0)
    return dataclasses.replace(person, **changes)  # type: ignore[arg-type]


def field(picture: Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the rows that a label's field fills."""
    same = (picture == colour).all(axis=2)
    # writing covers a part of the field; a box's side has few pixels of its colour in a row
    rows = np.flatnonzero(same.sum(axis=1) > 30)
    columns = np.flatnonzero(same[rows].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


@pytest.mark.parametrize(
    ("x", "y"), [(300, 150), (0, 0), (620, 0), (610, 330), (-10, 335), (300, -5), (635, 355)]
)
def test_a_label_lies_inside_the_picture(x: float, y: float) -> None:
    person = track(x, y, 24)
    picture = annotated(frame(640, 360), [person])
    left, top, right, bottom = field(picture, COLOURS["female"])
    across, down, _ = drawing._text_size("3 female", 1.0)
    assert right - left >= across - 1, "a part of the label is cut off"
    assert bottom - top >= down - 1
    if y < down:
        assert top >= y + 24 - 2, "the label covers the face"


def test_text_grows_with_the_picture_and_never_shrinks() -> None:
    heights = {}
    for width in (96, 320, 640, 1920, 3840):
        times = width / 640
        person = track(300 * times, 150 * times, 60 * times)
        picture = annotated(frame(width, width * 9 // 16), [person])
        assert picture.shape[1] >= 480, "small frames are enlarged"
        same = (picture == COLOURS["female"]).all(axis=2)
        heights[width] = (same.sum(axis=1) > 30 * picture.shape[1] / 640).sum()
    assert min(heights.values()) >= 10
    assert heights[3840] > 4 * heights[640]


@pytest.mark.parametrize(("width", "height"), [(480, 853), (640, 360), (1920, 1080), (500, 60)])
def test_a_caption_fits_between_the_sides(width: int, height: int) -> None:
    picture = captioned(np.full((height, width, 3), 255, np.uint8), CAPTION)
    strip = picture[-14:]
    assert np.median(strip) < 70
    white = (picture.min(axis=2) > 200) & (np.median(picture, axis=(1, 2)) < 70)[:, None]
    columns = np.flatnonzero(white.any(axis=0))
    assert columns[0] >= 2
    assert columns[-1] < width - 2


def test_what_is_not_counted_says_so() -> None:
    written: list[str] = []

    def note(_picture: Image, text: str, *_: object) -> None:
        written.append(text)

    people = [
        track(9, 40, 30),
        track(90, 40, 30, votes=0),
        track(180, 40, 30, confirmed=False),
        track(270, 40, 30, stationary=True),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_write_label", note)
        annotated(frame(640, 360), people)
    assert written == ["3 female", f"3 {UNKNOWN}", "face?", "picture, not counted"]
