"""Text on frames and pictures is readable: on a field, large enough, inside the picture."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from edge.types import UNKNOWN, Box, Frame, Image, Track
from tools.plotting import film
from tools.plotting.boxes import COLORS, Label, Pen, draw_caption, draw_labels
from tools.plotting.film import annotated

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


def field(picture: Image, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the rows that a label's field fills."""
    same = (picture == color).all(axis=2)
    # writing covers a part of the field; a box's side has few pixels of its color in a row
    rows = np.flatnonzero(same.sum(axis=1) > 30)
    columns = np.flatnonzero(same[rows].any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


@pytest.mark.parametrize(
    ("x", "y"), [(300, 150), (0, 0), (620, 0), (610, 330), (-10, 335), (300, -5), (635, 355)]
)
def test_a_label_lies_inside_the_picture(x: float, y: float) -> None:
    person = track(x, y, 24)
    view = frame(640, 360)
    picture = annotated(view, [person])
    left, top, right, bottom = field(picture, COLORS["female"])
    across, down = Pen(view.image).size("3 female")
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
        same = (picture == COLORS["female"]).all(axis=2)
        heights[width] = (same.sum(axis=1) > 30 * picture.shape[1] / 640).sum()
    assert min(heights.values()) >= 10
    assert heights[3840] > 4 * heights[640]


@pytest.mark.parametrize(("width", "height"), [(480, 853), (640, 360), (1920, 1080), (500, 60)])
def test_a_caption_fits_between_the_sides(width: int, height: int) -> None:
    picture = draw_caption(np.full((height, width, 3), 255, np.uint8), CAPTION)
    strip = picture[-14:]
    assert np.median(strip) < 70
    white = (picture.min(axis=2) > 200) & (np.median(picture, axis=(1, 2)) < 70)[:, None]
    columns = np.flatnonzero(white.any(axis=0))
    assert columns[0] >= 2
    assert columns[-1] < width - 2


def test_what_is_not_counted_says_so() -> None:
    texts: list[str] = []

    def note(picture: Image, labels: Sequence[Label], **_: object) -> Image:
        texts.extend(label.text for label in labels)
        return picture

    people = [
        track(9, 40, 30),
        track(90, 40, 30, votes=0),
        track(180, 40, 30, confirmed=False),
        track(270, 40, 30, stationary=True),
        track(360, 40, 30, evidence=6.5, evidence_weight=10),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film, "draw_labels", note)
        annotated(frame(640, 360), people)
    assert texts == ["3 female", f"3 {UNKNOWN}", "face?", "picture, not counted", "not a face"]


@pytest.mark.parametrize("width", [90, 180, 640])
def test_a_long_label_shrinks_to_the_width_of_the_picture(width: int) -> None:
    plain = np.zeros((300, width, 3), np.uint8)
    label = Label(Box(10, 200, 20, 20), "female 0.98, age 21-35 0.55", (1, 200, 3))
    picture = draw_labels(plain, [label])
    assert picture.shape == plain.shape
    assert not plain.any(), "the caller's picture is changed"
    same = (picture[:200] == label.color).all(axis=2)
    rows, columns = (np.flatnonzero(same.any(axis=axis)) for axis in (1, 0))
    ends = same[np.ix_(rows, [*columns[:2], *columns[-2:]])]
    assert ends.all(), "the text is cut off"


def test_a_dashed_box_has_gaps_on_every_side() -> None:
    plain = np.zeros((360, 640, 3), np.uint8)
    picture = draw_labels(plain, [Label(Box(300, 100, 200, 150), "", (1, 200, 3), dashed=True)])
    line = (picture == (1, 200, 3)).all(axis=2)
    for side in (line[100, 300:500], line[249, 300:500], line[100:250, 300], line[100:250, 499]):
        assert 0.4 < side.mean() < 0.7
        assert np.abs(np.diff(side.astype(int))).sum() > 10
