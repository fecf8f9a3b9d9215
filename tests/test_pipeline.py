"""The loop with its real tracker and counter, and a camera that dies under it."""

from collections.abc import Sequence

import numpy as np

from edge.classify import Looks
from edge.count import Counter
from edge.health import Health
from edge.pipeline import Pipeline
from edge.records import Blind, Box, Face, Frame, Image, Visit, Window
from edge.track import Tracker

UTC = 1_700_000_000.0
PICTURE = np.zeros((90, 160, 3), np.uint8)


class Cutter:
    def crop(self, image: Image, box: Box, roll: float) -> Image:
        return image


class Woman:
    """A classifier that is always sure."""

    preprocessing = Cutter()

    def __call__(self, crops: Sequence[Image]) -> Looks:
        return Looks(np.array([(1, 0)] * len(crops), np.float32), None)


def test_who_is_in_view_when_the_camera_dies_is_counted_and_windows_go_on() -> None:
    windows: list[Window] = []
    visits: list[tuple[Visit, float]] = []
    blinds: list[Blind] = []
    health = Health()
    pipeline = Pipeline(
        detect=lambda frame, expected: [Face(Box(60, 30, 30, 30), 1.0)],
        tracker=Tracker(patience=2),
        classify=Woman(),
        counter=Counter(seconds=10, min_people=1),
        health=health,
        on_window=windows.append,
        on_visit=lambda visit: visits.append((visit, blinds[-1].mono)),
        on_blind=blinds.append,
    )
    frames: list[Frame | Blind] = [
        Frame(n, n / 10, UTC + n / 10, PICTURE, PICTURE[:, :, 0]) for n in range(31)
    ]
    frames += [Blind(3 + n, UTC + 3 + n, 1.0, "lost") for n in range(1, 28)]
    pipeline.run(frames)
    # waited for as long as if the person had left, and stayed until last seen
    ((visit, told_after),) = visits
    assert (visit.start, visit.end, visit.label, told_after) == (0, 3, "female", 5)
    assert [window.people.total for window in windows] == [1, 0, 0]
    assert [round(window.coverage, 2) for window in windows] == [0.45, 0, 0]
    assert (health.frames_total, health.camera) == (31, "lost")
