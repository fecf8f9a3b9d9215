"""Replaces a damaged outbox with what can still be read in it."""

import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.delivery.outbox_db import (
    APPLICATION_ID,
    COUNTERS,
    Row,
    begin_epoch,
    checksum,
    connect,
    decode,
    has_legacy_ids,
    insert,
    is_damage,
)
from edge.types import AGES

log = logging.getLogger(__name__)

TEMPORARY = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
)
"""SQLite error codes that may pass; a bad sector is damage."""


@dataclass(slots=True)
class Salvage:
    """The undamaged content of a damaged file."""

    ever: tuple[int, int, int] = (0, 0, 0)
    """Female, male, unknown; zeros if the counters are damaged."""
    elapsed_ms: int = 0
    dropped: int = 0
    days: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    ages: dict[str, int] = field(default_factory=dict)
    """People by age group."""
    windows: dict[int, Row] = field(default_factory=dict)
    """By key."""


def replace_damaged(path: Path, reason: object, key_offset: int) -> sqlite3.Connection:
    """Move a damaged file aside and begin a new epoch with what can still be read in it.

    The new keys start after `key_offset` and after the salvaged windows. The replacement is
    complete before the file is touched: a full disk or a power cut loses nothing, and the next
    opening starts over or, by `finish_replacing`, completes it. Raises sqlite3.Error, OSError.
    """
    salvage = _salvage(path)
    application_id = 0 if has_legacy_ids(path) else APPLICATION_ID
    replacement = _beside(path, ".new")
    try:
        _build(replacement, salvage, max([key_offset, *salvage.windows]), application_id)
    except sqlite3.Error:
        _discard(replacement)  # the disk may be full because of it
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
        len(salvage.windows),
    )
    return connect(path)


def finish_replacing(path: Path) -> None:
    """Put a replacement in place if the damaged file is moved already. Raises OSError."""
    replacement = _beside(path, ".new")
    if replacement.exists() and not path.exists():
        _discard(path)  # the rest of the damaged file: SQLite would take its log for the new one's
        replacement.rename(path)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _discard(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        _beside(path, suffix).unlink(missing_ok=True)


def _build(path: Path, salvage: Salvage, key_offset: int, application_id: int) -> None:
    """Create a single-file database of the salvage. Raises sqlite3.Error, OSError."""
    _discard(path)  # an unfinished one
    with closing(connect(path, application_id=application_id)) as db:
        db.execute("PRAGMA journal_mode=DELETE")  # no second copy in a log
        db.execute("BEGIN IMMEDIATE")
        begin_epoch(
            db,
            key_offset,
            ever=salvage.ever,
            elapsed_ms=salvage.elapsed_ms,
            dropped=salvage.dropped,
        )
        for day, counted in salvage.days.items():
            db.execute("INSERT INTO days VALUES (?, ?, ?, ?)", (day, *counted))
        for group in salvage.ages.items():
            db.execute("INSERT INTO ages VALUES (?, ?)", group)
        for _, row in sorted(salvage.windows.items()):
            insert(db, *row[:4], min(row[4], salvage.elapsed_ms), *row[5:7])
        db.execute("COMMIT")


def _salvage(path: Path) -> Salvage:
    """Read what a damaged file still has. Raises sqlite3.Error if that may work later."""
    salvage = Salvage()
    with _as_far_as_possible(), closing(sqlite3.connect(path)) as db:
        db.text_factory = decode
        for order in ("ASC", "DESC"):  # from both ends up to the damage
            with _as_far_as_possible():
                for row in db.execute(f"SELECT * FROM windows ORDER BY key {order}"):
                    if row[-1] == checksum(row[:-1]):
                        salvage.windows[row[0]] = row
        with _as_far_as_possible():
            stored_sum, *counters = db.execute(f"SELECT sum, {COUNTERS} FROM counters").fetchone()
            if stored_sum == checksum(counters):
                salvage.ever = (counters[2], counters[3], counters[4])
                salvage.elapsed_ms, salvage.dropped = counters[6], counters[7]
        with _as_far_as_possible():
            for day, *counted in db.execute("SELECT day, female, male, unknown FROM days"):
                # days have no checksum, but none can exceed the totals
                fits = (0 <= n <= total for n, total in zip(counted, salvage.ever, strict=True))
                if [type(value) for value in (day, *counted)] == [str, int, int, int] and all(fits):
                    salvage.days[day] = (counted[0], counted[1], counted[2])
        with _as_far_as_possible():
            for age, people in db.execute("SELECT age, people FROM ages"):
                # likewise
                if age in AGES and type(people) is int and 0 <= people <= sum(salvage.ever):
                    salvage.ages[age] = people
    return salvage


@contextmanager
def _as_far_as_possible() -> Iterator[None]:
    """Suppress errors that damage may cause, but not those of a full or busy disk."""
    try:
        yield
    except (sqlite3.Error, TypeError, ValueError) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        unreadable = is_damage(error) or code == sqlite3.SQLITE_IOERR_READ
        if not unreadable and code & 0xFF in TEMPORARY:
            raise
