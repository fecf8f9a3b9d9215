"""Keeps windows in one SQLite file until the broker has acknowledged them."""

import json
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.delivery import outbox_db, outbox_salvage
from edge.errors import OutboxError
from edge.types import AGES, Message, People, Totals

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
FULL_BYTES = 2**20
"""A disk with fewer free bytes than this is full; an empty outbox needs 60 kB."""


class Outbox:
    """The queue of undelivered windows, and the counters that number them.

    Used by two threads: one appends, the other reads and deletes.
    """

    def __init__(
        self, path: Path | None, *, max_windows: int = 50_000, max_days: float = 366
    ) -> None:
        """Open or create the database; without a `path` it is in memory.

        Beyond `max_windows`, or `max_days` of windows, the oldest are dropped. A damaged file is
        moved aside, its new name logged, and a new epoch begins; the windows and counters that can
        still be read in it are kept. On a full disk the outbox is opened once there is space.

        Raises OutboxError if the file cannot be opened or created, or another daemon uses it.
        """
        self._lock = threading.Lock()
        self._path, self._max_windows = path, max_windows
        self._max_age_ms = round(max_days * DAY_MS)
        self._db: sqlite3.Connection | None = None
        self.newest = 0
        """Key of the newest window; 0 before the first."""
        self.backlog = 0
        """Windows up to this key were made before the outbox was opened."""
        self._passed: dict[frozenset[str], int] = {}
        """By paused topics, the key up to which all windows are on them: not read again."""
        self._claim = None if path is None else outbox_db.claim(path)
        try:
            with self._opened():
                pass
        except OutboxError as error:
            full = outbox_db.is_full(error.__cause__)
            if path is None or not (full or shutil.disk_usage(path.parent).free <= FULL_BYTES):
                self.close()
                raise
            log.error("%s: the disk is full; windows wait in memory until there is space", error)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database, for one thread at a time. Raises OutboxError for its errors."""
        with self._lock:
            try:
                if self._db is None:
                    self._open()
                assert self._db is not None
                yield self._db
            except (sqlite3.Error, UnicodeError) as error:
                if self._db is not None and outbox_db.is_damage(error):
                    self._db.close()
                    self._db = None  # checked, and moved aside, at its next use
                raise OutboxError(f"outbox {self._path or ''}: cannot be used ({error})") from error

    def _open(self) -> None:
        try:
            if self._path is not None:
                outbox_salvage.finish_replacing(self._path)
            try:
                self._db = outbox_db.connect(self._path, self.newest)
            except (sqlite3.Error, UnicodeError) as error:
                if self._path is None or not outbox_db.is_damage(error):
                    raise
                self._db = outbox_salvage.replace_damaged(self._path, error, self.newest)
        except OSError as error:
            raise OutboxError(
                f"outbox {self._path}: is damaged and cannot be moved ({error.strerror})"
            ) from error
        row = self._db.execute("SELECT base + seq FROM counters").fetchone()
        self.newest = self.backlog = int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all or nothing. Raises OutboxError if the disk refuses."""
        with self._opened() as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")

    def _read(self, query: str, *values: int | str) -> list[Any]:
        with self._opened() as db:
            return db.execute(query, values).fetchall()

    def append(
        self,
        people: People,
        *,
        day: str,
        seconds: float,
        make: Callable[[str, int, Totals], Message],
        ages: tuple[int, ...] | None = None,
        unset: tuple[str, float] | None = None,
    ) -> Message:
        """Count `people` and store the message that `make(epoch, seq, totals)` returns.

        Both happen in one transaction. `day` is the date they count for, `seconds` the window's
        length, `ages` the same people per group of `AGES`, if ages are counted. If the wall clock
        is not set yet, `unset` is the machine's boot id and by how many seconds the wall clock is
        ahead of the monotonic one; see `restamp`. Returns the message with the outbox's own key.
        Raises OutboxError if the disk refuses; then nothing is counted.
        """
        with self._transaction() as db:
            numbers = (people.female, people.male, people.unknown)
            counters = db.execute(
                "UPDATE counters SET seq = seq + 1, female = female + ?, male = male + ?,"
                " unknown = unknown + ?, lived = lived + ? RETURNING " + outbox_db.COUNTERS,
                (*numbers, round(1000 * seconds)),
            ).fetchone()
            epoch, seq, *ever, key_offset, elapsed_ms, _ = counters
            today = db.execute(
                "INSERT INTO days VALUES (?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET"
                " female = female + excluded.female, male = male + excluded.male,"
                " unknown = unknown + excluded.unknown RETURNING female, male, unknown",
                (day, *numbers),
            ).fetchone()
            by_age = None if ages is None else _count_ages(db, ages)
            new = make(epoch, seq, Totals(People(*ever), day, People(*today), by_age))
            key = key_offset + seq
            message = replace(new, key=key)
            boot, clock = (None, None) if unset is None else (unset[0], round(1000 * unset[1]))
            outbox_db.insert(db, key, new.topic, new.payload, new.qos, elapsed_ms, boot, clock)
            # only the oldest rows can exceed a limit, so check only those
            dropped = db.execute(
                "DELETE FROM windows WHERE key <= ?", (key - self._max_windows,)
            ).rowcount
            dropped += db.execute(
                "DELETE FROM windows WHERE lived < ? AND key IN"
                " (SELECT key FROM windows ORDER BY key LIMIT 100)",
                (elapsed_ms - self._max_age_ms,),
            ).rowcount
            _count_dropped(db, dropped)
        self.newest = key
        if dropped:
            log.warning("outbox: full; the oldest windows were dropped: %d", dropped)
        return message

    def pending(
        self,
        in_flight: Set[int] = frozenset(),
        paused_topics: frozenset[str] = frozenset(),
        limit: int = 20,
    ) -> list[Message]:
        """Return the oldest messages in order, at most `limit`.

        Leaves out keys `in_flight` and messages on `paused_topics`. Raises OutboxError.
        """
        newest, passed = self.newest, self._passed.get(paused_topics, 0)
        rows = self._read(
            "SELECT * FROM windows WHERE key > ? AND key NOT IN (SELECT value FROM json_each(?))"
            " AND topic NOT IN (SELECT value FROM json_each(?)) ORDER BY key LIMIT ?",
            passed, json.dumps([*in_flight]), json.dumps([*paused_topics]), limit,
        )  # fmt: skip
        good = [row for row in rows if row[-1] == outbox_db.checksum(row[:-1])]
        if len(good) < len(rows):
            with self._transaction() as db:
                bad = [(row[0],) for row in rows if row not in good]
                db.executemany("DELETE FROM windows WHERE key = ?", bad)
                _count_dropped(db, len(bad))
            log.error("outbox %s: windows damaged on disk and dropped: %d", self._path, len(bad))
            return self.pending(in_flight, paused_topics, limit)
        first = good[0][0] if good else newest + 1
        self._passed[paused_topics] = min([first, *in_flight]) - 1  # those in flight may return
        return [Message(topic, payload, qos, False, key) for key, topic, payload, qos, *_ in good]

    def restamp(self, boot: str, ahead: float, change: Callable[[str, float], str]) -> int:
        """Correct the times of this boot's windows after the wall clock was set.

        `ahead` is by how many seconds the wall clock now is ahead of the monotonic one;
        `change(payload, seconds)` shifts a payload's times. Returns the number of windows changed.
        Raises OutboxError.
        """
        with self._transaction() as db:
            rows = [
                row
                for row in db.execute("SELECT * FROM windows WHERE boot = ?", (boot,)).fetchall()
                # damaged ones are dropped when their turn comes
                if row[-1] == outbox_db.checksum(row[:-1])
            ]
            for key, topic, payload, qos, elapsed_ms, _, clock, _ in rows:
                shifted = change(payload, ahead - clock / 1000)
                db.execute("DELETE FROM windows WHERE key = ?", (key,))
                outbox_db.insert(db, key, topic, shifted, qos, elapsed_ms, None, None)
        return len(rows)

    def dropped(self) -> int:
        """Count the windows dropped: too many, too old or damaged. Raises OutboxError."""
        return int(self._read("SELECT dropped FROM counters")[0][0])

    def delete(self, keys: list[int]) -> None:
        """Delete acknowledged messages. Raises OutboxError."""
        with self._transaction() as db:
            db.executemany("DELETE FROM windows WHERE key = ?", [(key,) for key in keys])

    def __len__(self) -> int:
        return int(self._read("SELECT count(*) FROM windows")[0][0])

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
        if self._claim is not None:
            self._claim.close()


def _count_ages(db: sqlite3.Connection, ages: tuple[int, ...]) -> tuple[int, ...]:
    """Add people per group of `AGES`; return everybody per group."""
    query = (
        "INSERT INTO ages VALUES (?, ?) ON CONFLICT (age) DO UPDATE SET"
        " people = people + excluded.people RETURNING people"
    )
    rows = (db.execute(query, row).fetchone() for row in zip(AGES, ages, strict=True))
    return tuple(people for (people,) in rows)


def _count_dropped(db: sqlite3.Connection, number: int) -> None:
    """Add to the dropped windows and update the counters' checksum."""
    query = "UPDATE counters SET dropped = dropped + ? RETURNING " + outbox_db.COUNTERS
    counters = db.execute(query, (number,)).fetchone()
    db.execute("UPDATE counters SET sum = ?", (outbox_db.checksum(counters),))
