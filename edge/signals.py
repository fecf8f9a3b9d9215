"""Turns signals into requests: end the daemon, or go on with the configuration as it is now."""

import logging
import os
import signal
from collections.abc import Callable

from edge.config import Config
from edge.errors import EdgeError

log = logging.getLogger(__name__)


class SignalHandler:
    """Notes signals as they come, to be asked about between two frames."""

    def __init__(self, reload: Callable[[], Config]) -> None:
        """Take over SIGTERM, SIGINT and, unless there is a terminal to hang up, SIGHUP.

        `reload` returns the validated configuration that is on disk now, or raises EdgeError.
        """
        self._reload = reload
        self.is_ending = False
        """Whether the daemon is to end."""
        self._reload_requested = False
        self._next_config: Config | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_end)
        if not _has_terminal():
            signal.signal(signal.SIGHUP, self.request_reload)

    def _request_end(self, *_: object) -> None:
        self.is_ending = True

    def request_reload(self, *_: object) -> None:
        """Have the configuration read again."""
        self._reload_requested = True

    def should_stop(self) -> bool:
        """Whether the running parts are to stop; a mistake in a new configuration is logged."""
        if self._reload_requested and not self.is_ending:
            self._reload_requested = False
            try:
                self._next_config = self._reload()
                log.info("configuration reloaded")
            except EdgeError as error:
                log.error("%s\n  the configuration stays as it was", error)
        return self.is_ending or self._next_config is not None

    @property
    def is_reloading(self) -> bool:
        """Whether the daemon goes on with another configuration."""
        return self._next_config is not None and not self.is_ending

    def take_config(self) -> Config | None:
        """The configuration to go on with; None if the daemon is to end."""
        config, self._next_config = self._next_config, None
        return None if self.is_ending else config


def _has_terminal() -> bool:
    """Whether a terminal controls this process: its SIGHUP then ends it like any program."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
