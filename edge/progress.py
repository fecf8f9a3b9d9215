"""Shows on the terminal how far a recording has been read."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

DELAY_S = 0.5
"""Seconds until the line appears: shorter work shows none."""
UPDATE_EVERY_S = 0.2
"""Least time between two updates of the line, seconds."""
BAR_CHARS = 20
"""Length of the bar, characters."""
DEFAULT_COLUMNS = 80
"""Width of a terminal that does not report its own, characters."""


class ProgressLine:
    """A line rewritten in place on `stream`; nothing is written if that is not a terminal.

    Other threads write to the same terminal only while the line is `hidden`.
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
        self._due = self._started + DELAY_S

    def update(self, done: int) -> None:
        """Show that `done` frames have been read."""
        now = self._clock()
        if not self.enabled or now < self._due:
            return
        with self._lock:
            self._due = now + UPDATE_EVERY_S
            self._write(self._text(done, now - self._started))
            self._visible = True

    def _text(self, done: int, elapsed_s: float) -> str:
        if self._length is None:
            return f"counting  {done} frames in {_clock(elapsed_s)}"
        # a file may hold more frames than it announces
        fraction = min(done / self._length, 0.99)
        bar = "#" * int(BAR_CHARS * fraction)
        left_s = elapsed_s * (1 / fraction - 1) if fraction else 0.0
        return f"counting  [{bar:-<{BAR_CHARS}}]  {fraction:3.0%}  {_clock(left_s)} left"

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Clear the line while something else is written."""
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
        """Fill the terminal's line and return the cursor to its start.

        Whatever another program prints then covers the line instead of following it.
        """
        with contextlib.suppress(OSError):  # the terminal was closed
            width = self._columns() - 1  # some terminals begin a new line after the last column
            self._stream.write(f"\r{text[:width]:<{width}}\r")
            self._stream.flush()

    def _columns(self) -> int:
        with contextlib.suppress(OSError):
            return os.get_terminal_size(self._stream.fileno()).columns or DEFAULT_COLUMNS
        return DEFAULT_COLUMNS


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
