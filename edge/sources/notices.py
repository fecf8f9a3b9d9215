"""Limits the warnings about one source, so that a broken file does not flood the log."""

import logging

log = logging.getLogger(__name__)

MAX_WARNINGS = 10


class Notices:
    """Logs the first `MAX_WARNINGS` warnings about a source, each with its name."""

    def __init__(self, name: str) -> None:
        self._name, self._number = name, 0

    def warn(self, text: str) -> None:
        """Log a warning, unless there were `MAX_WARNINGS` already."""
        self._number += 1
        if self._number <= MAX_WARNINGS:
            log.warning("%s: %s", self._name, text)
        if self._number == MAX_WARNINGS:
            log.warning("%s: further warnings about it are not logged", self._name)
