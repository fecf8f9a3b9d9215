"""Time stamps as they occur in files, and the times computed from them."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.timeline import LONGEST_GAP_S, Timeline

HOUR_MS = 3_600_000.0


def placed(
    *stamps_ms: float, fps: float = 10, usual_fps: float = 5
) -> tuple[list[float], list[str]]:
    warnings: list[str] = []
    timeline = Timeline(fps, usual_fps, warnings.append)
    return [round(timeline.place(stamp), 6) for stamp in stamps_ms], warnings


@pytest.mark.parametrize("first", [0.0, -80.0, 5000.0, 1.7e12, -1.7e12])
def test_usable_stamps_are_followed_from_wherever_they_begin(first: float) -> None:
    stamps = [first + offset for offset in (0, 40, 120, 1120, 11120)]
    assert placed(*stamps) == ([0, 0.04, 0.12, 1.12, 11.12], [])


@pytest.mark.parametrize("made_up", [math.nan, math.inf, -math.inf, -7.686e15, 9.2e18, -3.7e20])
def test_frames_without_stamps_follow_each_other_by_one_step(made_up: float) -> None:
    assert placed(made_up, made_up, made_up + 40, made_up + 80)[0] == [0, 0.1, 0.2, 0.3]
    seconds, warnings = placed(0, 100, made_up, made_up, 400, 500)
    assert seconds == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert len(warnings) == 1
    assert warnings[0].startswith("frame 2, at 0.1 s: ")
    assert warnings[0].endswith("is not a time stamp; such frames follow each other by 0.1 s")


def test_a_first_frame_without_a_stamp() -> None:
    assert placed(-7.686e15, 5000, 5040, 5080) == ([0, 0.1, 0.14, 0.18], [])


@pytest.mark.parametrize("stamp", [0.0, 5000.0])
def test_stamps_that_stand_still(stamp: float) -> None:
    seconds, warnings = placed(*[stamp] * 300)
    assert seconds == pytest.approx([n / 10 for n in range(300)])
    assert len(warnings) == 1


def test_stamps_out_of_order_are_waited_for() -> None:
    assert placed(0, 100, 300, 200, 500, 600)[0] == [0, 0.1, 0.3, 0.4, 0.5, 0.6]


def test_a_last_frame_that_opencv_gives_no_stamp() -> None:
    """Its decoder keeps one frame back, and gives it out at the end with a stamp of 0."""
    seconds, warnings = placed(100, 200, 40_000, 0.0)
    assert seconds == [0, 0.1, 10.1, 10.2]
    assert len(warnings) == 1
    assert placed(100, 200, 300, 0, 0) == ([0, 0.1, 0.2, 0.3, 0.4], [])
    assert placed(-100, 0, 150) == ([0, 0.1, 0.25], [])


@pytest.mark.parametrize("jump_ms", [2 * HOUR_MS, 1e12, -2 * HOUR_MS, -5000.0])
def test_where_two_recordings_were_joined_a_bounded_time_passes(jump_ms: float) -> None:
    second = 200 + jump_ms
    seconds, warnings = placed(0, 100, 200, second, second + 100, second + 250)
    assert seconds == pytest.approx([0, 0.1, 0.2, 10.2, 10.3, 10.45])
    assert warnings == [
        f"frame 3, at 0.2 s: the time stamp jumps by {jump_ms / 1000:+.1f} s; 10 s pass instead"
    ]


def test_stamps_that_do_nothing_but_jump_are_worth_a_step() -> None:
    seconds, warnings = placed(*[n * HOUR_MS for n in range(20)])
    assert seconds == pytest.approx([0, *(10 + n / 10 for n in range(19))])
    assert len(warnings) == 19


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan, math.inf, 90000.0, 1000.0, 1e-9])
def test_a_rate_that_cannot_be_true(fps: float) -> None:
    assert placed(0, 0, 0, fps=fps)[0] == [0, 0.2, 0.4]
    assert placed(0, 40, 80, fps=fps) == ([0, 0.04, 0.08], [])


@given(
    stamps=st.lists(st.floats() | st.integers(-(10**5), 10**5), min_size=1),
    fps=st.floats(),
)
def test_time_moves_forward_and_never_far(stamps: list[float], fps: float) -> None:
    seconds, _ = placed(*stamps, fps=fps)
    assert seconds[0] == 0
    gaps = [after - before for before, after in itertools.pairwise(seconds)]
    assert all(0.0009 < gap < LONGEST_GAP_S + 0.001 for gap in gaps)
