"""Publishes messages as JSON lines on stdout."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

from edge.errors import EdgeError
from edge.types import AckResult, Message


class JsonLinesPublisher:
    """Writes each message as one line `{"topic": ..., "payload": ...}`; delivered once written."""

    capacity = 20
    """A pipe accepts any number; a few at a time, so that written windows are soon deleted."""
    paused_topics: frozenset[str] = frozenset()
    """A pipe refuses nothing."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """Write each line to `stream` (stdout) inside `around()`."""
        self._stream = stream or sys.stdout
        self._around = around
        self._lock = threading.Lock()
        self._delivered: list[int] = []
        self._error: str | None = None

    def publish(self, message: Message) -> None:
        """Write the message. Raises EdgeError, also at every later call, if stdout is closed."""
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = message.payload
        line = json.dumps({"topic": message.topic, "payload": payload}, separators=(",", ":"))
        with self._lock:
            if self._error is not None:
                raise EdgeError(self._error)
            try:
                with self._around():
                    self._stream.write(line + "\n")
                    self._stream.flush()
            except OSError as error:
                # the rest of the buffer must not fail again when the program ends
                with contextlib.suppress(OSError), Path(os.devnull).open("w") as devnull:
                    os.dup2(devnull.fileno(), self._stream.fileno())
                self._error = f"stdout: cannot be written ({error.strerror})"
                raise EdgeError(self._error) from error
            if message.key is not None:
                self._delivered.append(message.key)

    def poll(self) -> AckResult:
        """Return the messages written since the last call."""
        with self._lock:
            keys, self._delivered = self._delivered, []
        return AckResult(delivered=keys)

    def status(self) -> None:
        """Return None: stdout has no broker."""

    def close(self, last: Message) -> None:
        """Write `last` unless stdout is closed."""
        with contextlib.suppress(EdgeError):
            self.publish(last)
