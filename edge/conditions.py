"""Measures the conditions in which people are counted: frame rate, light, size, crowding. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edge.types import Frame, Track, Visit

MAX_STEP_S = 5.0
"""Longest time between two frames that still counts as a frame rate, seconds."""
MAX_FOLLOWED = 1000
"""Faces whose widths are kept until they are counted: many are never, such as posters."""
LIGHT_STEP = 8
"""The light is measured at every eighth pixel of every eighth row: more would only cost time."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was measured while people were counted, always while somebody was in view."""

    people: int
    """People who were counted."""
    fps: float
    """Frames analyzed per second."""
    light: float
    """Mean gray level of the picture, 0 to 255."""
    face_px: float
    """Median over the people of the mean width of their face, pixels of the picture as it is
    searched."""
    crowding: float
    """People followed at once."""


class ConditionMeter:
    """Sums up the conditions over frames and visits."""

    def __init__(self) -> None:
        self._mono: float | None = None
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self._frames = 0
        self._seconds = self._light = self._present = 0.0
        self._widths: dict[int, tuple[float, int]] = {}
        """Sum and number of the widths of a face in pixels, by the id of its track."""
        self._faces_px: list[float] = []
        """Mean width of each face that was counted, pixels."""
        self._people = 0

    def update(self, frame: Frame, tracks: Sequence[Track], present: int) -> None:
        """Add a frame, with the tracks seen in it and the number of people in view."""
        elapsed = 0.0 if self._mono is None else frame.mono - self._mono
        self._mono = frame.mono
        scale = frame.gray.shape[1] / frame.image.shape[1]
        for track in tracks:
            if track.is_visitor:
                width, number = self._widths.get(track.id, (0.0, 0))
                self._widths[track.id] = (width + scale * track.box.w, number + 1)
        while len(self._widths) > MAX_FOLLOWED:
            del self._widths[next(iter(self._widths))]
        if present and 0 < elapsed <= MAX_STEP_S:
            self._frames += 1
            self._seconds += elapsed
            self._light += float(frame.gray[::LIGHT_STEP, ::LIGHT_STEP].mean())
            self._present += present

    def add(self, visit: Visit) -> None:
        """Add a person who was counted."""
        self._people += 1
        width, number = self._widths.pop(visit.track, (0.0, 0))
        if number:
            self._faces_px.append(width / number)

    def read(self) -> Conditions | None:
        """The conditions since the beginning; None if nobody was counted yet."""
        if not (self._frames and self._faces_px):
            return None
        return Conditions(
            self._people,
            self._frames / self._seconds,
            self._light / self._frames,
            statistics.median(self._faces_px),
            self._present / self._frames,
        )
