"""SQLite, or PostgreSQL by its URL, behind the few calls that the store needs."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from tools.collection import postgres
from tools.collection.connection import Connection, StoreError, Values
from tools.collection.holder import FileHolder, Holder

BUSY_S = 30
"""How long SQLite waits for another writer."""
UNFIT = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What SQLite says of a file that cannot serve as a database."""

SQLITE_AGES = """
CREATE VIEW IF NOT EXISTS ages AS
SELECT device, epoch, seq, key AS age, value AS people
FROM windows, json_each(windows.message, '$.ages')
"""


class Database:
    """Opens connections; each serves one thread."""

    def __init__(self, name: str) -> None:
        """`name` is a file, or a URL such as postgresql://host/name.

        Raises ConfigError if psycopg is needed and missing.
        """
        self.is_postgres = name.startswith(("postgresql://", "postgres://"))
        if "://" in name and not self.is_postgres:
            raise ConfigError(f"--store {name}: name a file, or a database by postgresql://")
        self._name = name
        self._kept = threading.local()
        if self.is_postgres:
            postgres.check_library()

    def __str__(self) -> str:
        """Without a password."""
        return postgres.without_password(self._name) if self.is_postgres else self._name

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in a transaction that sees one state. Raises StoreError."""
        with self._reported(), contextlib.closing(self._connect()) as connection:
            connection.execute(postgres.BEGIN_READING if self.is_postgres else "BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self, devices: Iterable[str] | None = None) -> Iterator[Connection]:
        """A connection in a transaction that is committed at the end, and then on disk.

        Other writers wait, with `devices` only those of the same devices. Raises StoreError.
        """
        with self._reported(), self._writer() as connection:
            connection.execute("BEGIN" if self.is_postgres else "BEGIN IMMEDIATE")
            try:
                if self.is_postgres:
                    postgres.lock(connection, devices)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """Within it, this thread writes by one connection, opened again after a failure."""
        self._kept.is_wanted, self._kept.connection = True, None
        try:
            yield
        finally:
            self._kept.is_wanted = False
            self._close_kept()

    @contextlib.contextmanager
    def _writer(self) -> Iterator[Connection]:
        if not getattr(self._kept, "is_wanted", False):
            with contextlib.closing(self._connect()) as connection:
                yield connection
            return
        if self._kept.connection is None:
            self._kept.connection = self._connect()
        try:
            yield self._kept.connection
        except BaseException:
            self._close_kept()
            raise

    def _close_kept(self) -> None:
        connection, self._kept.connection = self._kept.connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _connect(self) -> Connection:
        return postgres.connect(self._name) if self.is_postgres else _Sqlite(Path(self._name))

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """What goes wrong, as StoreError."""
        if self.is_postgres:
            with postgres.reported(str(self)):
                yield
            return
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self}: {error}") from error

    def create(self, tables: Iterable[str]) -> None:
        """Make what is missing. Raises StoreError, ConfigError if the file is no database."""
        if not self.is_postgres:
            self._open_file()
        with self.writing() as connection:
            for statement in tables:
                connection.execute(statement)
            for statement in postgres.EXTRAS if self.is_postgres else (SQLITE_AGES,):
                connection.execute(statement)

    def _open_file(self) -> None:
        try:
            with self._reported(), contextlib.closing(self._connect()) as connection:
                # readers do not wait for writers
                connection.execute("PRAGMA journal_mode = WAL")
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & 0xFF in UNFIT:
                raise ConfigError(f"--store {error}; name another file, or a new one") from None
            raise

    def holder(self, name: str) -> Holder:
        """What one program at a time can hold, until it ends."""
        if self.is_postgres:
            return postgres.PostgresHolder(self._name, name)
        return FileHolder(Path(f"{self._name}-{name}.lock"))


class _Sqlite:
    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)
        try:
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA temp_store = MEMORY")
        except sqlite3.Error:  # it is no database
            self._connection.close()
            raise

    def execute(self, query: str, values: Values = ()) -> Any:
        return self._connection.execute(query, values)

    def fill(self, table: str, columns: Iterable[str], rows: Iterable[Values]) -> None:
        names = list(columns)
        self._connection.executemany(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            rows,
        )

    def create_temporary(self, table: str, columns: str) -> None:
        self._connection.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({columns})")
        self._connection.execute(f"DELETE FROM temp.{table}")

    def close(self) -> None:
        self._connection.close()
