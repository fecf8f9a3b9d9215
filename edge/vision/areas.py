"""Cells of a picture: where many of them are set, and the rectangles that cover them. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Cells = npt.NDArray[np.bool_]
"""bool, rows x columns: one value for each cell of a picture."""

WASTE = 1.6
"""Rows of cells are covered together while that takes at most this many times their cells."""


class Area(NamedTuple):
    """A rectangle in cells or pixels; right and bottom lie outside of it."""

    left: float
    top: float
    right: float
    bottom: float


class Sums:
    """Sums over squares of cells, each in constant time."""

    def __init__(self, cells: Cells) -> None:
        self._rows, self._columns = cells.shape
        self._total = np.zeros((self._rows + 1, self._columns + 1), np.int32)
        np.cumsum(np.cumsum(cells, axis=0), axis=1, out=self._total[1:, 1:])

    def around(self, side: int) -> npt.NDArray[np.int32]:
        """int32, rows x columns: how many cells are set in the square around each cell."""
        top, bottom = _span(self._rows, side)
        left, right = _span(self._columns, side)
        high, low = self._total[bottom], self._total[top]
        sums = high[:, right] - high[:, left] - low[:, right] + low[:, left]
        return np.asarray(sums, np.int32)


def _span(number: int, side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """First and last index, outside, of the squares around `number` cells in a line."""
    first = np.arange(number) - side // 2
    return np.clip(first, 0, number), np.clip(first + side, 0, number)


def rectangles(cells: Cells) -> list[Area]:
    """Rectangles, none over another, that cover all cells that are set and few others."""
    areas: list[Area] = []
    if not (used := np.flatnonzero(cells.any(axis=1)).tolist()):
        return areas
    top, union, number = used[0], 0, 0
    for row, bits in enumerate((*_as_numbers(cells[top : used[-1] + 1]), 0), top):
        together, count = union | bits, bits.bit_count()
        if bits and together.bit_count() * (row + 1 - top) <= WASTE * (number + count):
            union, number = together, number + count
        else:
            areas += [Area(left, top, right, row) for left, right in _runs(union)]
            top, union, number = row, bits, count
    return areas


def _as_numbers(cells: Cells) -> list[int]:
    """Each row as a number: bit 0 is its left cell."""
    packed = np.packbits(cells, axis=1, bitorder="little")
    return [int.from_bytes(row.data, "little") for row in packed]


def _runs(bits: int) -> list[tuple[int, int]]:
    """First and last position, outside, of each run of ones."""
    runs: list[tuple[int, int]] = []
    start = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        bits >>= ones
        runs.append((start + zeros, start + zeros + ones))
        start += zeros + ones
    return runs
