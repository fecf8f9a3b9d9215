"""Whether an MP4 or MOV file asks to be shown mirrored, which OpenCV takes for a turn.

A track's header holds a matrix that says how to show its picture (ISO 14496-12, 8.3.2). OpenCV
reads nothing but an angle out of it. If the matrix mirrors, as some front cameras want, that leaves
the picture upside down or the wrong way round.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

BEGINS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""Names of the boxes that such a file may begin with."""
MATRIX_AT = (40, 52)
"""Bytes from the begin of a track header, by its version."""

Flip = Literal["vertical", "horizontal"]


def missing_flip(path: Path) -> Flip | None:
    """How frames of the file must be flipped after OpenCV has turned them; None for not at all."""
    try:
        with path.open("rb") as file:
            matrix = _matrix(file, path.stat().st_size)
    except (OSError, struct.error):  # what is broken is found when it is decoded
        return None
    if matrix is None:
        return None
    a, b, c, d = matrix
    if a * d - b * c >= 0:
        return None
    return "vertical" if b == c == 0 else "horizontal"


def _matrix(file: BinaryIO, size: int) -> tuple[int, int, int, int] | None:
    """Of the first track that has a picture."""
    if file.read(8)[4:] not in BEGINS:
        return None
    file.seek(0)
    for movie_end in _boxes(file, b"moov", size):
        for track_end in _boxes(file, b"trak", movie_end):
            for _ in _boxes(file, b"tkhd", track_end):
                (version,) = struct.unpack(">B", file.read(1))
                file.seek(MATRIX_AT[version != 0] - 1, os.SEEK_CUR)
                a, b, _u, c, d, _v, _x, _y, _w, width = struct.unpack(">9iI", file.read(40))
                if width:
                    return a, b, c, d
    return None


def _boxes(file: BinaryIO, name: bytes, end: int) -> Iterator[int]:
    """The end of each box of this name before `end`, with the file at its content."""
    at = file.tell()
    while at + 8 <= end:
        file.seek(at)
        size, found = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        elif size == 0:
            size = end - at
        if size < 8:
            return
        if found == name:
            yield min(at + size, end)
        at += size
