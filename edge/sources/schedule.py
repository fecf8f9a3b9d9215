"""A source that is closed for a while, because the configuration says so or it is night."""

import contextlib
import logging
import time
from collections.abc import Callable

from edge.types import Frames, NoFrame

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often time passes while the source is closed."""
LOOK_S = 0.2
"""How often it is seen whether the program ends."""


def scheduled(
    open_source: Callable[[], Frames], rests: Callable[[], bool], stopped: Callable[[], bool]
) -> Frames:
    """The frames of a source that is open only while not `rests()`; else a `NoFrame` each second.

    Ends with the source, or soon after `stopped()`. Raises what opening the source raises.
    """
    while not stopped():
        if rests():
            log.info("camera: closed, it rests")
            yield from _resting(rests, stopped)
        else:
            with contextlib.closing(open_source()) as frames:
                for frame in frames:
                    yield frame
                    if rests():
                        break
                else:
                    return


def _resting(rests: Callable[[], bool], stopped: Callable[[], bool]) -> Frames:
    told = time.monotonic()
    while rests() and not stopped():
        time.sleep(LOOK_S)
        now = time.monotonic()
        if now - told >= TICK_S:
            yield NoFrame(now, time.time(), now - told, "resting")
            told = now
