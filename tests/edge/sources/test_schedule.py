"""A source that is closed for a while."""

import itertools
import time
from collections.abc import Iterator

import numpy as np

from edge.sources.schedule import scheduled
from edge.types import Frame, Frames, NoFrame


class Source:
    """Frames as fast as they are wanted; counts how often it is open."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def open(self, number: int | None = None) -> Frames:
        self.opened += 1
        picture = np.zeros((4, 4, 3), np.uint8)
        try:
            for seq in itertools.islice(itertools.count(), number):
                yield Frame(seq, time.monotonic(), time.time(), picture, picture[:, :, 0])
        finally:
            self.closed += 1


def taken(frames: Frames, number: int) -> Iterator[str]:
    for frame in itertools.islice(frames, number):
        yield frame.camera if isinstance(frame, NoFrame) else "frame"


def test_a_paused_source_is_closed_and_time_passes() -> None:
    source, answers = Source(), iter([False, False, *[True] * 8, *[False] * 100])
    frames = scheduled(source.open, lambda: next(answers), lambda: False)
    assert list(taken(frames, 4)) == ["frame", "frame", "resting", "frame"]
    assert (source.opened, source.closed) == (2, 1)
    frames.close()
    assert source.closed == 2


def test_a_paused_source_is_never_opened() -> None:
    source, begin = Source(), time.monotonic()
    moments: list[Frame | NoFrame] = []
    for moment in scheduled(source.open, lambda: True, lambda: len(moments) == 2):
        moments.append(moment)  # noqa: PERF402  # it ends by their number
    lengths = [moment.seconds for moment in moments if isinstance(moment, NoFrame)]
    assert min(lengths) >= 1
    assert sum(lengths) <= time.monotonic() - begin
    assert {moment.camera for moment in moments if isinstance(moment, NoFrame)} == {"resting"}
    assert len(lengths) == len(moments) == 2
    assert source.opened == 0


def test_it_ends_with_its_source() -> None:
    source = Source()
    short = scheduled(lambda: source.open(3), lambda: False, lambda: False)
    assert list(taken(short, 9)) == ["frame"] * 3
