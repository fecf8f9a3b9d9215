"""Every place is searched for every size within its promised time, whatever moves."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.types import Box
from edge.vision.areas import Area, Cells
from edge.vision.schedule import PASS_S, SWEEP_S, Schedule, passes

SIZE = (640, 360)
SHAPE = (45, 80)
SIDES = [24 * 1.1**n for n in range(29)]
ALL = Area(0, 0, *SIZE)
STILL: Cells = np.zeros(SHAPE, bool)

Plan = dict[float, list[Area]]


def is_searched(plan: Plan, x: float, y: float, side: float) -> bool:
    """Whether a face of this size with its middle there lies in an area that is searched."""
    half = side / 2 - 1e-6
    return any(
        area.left <= x - half and x + half <= area.right and area.top <= y - half
        and y + half <= area.bottom
        for area in plan.get(side, [])
    )  # fmt: skip


def cell_of(x: float, y: float) -> tuple[int, int]:
    return min(int(y / 8), SHAPE[0] - 1), min(int(x / 8), SHAPE[1] - 1)


def changes(rng: np.random.Generator, share: float) -> Cells:
    """Some blocks of cells that changed."""
    cells = np.zeros(SHAPE, bool)
    for _ in range(round(8 * share)):
        row, column = rng.integers(0, SHAPE[0]), rng.integers(0, SHAPE[1])
        cells[row : row + 12, column : column + 12] = True
    return cells


@st.composite
def moments(draw: st.DrawFn) -> list[float]:
    """Moments of frames at 1 to 30 per second, some of which are late."""
    step = 1 / draw(st.sampled_from([1, 3, 6.25, 10, 12.5, 30]))
    late = draw(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.4]), min_size=20, max_size=60))
    return list(100 + np.cumsum([step + extra * step for extra in late]))


@st.composite
def faces(draw: st.DrawFn) -> tuple[float, float, float]:
    """Middle and side of a face that lies in the picture."""
    side = draw(st.sampled_from([side for side in SIDES if side <= 360]))
    x = draw(st.floats(side / 2, SIZE[0] - side / 2))
    y = draw(st.floats(side / 2, SIZE[1] - side / 2))
    return x, y, side


def promised(moments: list[float], seconds: float) -> Iterator[list[int]]:
    """The frames of each stretch in which a search is promised: `seconds`, or the next frame."""
    for first, start in enumerate(moments):
        stretch = [n for n in range(first, len(moments)) if moments[n] - start < seconds]
        gaps = np.diff(moments[first : first + len(stretch) + 1])
        # a frame that comes later than the one before lets a run slip by one
        slip = 1 if len(gaps) and gaps.max() > 1.01 * gaps.min() else 0
        stretch += range(stretch[-1] + 1, stretch[-1] + 1 + slip)
        if stretch[-1] < len(moments) - 1:
            yield stretch


@settings(max_examples=40, deadline=None)
@given(moments(), faces(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 1.0]))
def test_a_still_place_is_swept_in_time(
    moments: list[float], face: tuple[float, float, float], seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    searched = [is_searched(schedule(t, changes(rng, share)), *face) for t in moments]
    assert searched[0]
    for stretch in promised(moments, SWEEP_S):
        assert any(searched[n] for n in stretch)


@settings(max_examples=40, deadline=None)
@given(moments(), faces(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 1.0]))
def test_a_face_that_appears_is_searched_for_in_time(
    moments: list[float], face: tuple[float, float, float], seed: int, share: float
) -> None:
    """The cells of its middle change, once."""
    rng = np.random.default_rng(seed)
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    appears = len(moments) // 3
    x, y, side = face
    row, column = cell_of(x, y)
    reach = max(1, round(side / 4 / 8))
    searched = []
    for number, t in enumerate(moments):
        changed = changes(rng, share)
        if number == appears:
            changed[max(0, row - reach) : row + reach + 1, max(0, column - reach) :][
                :, : column + reach + 1 - max(0, column - reach)
            ] = True
        searched.append(is_searched(schedule(t, changed), *face))
    for stretch in promised(moments, PASS_S):
        if stretch[0] == appears:
            assert any(searched[n] for n in stretch)


@settings(max_examples=40, deadline=None)
@given(moments(), faces())
def test_a_followed_face_is_searched_for_in_each_frame(
    moments: list[float], face: tuple[float, float, float]
) -> None:
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    x, y, side = face
    for t in moments:
        schedule(t, STILL)
        around = list(schedule.around(Box(x - side / 2, y - side / 2, side, side)))
        assert min(SIDES, key=lambda one: abs(math.log(one / side))) == around[0][0]
        plan = {one: [area] for one, area in around}
        assert is_searched(plan, x, y, side)
        for shift in (-0.29, 0.29):
            moved = x + shift * side
            if side / 2 <= moved <= SIZE[0] - side / 2:
                assert is_searched(plan, moved, y, side)


@pytest.mark.parametrize("fps", [10, 12.5, 30])
def test_a_still_view_is_searched_seldom(fps: float) -> None:
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    plans = [schedule(n / fps, STILL) for n in range(round(20 * fps))]
    busy = [plan for plan in plans[1:] if plan]
    assert len(busy) <= 2 * (20 / SWEEP_S) * 1.1
    # the passes take turns, so that no frame takes much longer than the others
    assert all(SIDES[0] not in plan or SIDES[1] not in plan for plan in busy)


def test_what_was_searched_lately_is_not_swept() -> None:
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    changed = STILL.copy()
    changed[:, :40] = True
    plans = [schedule(n / 10, changed if n == 15 else STILL) for n in range(60)]
    there, elsewhere = (
        [n / 10 for n, plan in enumerate(plans) if is_searched(plan, *place, SIDES[4])]
        for place in ((100, 180), (540, 180))
    )
    assert len(there) == len(elsewhere) == 3
    assert there[1] == pytest.approx(1.5, abs=PASS_S)
    assert there[2] > elsewhere[1] + 1
    assert max(np.diff(there).max(), np.diff(elsewhere).max()) <= SWEEP_S


@pytest.mark.parametrize(("fps", "share"), [(3, 1.0), (10, 1 / 3), (30, 1 / 9)])
def test_a_view_that_changes_is_searched_as_often_at_any_rate(fps: float, share: float) -> None:
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    plans = [schedule(n / fps, ~STILL) for n in range(round(20 * fps))]
    searched = [is_searched(plan, 320, 180, SIDES[4]) for plan in plans]
    assert np.mean(searched) == pytest.approx(share, rel=0.15)


def test_only_the_changed_part_is_searched() -> None:
    schedule = Schedule(SIDES, SIZE, ALL, passes(1.1))
    schedule(0, STILL)
    changed = STILL.copy()
    changed[20:25, 30:35] = True  # 40 by 40 pixels at (240, 160)
    plans = [schedule(n / 10, changed) for n in range(1, 8)]
    sides = {side for plan in plans for side in plan}
    # much larger faces would change much more
    assert min(SIDES) in sides
    assert max(sides) < 4 * 40
    areas = [area for plan in plans for areas in plan.values() for area in areas]
    assert min(area.left for area in areas) > 240 - 4 * 40
    assert max(area.right for area in areas) < 280 + 4 * 40


def test_faces_outside_of_the_region_are_not_searched_for() -> None:
    schedule = Schedule(SIDES, SIZE, Area(0, 0, 320, 360), passes(1.1))
    plan = schedule(0, ~STILL)
    assert not list(schedule.around(Box(500, 100, 40, 40)))
    assert all(area.right <= 320 + side / 2 for side, areas in plan.items() for area in areas)
    assert is_searched(plan, 319, 180, SIDES[0])


@pytest.mark.parametrize(
    ("scale_factor", "number"), [(1.01, 22), (1.05, 4), (1.1, 2), (1.2, 1), (2.0, 1)]
)
def test_large_steps_are_not_dealt_out(scale_factor: float, number: int) -> None:
    assert passes(scale_factor) == number
