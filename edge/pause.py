"""The pause that a command over MQTT begins and ends; it survives a restart."""

import contextlib
import logging
import queue
from pathlib import Path

from edge.atomic_file import remove_durably, write_atomically

log = logging.getLogger(__name__)

PAUSE, RESUME = b"pause", b"resume"
"""The only commands."""


class PauseSwitch:
    """Off, or on from `pause` to `resume`."""

    def __init__(self, file: Path) -> None:
        """It is on at first if `file` exists, which is there as long as it is on."""
        self._file = file
        self._on = False
        with contextlib.suppress(OSError):  # the outbox, beside it, reports a folder like this
            self._on = file.exists()
        self._commands: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._warned = False

    def command(self, payload: bytes) -> None:
        """Note a command; from any thread."""
        self._commands.put(payload)

    def is_on(self) -> bool:
        """Obey the commands noted since the last call; return whether the pause is on."""
        while not self._commands.empty():
            self._obey(self._commands.get())
        return self._on

    def _obey(self, command: bytes) -> None:
        if command not in (PAUSE, RESUME):
            if command and not self._warned:  # an empty one only removes a retained message
                log.warning("a command was ignored: only pause and resume are obeyed")
                self._warned = True
            return
        on = command == PAUSE
        if on != self._on:
            self._on = on
            log.info("%s by a command", "paused" if on else "resumed")
            self._remember()

    def _remember(self) -> None:
        try:
            if self._on:
                write_atomically(self._file, b"")
            else:
                remove_durably(self._file)
        except OSError as error:
            state = "paused" if self._on else "resumed"
            log.error("%s: %s only until a restart (%s)", self._file, state, error.strerror)
