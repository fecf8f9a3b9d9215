"""What was signed and revoked, in one SQLite file; and files that are still to be written.

A certificate and the files that carry it are committed together, and each file is written
afterwards: a run that is killed in between is completed by the next one.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.atomic_file import PRIVATE, write_all_atomically
from edge.errors import ConfigError, EdgeError
from tools.provisioning.authority import Role

FILE = "registry.db"
PUBLIC = (".crt", ".crl")
"""Ends of names of files without secrets."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY,  -- hexadecimal
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    site TEXT NOT NULL,
    issued REAL NOT NULL,  -- this and the other times: seconds since 1970, UTC
    expires REAL NOT NULL,
    revoked REAL,
    pem TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outputs (
    path TEXT PRIMARY KEY,  -- below the registry's folder
    content TEXT  -- NULL: to be deleted
);
"""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was signed."""

    serial: int
    role: Role
    name: str
    site: str
    issued: datetime
    expires: datetime
    """These and `revoked` in UTC."""
    pem: str
    revoked: datetime | None = None


class Registry:
    """The registry of one folder."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder's registry, or makes an empty one. Raises ConfigError, EdgeError."""
        self._folder = folder
        self.completed: frozenset[str] = frozenset()
        """Files that an earlier run left to be written."""
        try:
            # private from the first moment on: files to be written may hold keys
            os.close(os.open(folder / FILE, os.O_CREAT | os.O_RDWR, PRIVATE))
            self._db = _connected(folder / FILE)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{folder / FILE}: cannot be read ({error})") from error

    def close(self) -> None:
        self._db.close()

    def certificates(self) -> list[Issued]:
        """All that were signed, in order."""
        rows = self._db.execute(
            "SELECT serial, role, name, site, issued, expires, pem, revoked FROM certificates "
            "ORDER BY rowid"  # not by time: a clock may be set back
        )
        return [
            Issued(
                int(serial, 16), Role(role), name, site, _time(issued), _time(expires), pem,
                None if revoked is None else _time(revoked),
            )
            for serial, role, name, site, issued, expires, pem, revoked in rows
        ]  # fmt: skip

    def commit(
        self,
        outputs: Mapping[str, str | None],
        issued: Iterable[Issued] = (),
        revoked: Mapping[int, datetime] | None = None,
    ) -> None:
        """Record certificates and revocations, then write files, by their paths below the folder.

        None deletes a file. Raises EdgeError; what was recorded then, `complete` writes.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO certificates (serial, role, name, site, issued, expires, pem) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (f"{one.serial:x}", one.role, one.name, one.site, one.issued.timestamp(),
                     one.expires.timestamp(), one.pem)
                    for one in issued
                ],
            )  # fmt: skip
            self._db.executemany(
                "UPDATE certificates SET revoked = ? WHERE serial = ?",
                [(when.timestamp(), f"{serial:x}") for serial, when in (revoked or {}).items()],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO outputs (path, content) VALUES (?, ?)", outputs.items()
            )
        self._write()

    def complete(self) -> None:
        """Write what an earlier run left; `completed` then has the files. Raises EdgeError."""
        self.completed = frozenset(self._write())

    def _write(self) -> list[str]:
        """Write all files that are to be written, and return their paths."""
        outputs = dict(self._db.execute("SELECT path, content FROM outputs"))
        private: dict[Path, bytes] = {}
        public: dict[Path, bytes] = {}
        try:
            for path, content in outputs.items():
                file = self._folder / path
                file.parent.mkdir(mode=0o700, exist_ok=True)
                if content is None:
                    file.unlink(missing_ok=True)
                else:
                    (public if file.suffix in PUBLIC else private)[file] = content.encode()
            write_all_atomically(private, private=True)
            write_all_atomically(public)
        except OSError as error:
            raise EdgeError(
                f"{error.filename}: cannot be written ({error.strerror}); the next run completes it"
            ) from error
        with self._transaction():
            self._db.execute("DELETE FROM outputs")
        return list(outputs)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise EdgeError(f"{self._folder / FILE}: cannot be written ({error})") from error


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _connected(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None)
    try:
        db.execute("PRAGMA secure_delete = ON")
        db.executescript(SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db
