"""Windows on disk until the broker has acknowledged them: one SQLite file."""

import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import EdgeError
from edge.records import Message, People

log = logging.getLogger(__name__)

TABLES = """
CREATE TABLE IF NOT EXISTS counters (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL, seq INTEGER NOT NULL,
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

    def __init__(self, path: Path | None) -> None:
        """Open or make the database; None keeps it in memory.

        A damaged file is moved aside, its new name logged, and a new epoch begins. Raises EdgeError
        where the file cannot be opened or made.
        """
        self._lock = threading.Lock()
        try:
            self._db = self._open(path)
        except sqlite3.OperationalError as error:
            raise EdgeError(f"outbox {path}: cannot be opened ({error})") from error
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

    def append(self, people: People, make: Callable[[int, People], Message]) -> Message:
        """Count `people` and keep the message that `make(seq, totals)` gives, in one transaction.

        Raises EdgeError where the disk refuses it; then nothing was counted.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                seq, female, male, unknown = self._db.execute(
                    "UPDATE counters SET seq = seq + 1, female = female + ?, male = male + ?,"
                    " unknown = unknown + ? RETURNING seq, female, male, unknown",
                    (people.female, people.male, people.unknown),
                ).fetchone()
                message = make(seq, People(female, male, unknown))
                self._db.execute(
                    "INSERT INTO windows VALUES (?, ?, ?, ?)",
                    (seq, message.topic, message.payload, message.qos),
                )
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise EdgeError(f"outbox: cannot be written ({error})") from error
        return message

    def pending(self, after: int = 0, limit: int = 20) -> list[Message]:
        """The oldest messages with a key greater than `after`, in order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT topic, payload, qos, seq FROM windows WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Message(topic, payload, qos, False, seq) for topic, payload, qos, seq in rows]

    def newest(self) -> int:
        """The key of the newest window ever appended in this epoch; 0 where there is none."""
        with self._lock:
            (seq,) = self._db.execute("SELECT seq FROM counters").fetchone()
        return int(seq)

    def delete(self, keys: list[int]) -> None:
        """Forget messages that were acknowledged."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM windows WHERE seq = ?", [(key,) for key in keys])
            self._db.execute("COMMIT")

    def __len__(self) -> int:
        with self._lock:
            (number,) = self._db.execute("SELECT count(*) FROM windows").fetchone()
        return int(number)

    def close(self) -> None:
        with self._lock:
            self._db.close()
