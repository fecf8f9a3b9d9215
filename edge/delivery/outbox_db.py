"""The outbox's SQLite file: its tables, its lock, and the signs of damage."""

import fcntl
import secrets
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from edge.errors import OutboxError

LAYOUT = 1
"""Version of the tables; increase it if one of them changes. An older daemon ignores a new one."""

APPLICATION_ID = 0x45544944
"""SQLite application id of a database whose device is known to Home Assistant by its site and name.
An older database has 0: its device keeps its ids."""
APPLICATION_ID_OFFSET = 68
"""Offset of the application id in the file, bytes."""

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
CREATE TABLE IF NOT EXISTS ages (
    age TEXT PRIMARY KEY, people INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS windows (
    key INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload TEXT NOT NULL, qos INTEGER NOT NULL,
    lived INTEGER NOT NULL, boot TEXT, clock INTEGER, sum INTEGER NOT NULL
) STRICT;
"""
# `lived` is the length of all windows so far, milliseconds: an age that no clock jump changes.
# `boot` and `clock` are set if the wall clock was not, when the window was made: the machine's boot
# id, and how many milliseconds the wall clock was ahead of the monotonic one.
# `base` is by how much keys are ahead of `seq`: windows saved from a damaged file keep their keys.
# `sum` is a checksum: SQLite notices a torn page, but not a changed byte within a value.
COUNTERS = "epoch, seq, female, male, unknown, base, lived, dropped"


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""SQLite error codes that mean damage; the last stands for an unknown format."""


class Damaged(sqlite3.DatabaseError):
    """The file is a database, but its content is not what was written."""


def connect(
    path: Path | None, key_offset: int = 0, *, application_id: int = APPLICATION_ID
) -> sqlite3.Connection:
    """Open or create the database; without a `path` it is in memory.

    A new one has keys from `key_offset` + 1 and the given `application_id`. Raises sqlite3.Error.
    """
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    db.text_factory = decode
    try:
        # each window changes three pages: small ones halve what is written to an SD card.
        # FULL syncs each commit: a power cut loses nothing committed
        db.executescript("PRAGMA page_size=1024; PRAGMA synchronous=FULL;")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:  # before WAL mode, so that it is in the file itself
            db.execute(f"PRAGMA application_id={application_id}")
        db.execute("PRAGMA journal_mode=WAL")
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        if tables and layout != LAYOUT:
            raise Damaged(f"layout {layout} instead of {LAYOUT}")
        db.executescript(f"BEGIN; PRAGMA user_version={LAYOUT}; {TABLES} COMMIT;")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damaged(verdict)
        row = db.execute(f"SELECT sum, {COUNTERS} FROM counters").fetchone()
        if row is None:
            begin_epoch(db, key_offset)
        elif row[0] != checksum(row[1:]):
            raise Damaged("wrong checksum of its counters")
    except (sqlite3.Error, UnicodeError):  # the latter if SQLite quotes unreadable text
        db.close()
        raise
    return db


def has_legacy_ids(path: Path) -> bool:
    """Whether the database dates from before devices were identified by site and name.

    Read without SQLite: the file may be in use, or on a full disk.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and not any(
        head[APPLICATION_ID_OFFSET : APPLICATION_ID_OFFSET + 4]
    )


def drop_legacy_ids(path: Path) -> None:
    """Identify the device by its site and name from now on. Raises OutboxError."""
    try:
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise OutboxError(f"outbox {path}: cannot be used ({error})") from error


def decode(text: bytes) -> str:
    """Decode damaged text too: the checksum reveals it."""
    return text.decode(errors="replace")


def begin_epoch(
    db: sqlite3.Connection,
    key_offset: int,
    *,
    ever: tuple[int, int, int] = (0, 0, 0),
    elapsed_ms: int = 0,
    dropped: int = 0,
) -> None:
    """Begin a new epoch with keys from `key_offset` + 1, and the counters of the one before.

    `ever` is female, male and unknown people.
    """
    values = (secrets.token_hex(4), 0, *ever, key_offset, elapsed_ms, dropped)
    db.execute(
        f"INSERT OR REPLACE INTO counters (one, sum, {COUNTERS}) VALUES (1, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?)",
        (checksum(values), *values),
    )


def checksum(values: Iterable[Any]) -> int:
    return zlib.crc32(repr(tuple(values)).encode())


def is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged, rather than the disk full or busy."""
    if isinstance(error, Damaged | UnicodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or (code is not None and code & 0xFF in DAMAGE)


def is_full(error: BaseException | None) -> bool:
    """Whether an error means that the disk is full."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def insert(
    db: sqlite3.Connection,
    key: int,
    topic: str,
    payload: str,
    qos: int,
    elapsed_ms: int,
    boot: str | None,
    clock: int | None,
) -> None:
    row = (key, topic, payload, qos, elapsed_ms, boot, clock)
    db.execute("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, checksum(row)))


def claim(path: Path) -> IO[bytes]:
    """Lock the file beside the database, until the returned file is closed.

    Raises OutboxError if another process has it locked.
    """
    try:
        lock = _lock_file(path).open("ab")
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


def is_claimed(path: Path) -> bool:
    """Whether another process has the database at `path`."""
    try:
        with _lock_file(path).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")
