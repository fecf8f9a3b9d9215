"""Options shared by the tools: source, configuration, and types of values for argparse."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

MIN_SIDE_PX, MAX_SIDE_PX = 160, 4096
"""Smallest and largest width or height of a video to make, both even."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("config.yaml"),
        metavar="FILE",
        help="default: config.yaml in this folder",
    )


def add_sources(
    parser: argparse.ArgumentParser, what: str, *, metavar: str = "SOURCE", several: bool = False
) -> None:
    """Add `--source SOURCE` and its short form, `SOURCE` alone; `what` is the help text."""
    parser.add_argument("sources", nargs="*" if several else "?", metavar=metavar, help=what)
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        dest="more_sources",
        metavar=metavar,
        help="the same" + ("; may be repeated" if several else ""),
    )


def named_sources(args: argparse.Namespace) -> list[str]:
    """All sources on the command line."""
    first = args.sources if isinstance(args.sources, list) else [args.sources]
    return [source for source in (*first, *args.more_sources) if source is not None]


def named_source(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str | None:
    """The source on the command line, or None. Exits with a message if there are several."""
    sources = named_sources(args)
    if len(sources) > 1:
        parser.error(f"name one source, not {len(sources)}: {', '.join(sources)}")
    return sources[0] if sources else None


def at_least(minimum: int) -> Callable[[str], int]:
    """An argparse type: an integer, `minimum` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(
                f"{text}: must be a whole number, {minimum} or more"
            ) from None
        return value

    return number


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    return _number(text, lambda value: value > 0, "must be a number above 0")


def not_negative(text: str) -> float:
    """An argparse type: a finite number, 0 or more."""
    return _number(text, lambda value: value >= 0, "must be a number, 0 or more")


def not_zero(text: str) -> float:
    """An argparse type: a finite number other than 0."""
    return _number(text, lambda value: value != 0, "must be a number other than 0")


def fraction(text: str) -> float:
    """An argparse type: a number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "must be a number from 0 to 1")


def _number(text: str, is_valid: Callable[[float], bool], rule: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and is_valid(value)):
        raise argparse.ArgumentTypeError(f"{text}: {rule}")
    return value


def numbers(text: str) -> list[float]:
    """An argparse type: finite numbers, separated by commas."""
    return separated(lambda part: _number(part, lambda _: True, "must be a number"))(text)


def separated(read: Callable[[str], T]) -> Callable[[str], list[T]]:
    """An argparse type: values of another type, separated by commas."""

    def values(text: str) -> list[T]:
        return [read(part) for part in text.split(",")]

    return values


def picture_size(text: str) -> tuple[int, int]:
    """An argparse type: width and height of a video in pixels, such as 640x360."""
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        width = height = 0
    sides = range(MIN_SIDE_PX, MAX_SIDE_PX + 1, 2)  # MPEG-4 has no odd ones
    if width not in sides or height not in sides:
        raise argparse.ArgumentTypeError(
            f"{text}: must be WIDTHxHEIGHT, such as 640x360, both even, {sides[0]} to {sides[-1]}"
        )
    return width, height


def output_file(*suffixes: str) -> Callable[[str], Path]:
    """An argparse type: a file to write, with one of these suffixes, such as `.keras`."""

    def path(text: str) -> Path:
        file = Path(text)
        if file.suffix.lower() not in suffixes or file.is_dir():
            raise argparse.ArgumentTypeError(
                f"{text}: must be a file that ends in {' or '.join(suffixes)}"
            )
        return file

    return path
