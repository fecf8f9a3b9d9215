"""One program at a time: who holds a lock works, others stand by until it ends."""

import contextlib
import fcntl
from pathlib import Path
from typing import IO, Protocol

from tools.collection.connection import StoreError


class Holder(Protocol):
    """A lock that ends with its program, however that ends."""

    def acquire(self) -> bool:
        """Whether it is held now. Raises StoreError."""

    def is_held(self) -> bool: ...

    def release(self) -> None: ...


class FileHolder:
    """A lock of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        if self._file is not None:
            return True
        try:
            file = self._path.open("ab")
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def is_held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


class FreeHolder:
    """For a program that takes nothing from others: always held."""

    def acquire(self) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None:
        pass
