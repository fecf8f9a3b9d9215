"""Hands the newest view from the pipeline's thread to the browser's."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """One analyzed frame as the page shows it."""

    seq: int
    """Rises by one with each view; the first is 1."""
    payload: bytes
    """JSON."""


class Views:
    """The newest view, for any number of waiting threads."""

    def __init__(self) -> None:
        self._fresh = threading.Condition()
        self._newest: View | None = None

    @property
    def next_seq(self) -> int:
        """The number of the view that is put next."""
        return 1 if self._newest is None else self._newest.seq + 1

    def put(self, payload: bytes) -> None:
        """Replace the newest view."""
        with self._fresh:
            self._newest = View(self.next_seq, payload)
            self._fresh.notify_all()

    def wait(self, after: int, timeout_s: float) -> View | None:
        """The newest view if its number is above `after`; None if none comes in time."""
        with self._fresh:
            self._fresh.wait_for(lambda: self.next_seq - 1 > after, timeout_s)
            view = self._newest
        return view if view is not None and view.seq > after else None
