"""Keeps a source closed while the daemon is paused, in quiet hours, and while it is lent."""

import contextlib
import logging
import time
from collections.abc import Callable

from edge.types import Frames, NoFrame

log = logging.getLogger(__name__)

TICK_S = 1.0
"""Seconds between two `NoFrame` moments while the source is closed."""
POLL_S = 0.2
"""Seconds between two checks if the pause or the program has ended."""


def scheduled(
    open_source: Callable[[], Frames], is_paused: Callable[[], bool], stopped: Callable[[], bool]
) -> Frames:
    """The frames of a source that is open unless `is_paused()`; else a `NoFrame` each second.

    Ends with the source, or soon after `stopped()`. Raises what `open_source` raises.
    """
    while not stopped():
        if is_paused():
            log.info("camera closed: paused, in quiet hours, or lent to a page")
            yield from _pause(is_paused, stopped)
        else:
            with contextlib.closing(open_source()) as frames:
                for frame in frames:
                    yield frame
                    if is_paused():
                        break
                else:
                    return


def _pause(is_paused: Callable[[], bool], stopped: Callable[[], bool]) -> Frames:
    last_tick = time.monotonic()
    while is_paused() and not stopped():
        time.sleep(POLL_S)
        now = time.monotonic()
        if now - last_tick >= TICK_S:
            yield NoFrame(now, time.time(), now - last_tick, "resting")
            last_tick = now
