"""Writes files that are either the old one or the new one, whenever the power fails."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

PRIVATE = stat.S_IRUSR | stat.S_IWUSR
"""Mode of a file that nobody but its owner may read."""


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace `path` once `content` is safely on disk; only its owner may read a private file.

    Raises OSError.
    """
    write_all_atomically({path: content}, private=private)


def write_all_atomically(files: Mapping[Path, bytes], *, private: bool = False) -> None:
    """Replace files that belong together once all of them are safely on disk. Raises OSError.

    Each is first written beside its path, as `NAME.new`; after a failure none of these is left.
    """

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, PRIVATE if private else 0o666)

    try:
        for path, content in files.items():
            if private:  # a file that a killed run left keeps its mode
                _beside(path).unlink(missing_ok=True)
            # Path.open has no opener
            with open(_beside(path), "wb", opener=create) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path in files:
            _beside(path).replace(path)
        for folder in {path.parent for path in files}:
            _sync(folder)
    finally:
        for path in files:
            with contextlib.suppress(OSError):
                _beside(path).unlink(missing_ok=True)


def remove_durably(path: Path) -> None:
    """Remove a file, if there is one, for good: a power cut does not bring it back.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are safely on disk: a file's own sync does not do it."""
    with contextlib.suppress(OSError):  # some file systems cannot, and it may not be readable
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def replace_verified(path: Path, content: bytes, verify: Callable[[Path], None]) -> None:
    """Replace a file that a user wrote, once `verify` accepts a file with the new `content`.

    Owner and mode stay. Raises what `verify` raises, and OSError; the file is then as it was, and
    nothing is left beside it.
    """
    status = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(file.fileno())
        verify(new)
        new.replace(path)
        _sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
