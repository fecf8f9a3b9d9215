"""The outbox's SQLite file: its tables, its lock, and what to do where it is damaged."""

import fcntl
import logging
import secrets
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from edge.errors import OutboxError

log = logging.getLogger(__name__)

LAYOUT = 1
"""Of the tables; to rise with every change of them."""

IDS = 0x45544944
"""SQLite's application id of a database whose device is known to Home Assistant by its site and
name. One that is older has 0: its device goes on with the ids it has."""
IDS_AT = 68
"""Where it is in the file."""

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
ANOTHER_TIME = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
)
"""Codes of errors with which what can be read may not be read now; a bad sector is damage."""


class Damaged(sqlite3.DatabaseError):
    """The file is a database, but not as it was written."""


@dataclass(slots=True)
class Saved:
    """What is as it was written in a damaged file."""

    ever: tuple[int, int, int] = (0, 0, 0)
    """Female, male, unknown; zeros where the counters are damaged."""
    lived: int = 0
    dropped: int = 0
    days: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    windows: dict[int, Row] = field(default_factory=dict)
    """By their keys."""


def connect(path: Path | None, base: int = 0, *, ids: int = IDS) -> sqlite3.Connection:
    """Open or make the database; None keeps it in memory.

    Keys of one that is made start after `base`, and `ids` are its application id. Raises
    sqlite3.Error.
    """
    db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    db.text_factory = _text
    try:
        # each window changes three pages: small ones halve what an SD card has to write.
        # FULL syncs each commit: a power cut loses nothing that was committed
        db.executescript("PRAGMA page_size=1024; PRAGMA synchronous=FULL;")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:  # before the log, so that it is in the file itself
            db.execute(f"PRAGMA application_id={ids}")
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
            begin(db, base)
        elif row[0] != checksum(row[1:]):
            raise Damaged("its counters are not what was written")
    except (sqlite3.Error, UnicodeError):  # the latter where SQLite quotes what it cannot read
        db.close()
        raise
    return db


def has_legacy_ids(path: Path) -> bool:
    """Whether the database is from before devices were told apart by site and name.

    Read without SQLite: the file may be in use, or on a disk that is full.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and not any(head[IDS_AT : IDS_AT + 4])


def drop_legacy_ids(path: Path) -> None:
    """From now on the device is known by its site and name. Raises OutboxError."""
    try:
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA application_id={IDS}")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise OutboxError(f"outbox {path}: cannot be used ({error})") from error


def _text(stored: bytes) -> str:
    """Damaged text is no error in itself: its checksum tells."""
    return stored.decode(errors="replace")


def begin(db: sqlite3.Connection, base: int, saved: Saved | None = None) -> None:
    """Begin a new epoch, whose keys start after `base`, with the counters that were saved."""
    saved = saved or Saved()
    values = (secrets.token_hex(4), 0, *saved.ever, base, saved.lived, saved.dropped)
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


def is_full(error: BaseException | None) -> bool:
    """Whether an error means that the disk has no room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def replace_damaged(path: Path, reason: object, base: int) -> sqlite3.Connection:
    """Begin anew with what can still be read in a damaged file, and move that aside.

    The new epoch's keys start after `base` and after those windows. What takes the file's place is
    whole before the file is touched: a full disk or a power cut loses nothing, and the next opening
    does it again or, by `finish_replacing`, to the end. Raises sqlite3.Error, OSError.
    """
    saved = _readable(path)
    ids = 0 if has_legacy_ids(path) else IDS
    fresh = _beside(path, ".new")
    try:
        _build(fresh, saved, max([base, *saved.windows]), ids)
    except sqlite3.Error:
        _discard(fresh)  # the room it takes may be what is missing
        raise
    aside = _beside(path, f".damaged-{secrets.token_hex(4)}")
    path.rename(aside)
    with suppress(FileNotFoundError):
        _beside(path, "-wal").rename(_beside(aside, "-wal"))
    finish_replacing(path)
    log.error(
        "outbox %s: is damaged (%s); moved to %s; a new epoch begins, windows saved: %d",
        path,
        reason,
        aside,
        len(saved.windows),
    )
    return connect(path)


def finish_replacing(path: Path) -> None:
    """Put a replacement in its place where the damaged file is away already. Raises OSError."""
    fresh = _beside(path, ".new")
    if fresh.exists() and not path.exists():
        _discard(path)  # what is left of the damaged file: SQLite would take its log for ours
        fresh.rename(path)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _discard(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)


def _build(path: Path, saved: Saved, base: int, ids: int) -> None:
    """Make a database of what was saved, all of it in one file. Raises sqlite3.Error, OSError."""
    _discard(path)  # one that was not finished
    with closing(connect(path, ids=ids)) as db:
        db.execute("PRAGMA journal_mode=DELETE")  # no second copy of it all in a log
        db.execute("BEGIN IMMEDIATE")
        begin(db, base, saved)
        for day, counted in saved.days.items():
            db.execute("INSERT INTO days VALUES (?, ?, ?, ?)", (day, *counted))
        for _, row in sorted(saved.windows.items()):
            insert(db, *row[:4], min(row[4], saved.lived), *row[5:7])
        db.execute("COMMIT")


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


def _readable(path: Path) -> Saved:
    """What can be read in a damaged file. Raises sqlite3.Error where it may be another time."""
    saved = Saved()
    with _as_far_as_possible(), closing(sqlite3.connect(path)) as db:
        db.text_factory = _text
        for order in ("ASC", "DESC"):  # from both ends up to the damage
            with _as_far_as_possible():
                for row in db.execute(f"SELECT * FROM windows ORDER BY key {order}"):
                    if row[-1] == checksum(row[:-1]):
                        saved.windows[row[0]] = row
        with _as_far_as_possible():
            sealed, *counters = db.execute(f"SELECT sum, {COUNTERS} FROM counters").fetchone()
            if sealed == checksum(counters):
                saved.ever = (counters[2], counters[3], counters[4])
                saved.lived, saved.dropped = counters[6], counters[7]
        with _as_far_as_possible():
            for day, *counted in db.execute("SELECT day, female, male, unknown FROM days"):
                # they have no checksum; but no day has more than all days
                fits = (0 <= n <= most for n, most in zip(counted, saved.ever, strict=True))
                if [type(value) for value in (day, *counted)] == [str, int, int, int] and all(fits):
                    saved.days[day] = (counted[0], counted[1], counted[2])
    return saved


@contextmanager
def _as_far_as_possible() -> Iterator[None]:
    """Go on after what damage may cause; a disk that is full or busy is no damage."""
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        unreadable = is_damage(error) or code == sqlite3.SQLITE_IOERR_READ
        if not unreadable and code & 0xFF in ANOTHER_TIME:
            raise


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
