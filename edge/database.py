"""The outbox's SQLite file: its tables, its lock, and what to do where it is damaged."""

import fcntl
import logging
import secrets
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

from edge.errors import OutboxError

log = logging.getLogger(__name__)

LAYOUT = 1
"""Of the tables; to rise with every change of them."""

Row = tuple[int, str, str, int, int, str | None, int | None, int]
"""Key, topic, payload, QoS, `lived`, `boot`, `clock` and checksum of a window."""

TABLES = """
CREATE TABLE IF NOT EXISTS counters (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    female INTEGER NOT NULL, male INTEGER NOT NULL, unknown INTEGER NOT NULL,
    base INTEGER NOT NULL, lived INTEGER NOT NULL, dropped INTEGER NOT NULL, sum INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS days (
    day TEXT PRIMARY KEY,
    female INTEGER NOT NULL, male INTEGER NOT NULL, unknown INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS windows (
    key INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload TEXT NOT NULL, qos INTEGER NOT NULL,
    lived INTEGER NOT NULL, boot TEXT, clock INTEGER, sum INTEGER NOT NULL
) STRICT;
"""
# `lived` counts the milliseconds of all windows ever made: an age that no clock's jump changes.
# `boot` and `clock` are there where the wall clock had not been set when the window was made: which
# boot of the machine it was, and how many milliseconds the wall clock was ahead of the one that
# runs since then.
# `base` is what keys are ahead of `seq`: windows saved from a damaged file keep their keys.
# SQLite notices a torn page, but not a changed byte within a value: `sum` does.
COUNTERS = "epoch, seq, female, male, unknown, base, lived, dropped"


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Codes of errors; the last is SQLite's for a format that it does not know."""


class Damaged(sqlite3.DatabaseError):
    """The file is a database, but not as it was written."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open or make the database; None keeps it in memory. Raises sqlite3.Error."""
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    try:
        # each window changes three pages: small ones halve what an SD card has to write.
        # FULL syncs each commit: a power cut loses nothing that was committed
        db.executescript("PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        if tables and layout != LAYOUT:
            raise Damaged(f"layout {layout} instead of {LAYOUT}")
        db.executescript(f"BEGIN; PRAGMA user_version={LAYOUT}; {TABLES} COMMIT;")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damaged(verdict)
        row = db.execute(f"SELECT sum, {COUNTERS} FROM counters").fetchone()
        if row is None:
            begin(db, base=0)
        elif row[0] != checksum(row[1:]):
            raise Damaged("its counters are not what was written")
    except (sqlite3.Error, UnicodeError):  # the latter where SQLite quotes what it cannot read
        db.close()
        raise
    return db


def _text(stored: bytes) -> str:
    """Damaged text is no error in itself: its checksum tells."""
    return stored.decode(errors="replace")


def begin(db: sqlite3.Connection, base: int) -> None:
    """Begin a new epoch, whose keys start after `base`."""
    values = (secrets.token_hex(4), 0, 0, 0, 0, base, 0, 0)
    db.execute(
        f"INSERT OR REPLACE INTO counters (one, sum, {COUNTERS}) VALUES (1, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?)",
        (checksum(values), *values),
    )


def checksum(values: Iterable[Any]) -> int:
    return zlib.crc32(repr(tuple(values)).encode())


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged, and not that the disk is full or busy."""
    if isinstance(error, Damaged | UnicodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or (code is not None and code & 0xFF in DAMAGE)


def replace_damaged(path: Path, reason: object, base: int) -> sqlite3.Connection:
    """Move a damaged file aside and begin anew with the windows that can still be read in it.

    The new epoch's keys start after `base` and after those windows. Raises sqlite3.Error, OSError.
    """
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    rows = _readable(aside)
    log.error(
        "outbox %s: is damaged (%s); moved to %s; a new epoch begins, windows saved: %d",
        path,
        reason,
        aside,
        len(rows),
    )
    db = connect(path)
    try:
        db.execute("BEGIN IMMEDIATE")
        begin(db, max([base, *(row[0] for row in rows)]))
        for row in rows:
            insert(db, *row[:4], 0, *row[5:7])
        db.execute("COMMIT")
    except sqlite3.Error:
        db.close()
        raise
    return db


def insert(
    db: sqlite3.Connection,
    key: int,
    topic: str,
    payload: str,
    qos: int,
    lived: int,
    boot: str | None,
    clock: int | None,
) -> None:
    row = (key, topic, payload, qos, lived, boot, clock)
    db.execute("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(row)))


def _readable(path: Path) -> list[Row]:
    """Windows of a damaged file that are as they were written, in order."""
    rows: dict[int, Row] = {}
    with suppress(sqlite3.Error, UnicodeError), closing(sqlite3.connect(path)) as db:
        db.text_factory = _text
        for order in ("ASC", "DESC"):  # from both ends up to the damage
            with suppress(sqlite3.Error, UnicodeError):
                for row in db.execute(f"SELECT * FROM windows ORDER BY key {order}"):
                    if row[-1] == checksum(row[:-1]):
                        rows[row[0]] = row
    return [rows[key] for key in sorted(rows)]


def claim(path: Path) -> IO[bytes]:
    """The lock file beside the database, held for as long as it is open.

    Raises OutboxError where another process holds it.
    """
    try:
        lock = path.with_name(f"{path.name}.lock").open("ab")
    except OSError as error:
        raise OutboxError(f"outbox {path}: cannot be opened ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise OutboxError(
            f"outbox {path}: another daemon uses it; give each its own state_dir"
        ) from error
    except OSError as error:
        lock.close()
        raise OutboxError(f"outbox {path}: cannot be locked ({error.strerror})") from error
    return lock
