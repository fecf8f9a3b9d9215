"""A line on the terminal that says how far a recording has been read."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

AFTER_S = 0.5
"""Work that is over sooner shows no line."""
EVERY_S = 0.2
"""Time between two updates of the line, seconds."""
BAR = 20
"""Characters of the bar."""
COLUMNS = 80
"""Width of a terminal that does not report its own."""


class ProgressLine:
    """Rewritten in place on `stream`, which must be a terminal: elsewhere nothing is written.

    Other threads that write to the same terminal do so while the line is `hidden`.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.RLock()
        self._length: int | None = None
        self._started = self._due = 0.0
        self._visible = False
        self.enabled = stream.isatty()

    def begin(self, length: int | None) -> None:
        """Start counting `length` frames, or an unknown number of them."""
        self._length = length
        self._started = self._clock()
        self._due = self._started + AFTER_S

    def update(self, done: int) -> None:
        """`done` frames have been read."""
        now = self._clock()
        if not self.enabled or now < self._due:
            return
        with self._lock:
            self._due = now + EVERY_S
            self._write(self._text(done, now - self._started))
            self._visible = True

    def _text(self, done: int, elapsed_s: float) -> str:
        if self._length is None:
            return f"counting  {done} frames in {_clock(elapsed_s)}"
        # a file may hold more frames than it says
        share = min(done / self._length, 0.99)
        bar = "#" * int(BAR * share)
        left_s = elapsed_s * (1 / share - 1) if share else 0.0
        return f"counting  [{bar:-<{BAR}}]  {share:3.0%}  {_clock(left_s)} left"

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """The line is cleared, and stays so until something else has been written."""
        with self._lock:
            if self._visible:
                self._write("")
                self._visible = False
            yield

    def end(self) -> None:
        """Clear the line for good."""
        with self.hidden():
            self._due = float("inf")

    def _write(self, text: str) -> None:
        """Fill the terminal's line. The cursor goes back to its start: what another program
        prints there covers the line instead of following it."""
        with contextlib.suppress(OSError):  # the terminal is gone
            width = self._columns() - 1  # in the last column some terminals begin a new line
            self._stream.write(f"\r{text[:width]:<{width}}\r")
            self._stream.flush()

    def _columns(self) -> int:
        with contextlib.suppress(OSError):
            return os.get_terminal_size(self._stream.fileno()).columns or COLUMNS
        return COLUMNS


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes log lines to the same terminal as a progress line, never into it."""

    def __init__(self, stream: TextIO, line: ProgressLine) -> None:
        super().__init__(stream)
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        with self._line.hidden():
            super().emit(record)


def _clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any: 1:05 or 2:00:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
