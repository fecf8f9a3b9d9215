"""Windows on disk until the broker has acknowledged them: one SQLite file."""

import fcntl
import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from edge.errors import OutboxError
from edge.records import Message, People, Totals

log = logging.getLogger(__name__)

TABLES = """
CREATE TABLE IF NOT EXISTS counters (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    female INTEGER NOT NULL, male INTEGER NOT NULL, unknown INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS dropped (
    one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO dropped VALUES (1, 0);
CREATE TABLE IF NOT EXISTS days (
    day TEXT PRIMARY KEY,
    female INTEGER NOT NULL, male INTEGER NOT NULL, unknown INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS windows (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload TEXT NOT NULL, qos INTEGER NOT NULL
) STRICT;
"""


class Outbox:
    """The queue of windows not yet delivered, and the counters that number them.

    Used by two threads: one appends, the other reads and deletes.
    """

    def __init__(self, path: Path | None, max_windows: int = 50_000) -> None:
        """Open or make the database; None keeps it in memory.

        Of more than `max_windows` the oldest are dropped. A damaged file is moved aside, its new
        name logged, and a new epoch begins.

        Raises OutboxError where the file cannot be opened or made, or another daemon uses it.
        """
        self._lock = threading.Lock()
        self._max_windows = max_windows
        self._claim = None if path is None else _claimed(path)
        try:
            self._db = self._open(path)
        except sqlite3.OperationalError as error:
            raise OutboxError(f"outbox {path}: cannot be opened ({error})") from error
        except sqlite3.DatabaseError as error:
            assert path is not None
            aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
            path.rename(aside)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            log.error("outbox %s: is damaged (%s); moved to %s, counting anew", path, error, aside)
            self._db = self._open(path)
        (self.epoch,) = self._db.execute("SELECT epoch FROM counters").fetchone()

    @staticmethod
    def _open(path: Path | None) -> sqlite3.Connection:
        db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        try:
            # FULL syncs each commit: a power cut loses nothing that was committed
            db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {TABLES}")
            (verdict,) = db.execute("PRAGMA quick_check").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            db.execute(
                "INSERT OR IGNORE INTO counters VALUES (1, ?, 0, 0, 0, 0)", (secrets.token_hex(4),)
            )
        except sqlite3.Error:
            db.close()
            raise
        return db

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, one thread at a time; raises OutboxError where the disk refuses."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise OutboxError(f"outbox: the disk refuses ({error})") from error
            finally:
                if self._db.in_transaction:
                    with suppress(sqlite3.Error):
                        self._db.execute("ROLLBACK")

    def _read(self, query: str, *values: int) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise OutboxError(f"outbox: cannot be read ({error})") from error

    def append(self, people: People, day: str, make: Callable[[int, Totals], Message]) -> Message:
        """Count `people` and keep the message that `make(seq, totals)` gives, in one transaction.

        `day` is the date they count for.
        Raises OutboxError where the disk refuses it; then nothing was counted.
        """
        with self._transaction():
            numbers = (people.female, people.male, people.unknown)
            seq, *ever = self._db.execute(
                "UPDATE counters SET seq = seq + 1, female = female + ?, male = male + ?,"
                " unknown = unknown + ? RETURNING seq, female, male, unknown",
                numbers,
            ).fetchone()
            today = self._db.execute(
                "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
                " female = female + excluded.female, male = male + excluded.male,"
                " unknown = unknown + excluded.unknown RETURNING female, male, unknown",
                (day, *numbers),
            ).fetchone()
            message = make(seq, Totals(People(*ever), day, People(*today)))
            self._db.execute(
                "INSERT INTO windows VALUES (?, ?, ?, ?)",
                (seq, message.topic, message.payload, message.qos),
            )
            dropped = self._db.execute(
                "DELETE FROM windows WHERE seq <= (SELECT seq FROM windows"
                " ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (self._max_windows,),
            ).rowcount
            if dropped:
                self._db.execute("UPDATE dropped SET number = number + ?", (dropped,))
        if dropped:
            log.warning("outbox: full; the oldest windows were dropped: %d", dropped)
        return message

    def pending(self, after: int = 0, limit: int = 20) -> list[Message]:
        """The oldest messages with a key greater than `after`, in order. Raises OutboxError."""
        rows = self._read(
            "SELECT topic, payload, qos, seq FROM windows WHERE seq > ? ORDER BY seq LIMIT ?",
            after,
            limit,
        )
        return [Message(topic, payload, qos, False, seq) for topic, payload, qos, seq in rows]

    def dropped(self) -> int:
        """Windows that were never delivered because there were too many. Raises OutboxError."""
        return int(self._read("SELECT number FROM dropped")[0][0])

    def newest(self) -> int:
        """The key of the newest window ever appended in this epoch; 0 where there is none."""
        return int(self._read("SELECT seq FROM counters")[0][0])

    def delete(self, keys: list[int]) -> None:
        """Forget messages that were acknowledged. Raises OutboxError."""
        with self._transaction():
            self._db.executemany("DELETE FROM windows WHERE seq = ?", [(key,) for key in keys])

    def __len__(self) -> int:
        return int(self._read("SELECT count(*) FROM windows")[0][0])

    def close(self) -> None:
        with self._lock:
            self._db.close()
        if self._claim is not None:
            self._claim.close()


def _claimed(path: Path) -> IO[bytes]:
    """The lock file beside the database, held for as long as it is open."""
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
