"""Warnings about one source, few enough that a broken file does not flood the log."""

import logging

log = logging.getLogger(__name__)

MOST = 10


class Notices:
    """Logs the first `MOST` warnings about a source, each with its name."""

    def __init__(self, name: str) -> None:
        self._name, self._number = name, 0

    def warn(self, text: str) -> None:
        """Log one more, or nothing if there were `MOST`."""
        self._number += 1
        if self._number <= MOST:
            log.warning("%s: %s", self._name, text)
        if self._number == MOST:
            log.warning("%s: further warnings about it are not logged", self._name)
