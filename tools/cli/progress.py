"""A bar on the terminal while a tool works."""

from collections.abc import Generator, Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")

UPDATES = 4
"""Per second: few, so that what is measured meanwhile is not slowed down."""


def bar(items: Iterable[T], number: int | None, what: str) -> Generator[T, None, None]:
    """The items, while a bar named `what` on stderr shows how many of `number` have gone by.

    Without a `number` it shows that work goes on. Nothing is written to a log file.
    """
    console = Console(stderr=True)
    yield from track(
        items,
        what,
        number,
        console=console,
        refresh_per_second=UPDATES,
        disable=not console.is_terminal,
    )
