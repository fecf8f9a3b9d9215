"""Shows a recording at its own pace, for people who watch."""

import time
from collections.abc import Callable

from edge.types import Frames

POLL_S = 0.2
"""Longest wait until it is noticed that the recording should stop, seconds."""


def paced(frames: Frames, stopped: Callable[[], bool]) -> Frames:
    """The frames of a recording, each at its own time."""
    started = time.monotonic()
    for frame in frames:
        while (wait_s := started + frame.mono - time.monotonic()) > 0 and not stopped():
            time.sleep(min(wait_s, POLL_S))
        yield frame
