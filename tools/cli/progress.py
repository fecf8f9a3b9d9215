"""A progress bar on the terminal."""

from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

UPDATES_HZ = 4
"""Redraws per second: few, so that drawing does not slow the work that is being timed."""


def bar(items: Iterable[T], number: int | None, what: str) -> Generator[T, None, None]:
    """Yield the items while a bar named `what` on stderr shows how many of `number` are done.

    If `number` is None, the bar only shows activity. It appears only if stderr is a terminal and
    rich is installed: a Raspberry Pi has only what the daemon needs.
    """
    try:
        from rich.console import Console
        from rich.progress import track
    except ImportError:
        yield from items
        return
    console = Console(stderr=True)
    yield from track(
        items,
        what,
        number,
        console=console,
        refresh_per_second=UPDATES_HZ,
        disable=not console.is_terminal,
    )
