"""SQLite, or PostgreSQL by its URL, behind the few calls that the store needs."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from edge.errors import ConfigError, EdgeError

LOCK = 0x7A11
"""Of PostgreSQL, so that two writers wait for each other."""
BUSY_S = 30
"""How long SQLite waits for another writer."""

SQLITE_AGES = """
CREATE VIEW IF NOT EXISTS ages AS
SELECT device, epoch, seq, key AS age, value AS people
FROM windows, json_each(windows.message, '$.ages')
"""
POSTGRES_AGES = """
CREATE OR REPLACE VIEW ages AS
SELECT device, epoch, seq, each.key AS age, CAST(each.value AS BIGINT) AS people
FROM windows, json_each_text(CAST(message AS json) -> 'ages') AS each
"""


class StoreError(EdgeError):
    """The database cannot be used now; what was sent is not acknowledged and comes again."""


class Connection(Protocol):
    """What both libraries' connections can do."""

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any: ...


class Database:
    """Opens connections; each serves one thread."""

    def __init__(self, name: str) -> None:
        """`name` is a file, or a URL such as postgresql://host/name.

        Raises ConfigError if psycopg is needed and missing.
        """
        self.is_postgres = name.startswith(("postgresql://", "postgres://"))
        self._name = name
        if self.is_postgres:
            try:
                import psycopg  # noqa: F401
            except ImportError as error:
                raise ConfigError(
                    f"--store: PostgreSQL needs psycopg ({error}); "
                    "install it: .venv/bin/pip install 'psycopg[binary]'"
                ) from None

    def __str__(self) -> str:
        """Without a password."""
        if not self.is_postgres:
            return self._name
        return f"postgresql://{self._name.partition('://')[2].rpartition('@')[2]}"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in a transaction that sees one state. Raises StoreError."""
        with self._connected() as connection:
            connection.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.is_postgres else "BEGIN"
            )
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end, and then on disk.

        Raises StoreError.
        """
        with self._connected() as connection:
            connection.execute("BEGIN" if self.is_postgres else "BEGIN IMMEDIATE")
            try:
                if self.is_postgres:
                    connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        if not self.is_postgres:
            try:
                with contextlib.closing(self._sqlite()) as connection:
                    connection.execute("PRAGMA synchronous = FULL")
                    yield connection
            except sqlite3.Error as error:
                raise StoreError(f"{self}: {error}") from error
            return
        import psycopg

        try:
            with psycopg.connect(self._name, autocommit=True, connect_timeout=10) as connection:
                yield _Percent(connection)
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise StoreError(f"{self}: {reason}") from error

    def _sqlite(self) -> sqlite3.Connection:
        return sqlite3.connect(Path(self._name), timeout=BUSY_S, isolation_level=None)

    def create(self, tables: Iterable[str]) -> None:
        """Make what is missing. Raises StoreError."""
        if not self.is_postgres:
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for writers
        with self.writing() as connection:
            for statement in tables:
                connection.execute(statement)
            connection.execute(POSTGRES_AGES if self.is_postgres else SQLITE_AGES)


class _Percent:
    """Queries with `?`, as SQLite has them, for psycopg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[Any] = ()) -> Any:
        if not values:
            return self._connection.execute(query)
        return self._connection.execute(query.replace("?", "%s"), values)
