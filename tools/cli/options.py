"""The source and the configuration of a tool, given as to `python -m edge run`."""

import argparse
from pathlib import Path


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config`."""
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
    """`--source SOURCE` and, in short, `SOURCE` alone; `what` it may be goes into the help."""
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
    """All sources that were named."""
    first = args.sources if isinstance(args.sources, list) else [args.sources]
    return [source for source in (*first, *args.more_sources) if source is not None]


def named_source(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str | None:
    """The one source that was named; None for the configuration's. Ends where there are more."""
    named = named_sources(args)
    if len(named) > 1:
        parser.error(f"name one source, not {len(named)}: {', '.join(named)}")
    return named[0] if named else None
