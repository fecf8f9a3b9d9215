"""What signals ask of the daemon: to end, or to go on with the configuration as it is now."""

import logging
import os
import signal
from collections.abc import Callable

from edge.config import Config
from edge.errors import EdgeError

log = logging.getLogger(__name__)


class SignalHandler:
    """Signals as they came, to be asked for between two frames."""

    def __init__(self, reread: Callable[[], Config]) -> None:
        """Take over SIGTERM, SIGINT and, where no terminal can hang up, SIGHUP.

        `reread` gives the configuration that is on disk now, proved, or raises EdgeError.
        """
        self._reread = reread
        self.ended = False
        """Whether the daemon is to end."""
        self._asked = False
        self._successor: Config | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        if not _has_terminal():
            signal.signal(signal.SIGHUP, self._ask)

    def _end(self, *_: object) -> None:
        self.ended = True

    def _ask(self, *_: object) -> None:
        self._asked = True

    def stopped(self) -> bool:
        """Whether what runs now is to stop; where the new configuration is a mistake, it is not."""
        if self._asked and not self.ended:
            self._asked = False
            try:
                self._successor = self._reread()
                log.info("configuration read again")
            except EdgeError as error:
                log.error("%s\n  the configuration stays as it was", error)
        return self.ended or self._successor is not None

    @property
    def reloading(self) -> bool:
        """Whether the daemon goes on with another configuration."""
        return self._successor is not None and not self.ended

    def successor(self) -> Config | None:
        """The configuration to go on with; None where the daemon is to end."""
        config, self._successor = self._successor, None
        return None if self.ended else config


def _has_terminal() -> bool:
    """Whether a terminal controls this process, which SIGHUP then ends as it ends any program."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
