"""PostgreSQL: connections, locks of devices, and a lock that ends with its program."""

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from edge.errors import ConfigError
from tools.collection.connection import Connection, StoreError, Values

LOCK = 0x7A11
"""Of all programs that write; devices and holders have locks below and beside it."""
HOLDER_LOCK = 0x7A12
BUCKETS = 256
"""Locks of devices: PostgreSQL keeps few thousand locks of all connections together."""
CONNECT_S = 10
SILENCE = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3,
           "tcp_user_timeout": 15000}  # fmt: skip
"""A machine that vanishes is noticed after 20 s, by both sides; seconds and milliseconds."""
SERVER_SILENCE = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; " + (
    "SET tcp_keepalives_count = 3"
)
BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
EXTRAS = (
    """CREATE OR REPLACE VIEW ages AS
    SELECT device, epoch, seq, each.key AS age, CAST(each.value AS BIGINT) AS people
    FROM windows, json_each_text(CAST(message AS json) -> 'ages') AS each""",
    # an hour is written again with each of its windows, beside its old row
    "ALTER TABLE hours SET (fillfactor = 70)",
)
# temporary tables have no statistics, and batches are small: always by index
PLAN = "SET enable_hashjoin = off; SET enable_mergejoin = off"


def check_library() -> None:
    """Raises ConfigError if psycopg is missing."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--store: PostgreSQL needs psycopg ({error}); "
            "install it: .venv/bin/pip install 'psycopg[binary]'"
        ) from None


def without_password(url: str) -> str:
    return f"postgresql://{url.partition('://')[2].rpartition('@')[2]}"


@contextlib.contextmanager
def reported(name: str) -> Iterator[None]:
    """What goes wrong, as StoreError."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{name}: {reason}") from error


def connect(url: str) -> Connection:
    """Raises psycopg.Error."""
    import psycopg

    values: dict[str, Any] = {"connect_timeout": CONNECT_S} | SILENCE
    return _Postgres(psycopg.connect(url, autocommit=True, **values))


def lock(connection: Connection, devices: Iterable[str] | None) -> None:
    """Until the end of the transaction: these devices, or everything."""
    if devices is None:
        connection.execute("SELECT pg_advisory_xact_lock(?, -1)", (LOCK,))
        return
    connection.execute("SELECT pg_advisory_xact_lock_shared(?, -1)", (LOCK,))
    buckets = sorted({zlib.crc32(device.encode()) % BUCKETS for device in devices})
    # in order, or two writers could wait for each other
    connection.execute("SELECT pg_advisory_xact_lock(?, each) FROM unnest(?) AS each",
                       (LOCK, buckets))  # fmt: skip


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._tables: set[str] = set()

    def execute(self, query: str, values: Values = ()) -> Any:
        if not values:
            return self._connection.execute(query)
        return self._connection.execute(query.replace("?", "%s"), values)

    def fill(self, table: str, columns: Iterable[str], rows: Iterable[Values]) -> None:
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def create_temporary(self, table: str, columns: str) -> None:
        if not self._tables:
            self._connection.execute(PLAN)
        if table not in self._tables:
            self._connection.execute(
                f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DELETE ROWS"
            )
            self._tables.add(table)

    def close(self) -> None:
        self._connection.close()


class PostgresHolder:
    """A lock of the server that ends with its connection, and so with the program."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._key = url, zlib.crc32(name.encode()) - 2**31
        self._connection: Any = None

    def acquire(self) -> bool:
        """Whether it is held now. Raises StoreError."""
        if self.is_held():
            return True
        with reported(without_password(self._url)):
            connection = connect(self._url)
            try:
                connection.execute(SERVER_SILENCE)
                (is_free,) = connection.execute(
                    "SELECT pg_try_advisory_lock(?, ?)", (HOLDER_LOCK, self._key)
                ).fetchone()
                if is_free:
                    self._connection = connection
            finally:
                if self._connection is not connection:
                    connection.close()
        return bool(is_free)

    def is_held(self) -> bool:
        """False as well if the server was away."""
        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except Exception:  # whatever it is, the lock may be another's
            self.release()
            return False
        return True

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()
