"""Messages that wait to be sent on one connection: windows first."""

import collections
import time
from collections.abc import Callable, Iterable

from edge.types import Message

QUIET_S = 0.2
"""Seconds without a window in flight before a message that must be alone may be sent."""


class SendQueue:
    """Windows in their order, then the other messages in theirs."""

    def __init__(self, is_alone: Callable[[str], bool]) -> None:
        """`is_alone`: whether messages without a key on a topic must be alone in flight."""
        self._is_alone = is_alone
        self._windows: collections.deque[Message] = collections.deque()
        self._others: collections.deque[Message] = collections.deque()
        self._window_at = 0.0
        """Monotonic time when a window was last in flight."""

    def __len__(self) -> int:
        return len(self._windows) + len(self._others)

    @property
    def windows(self) -> list[Message]:
        return list(self._windows)

    def put(self, message: Message) -> None:
        """Add it; without a key it replaces what waits on its topic, which is out of date."""
        if message.key is not None:
            self._windows.append(message)
            return
        for index, waiting in enumerate(self._others):
            if waiting.topic == message.topic:
                self._others[index] = message
                return
        self._others.append(message)

    def next(self, in_flight: Iterable[Message]) -> Message | None:
        """Remove and return what may be sent now, beside those `in_flight`; None if nothing."""
        in_flight = list(in_flight)
        if any(message.key is None and self._is_alone(message.topic) for message in in_flight):
            return None
        if self._windows:
            return self._windows.popleft()
        if not self._others:
            return None
        quiet = not in_flight and time.monotonic() - self._window_at > QUIET_S
        if quiet or not self._is_alone(self._others[0].topic):
            return self._others.popleft()
        return None

    def note_window(self) -> None:
        """A window left flight, or the connection opened and windows may come."""
        self._window_at = time.monotonic()

    def clear(self) -> None:
        self._windows.clear()
        self._others.clear()
