"""Writes recordings for tests: with chosen time stamps or display matrix, or with no container."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.types import Image

MATRICES = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
MIRRORS = {
    "left and right": (-1, 0, 0, 1),
    "up and down": (1, 0, 0, -1),
    "falling diagonal": (0, 1, 1, 0),
    "rising diagonal": (0, -1, -1, 0),
}
"""a, b, c, d of a track header (ISO 14496-12), by what they make a player do to the picture: turn
it clockwise by this many degrees, or mirror it in this way."""


def write_video(path: Path, pictures: Iterable[Image], code: str = "mp4v", fps: float = 10) -> None:
    """Write pictures of one size, H x W x 3 in B, G, R."""
    writer: cv2.VideoWriter | None = None
    for picture in pictures:
        if writer is None:
            size = picture.shape[1::-1]
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, size)
            assert writer.isOpened()
        writer.write(picture)
    assert writer is not None
    writer.release()


def plain(number: int) -> list[Image]:
    """`number` pictures of 160 x 90, each a little brighter than the one before."""
    return [np.full((90, 160, 3), 5 * n % 250, np.uint8) for n in range(number)]


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Make an MP4 or MOV file ask for its picture to be turned or mirrored."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # of a version 0 header
    a, b, c, d = (number << 16 for number in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def write_stamped(path: Path, pictures: Sequence[Image], stamps_ms: Sequence[int]) -> None:
    """Write a Flash video, `path`, whose frames have these time stamps in any order."""
    write_video(path, pictures, "FLV1")
    data = bytearray(path.read_bytes())
    start, left = 13, list(stamps_ms)
    while start < len(data):
        size = int.from_bytes(data[start + 1 : start + 4])
        if data[start] == 9:  # a frame
            stamp = (left.pop(0) if left else stamps_ms[-1]) & 0xFFFFFFFF
            data[start + 4 : start + 8] = (stamp & 0xFFFFFF).to_bytes(3) + (stamp >> 24).to_bytes(1)
        start += 11 + size + 4
    assert not left
    path.write_bytes(data)


def write_mjpeg(path: Path, pictures: Iterable[Image]) -> None:
    """Write JPEG pictures one after another, without a container and so without time stamps."""
    data = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
    path.write_bytes(b"".join(data))
