"""Finds out whether an MP4 or MOV file asks to be mirrored, which OpenCV takes for a rotation.

A track's header holds a matrix that says how to show its picture (ISO 14496-12, 8.3.2). OpenCV
reads only an angle from it. If the matrix mirrors, as that of some front cameras does, the picture
comes out upside down or the wrong way round.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""Names of the boxes with which such a file may begin."""
MATRIX_OFFSETS = (40, 52)
"""Where the matrix begins in a track header of version 0 and of version 1, bytes."""

Flip = Literal["vertical", "horizontal"]


def missing_flip(path: Path) -> Flip | None:
    """How to flip the file's frames after OpenCV has turned them; None if they need no flip."""
    try:
        with path.open("rb") as file:
            matrix = _matrix(file, path.stat().st_size)
    except (OSError, struct.error):  # a broken file is reported when it is decoded
        return None
    if matrix is None:
        return None
    a, b, c, d = matrix
    if a * d - b * c >= 0:
        return None
    return "vertical" if b == c == 0 else "horizontal"


def _matrix(file: BinaryIO, size: int) -> tuple[int, int, int, int] | None:
    """a, b, c, d of the first track that has a picture; None if there is none."""
    if file.read(8)[4:] not in FIRST_BOXES:
        return None
    file.seek(0)
    for movie_end in _boxes(file, b"moov", size):
        for track_end in _boxes(file, b"trak", movie_end):
            for _ in _boxes(file, b"tkhd", track_end):
                (version,) = struct.unpack(">B", file.read(1))
                file.seek(MATRIX_OFFSETS[version != 0] - 1, os.SEEK_CUR)
                a, b, _u, c, d, _v, _x, _y, _w, width = struct.unpack(">9iI", file.read(40))
                if width:
                    return a, b, c, d
    return None


def _boxes(file: BinaryIO, name: bytes, end: int) -> Iterator[int]:
    """The end of each box of this name before `end`, with the file positioned at its content."""
    start = file.tell()
    while start + 8 <= end:
        file.seek(start)
        size, box = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        elif size == 0:
            size = end - start
        if size < 8:
            return
        if box == name:
            yield min(start + size, end)
        start += size
