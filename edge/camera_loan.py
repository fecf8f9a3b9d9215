"""A camera that the daemon lends to a page, such as that of `edge aim`, and gets back.

A camera serves one program at a time. Whoever borrows it locks the daemon's state folder; the
kernel unlocks it when the borrower ends, however that happens.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import ConfigError

LOCK_WAIT_S = 1.0
"""Longest wait for the lock, seconds: whoever only asks for it has it for microseconds."""


class Lender:
    """The daemon's side: whether the camera is lent now."""

    def __init__(self, folder: Path, on_return: Callable[[], None]) -> None:
        """`on_return` is called once a camera that was lent has come back."""
        self._folder, self._on_return = folder, on_return
        self._was_lent = False

    def is_lent(self) -> bool:
        """Whether somebody has locked the folder."""
        with _opened(self._folder) as folder:
            is_lent = folder is not None and not _can_lock(folder, fcntl.LOCK_SH)
        has_returned = self._was_lent and not is_lent
        self._was_lent = is_lent
        if has_returned:
            self._on_return()
        return is_lent


@contextmanager
def borrowed(folder: Path) -> Iterator[None]:
    """Keep the folder locked, so that a daemon closes its camera; without a folder there is none.

    Raises ConfigError if another program has it locked.
    """
    with _opened(folder) as locked:
        deadline = time.monotonic() + LOCK_WAIT_S
        while locked is not None and not _can_lock(locked, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise ConfigError("edge aim or edge audit already has the camera; end it first")
            time.sleep(0.01)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """A folder's descriptor; None if it cannot be opened. Closing it unlocks the folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _can_lock(descriptor: int, kind: int) -> bool:
    """Lock a folder; returns whether nobody else has it locked."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:  # some file systems have no locks: then nothing is lent
        return not isinstance(error, BlockingIOError)
    return True
