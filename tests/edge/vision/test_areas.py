"""Rectangles cover the cells that are set, each once, and few others."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.areas import WASTE, Cells, counts_around, rectangles


@st.composite
def cells(draw: st.DrawFn) -> Cells:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]))


def covered(shape: tuple[int, ...], cells: Cells) -> npt.NDArray[np.int_]:
    """How many rectangles cover each cell."""
    times = np.zeros(shape, int)
    for left, top, right, bottom in rectangles(cells):
        assert 0 <= left < right <= shape[1]
        assert 0 <= top < bottom <= shape[0]
        times[int(top) : int(bottom), int(left) : int(right)] += 1
    return times


@given(cells())
def test_each_cell_is_covered_once_and_few_others(cells: Cells) -> None:
    times = covered(cells.shape, cells)
    assert times.max(initial=0) <= 1
    assert (times[cells] == 1).all()
    assert times.sum() <= WASTE * cells.sum()


def test_a_block_is_one_rectangle() -> None:
    cells = np.zeros((8, 12), bool)
    cells[2:5, 3:9] = True
    assert rectangles(cells) == [(3, 2, 9, 5)]
    cells[2:5, 11] = True
    assert rectangles(cells) == [(3, 2, 9, 5), (11, 2, 12, 5)]


@given(cells(), st.integers(1, 9))
def test_counts_around_each_cell(cells: Cells, side: int) -> None:
    padded = np.pad(cells, side)
    expected = [
        [
            padded[r + side - side // 2 :, c + side - side // 2 :][:side, :side].sum()
            for c in range(cells.shape[1])
        ]
        for r in range(cells.shape[0])
    ]
    assert (counts_around(cells, side) == expected).all()
