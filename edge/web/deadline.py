"""When a page is to go."""

import threading
import time


class Deadline:
    """A moment that comes by itself, or earlier if somebody asks for it."""

    def __init__(self, minutes: float) -> None:
        self._ends = time.monotonic() + 60 * minutes
        self._over = threading.Event()

    def end(self) -> None:
        """Let it be now; may be called by any thread and by a signal handler."""
        self._over.set()

    def is_over(self) -> bool:
        return self._over.is_set() or time.monotonic() >= self._ends

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._ends - time.monotonic())
