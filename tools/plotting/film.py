"""Frames of a clip or camera with their tracks, and a clip made of them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.types import LABELS, UNKNOWN, Frame, Image, Track
from tools.plotting.boxes import COLORS, READABLE_PX, Label, draw_labels

MAX_GAP_S = 5.0
"""If no picture comes for longer than this, the clip stands still for this long, seconds."""


def annotated(frame: Frame, tracks: Sequence[Track]) -> Image:
    """The frame's picture with a box for each track: its number and its labels so far.

    A picture narrower than `READABLE_PX` is enlarged.
    """
    return draw_labels(frame.image, [_label(track) for track in tracks], min_width=READABLE_PX)


def _label(track: Track) -> Label:
    gender = UNKNOWN if track.votes == 0 else LABELS[track.log_odds > 0]
    age = "" if track.age == UNKNOWN else track.age
    text = f"{track.id} {gender} {age}".rstrip() if track.confirmed else "face?"
    if not track.is_face:
        text = "not a face"
    if track.stationary:
        text = "picture, not counted"
    return Label(track.box, text, COLORS[gender], dashed=gender == UNKNOWN)


class Film:
    """Writes pictures as a clip that runs as fast as they came."""

    closed = False
    """Never closed by the user, unlike a `Screen`."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        """Without `fps` the first two pictures set the rate, and the first is left out."""
        self._path, self._fps = path, fps
        self._last: float | None = None
        self._due, self._written = 1.0, 0
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __call__(self, picture: Image, mono: float) -> None:
        """Add a picture taken at `mono` seconds: repeated if it is late, left out if it is early.

        A picture whose size differs from the first one's is scaled to fit, with black beside it.

        Raises EdgeError if the file cannot be written.
        """
        if self._fps is None:
            if self._last is None:
                self._last = mono
                return
            self._fps, self._last = 1 / (mono - self._last), mono
        passed = 0.0 if self._last is None else mono - self._last
        self._last = mono
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, self._fps, self._size)
            if not self._writer.isOpened():
                raise EdgeError(f"{self._path}: cannot be written as a video; name an .mp4 file")
        self._due += min(passed, MAX_GAP_S) * self._fps
        fitting = _fitted(picture, *self._size)  # a video has one size
        while self._written < round(self._due):
            self._writer.write(fitting)
            self._written += 1

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


def _fitted(picture: Image, width: int, height: int) -> Image:
    """The picture as large as fits, in the middle of black."""
    if picture.shape[:2] == (height, width):
        return picture
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0])))
    right, below = width - size[0], height - size[1]
    sides = (below // 2, below - below // 2, right // 2, right - right // 2)
    return np.asarray(
        cv2.copyMakeBorder(cv2.resize(picture, size), *sides, cv2.BORDER_CONSTANT), np.uint8
    )
