"""Messages as JSON lines on stdout."""

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
    """A pipe takes what it is given; some at a time, so that what was written is soon deleted."""
    paused_topics: frozenset[str] = frozenset()
    """A pipe refuses nothing."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        """Each line is written within `around()`."""
        self._stream = stream or sys.stdout
        self._around = around
        self._lock = threading.Lock()
        self._delivered: list[int] = []
        self._broken: str | None = None

    def publish(self, message: Message) -> None:
        """Raises EdgeError, now and ever after, where nobody reads stdout any more."""
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = message.payload
        line = json.dumps({"topic": message.topic, "payload": payload}, separators=(",", ":"))
        with self._lock:
            if self._broken is not None:
                raise EdgeError(self._broken)
            try:
                with self._around():
                    self._stream.write(line + "\n")
                    self._stream.flush()
            except OSError as error:
                # what is left in the buffer must not fail once more when the program ends
                with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
                    os.dup2(nowhere.fileno(), self._stream.fileno())
                self._broken = f"stdout: cannot be written ({error.strerror})"
                raise EdgeError(self._broken) from error
            if message.key is not None:
                self._delivered.append(message.key)

    def poll(self) -> AckResult:
        """Messages written since the last call."""
        with self._lock:
            keys, self._delivered = self._delivered, []
        return AckResult(delivered=keys)

    def status(self) -> None:
        """Stdout has no broker to tell of."""

    def close(self, last: Message) -> None:
        """Write `last` if somebody reads."""
        with contextlib.suppress(EdgeError):
            self.publish(last)
