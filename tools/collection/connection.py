"""What the store asks of a connection, whichever database it is to."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from edge.errors import EdgeError

Values = Sequence[Any]


class StoreError(EdgeError):
    """The database cannot be used now; what was sent is not acknowledged and comes again."""


class Connection(Protocol):
    """One to SQLite or PostgreSQL; queries have `?` for values."""

    def execute(self, query: str, values: Values = ()) -> Any: ...

    def fill(self, table: str, columns: Iterable[str], rows: Iterable[Values]) -> None:
        """Insert many rows, in the fastest way."""

    def create_temporary(self, table: str, columns: str) -> None:
        """A table of this connection alone, empty when the transaction begins with this."""

    def close(self) -> None: ...
