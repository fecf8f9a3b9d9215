"""Cells of a picture: where many of them are set, and the rectangles that cover them. Pure."""

from typing import NamedTuple

import cv2
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


def counts_around(cells: Cells, side: int) -> npt.NDArray[np.int32]:
    """int32, rows x columns: how many cells are set in the square around each cell."""
    counts = cv2.boxFilter(
        cells.view(np.uint8),
        cv2.CV_32S,
        (side, side),
        anchor=(side // 2, side // 2),
        normalize=False,
        borderType=cv2.BORDER_CONSTANT,
    )
    return np.asarray(counts, np.int32)


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
