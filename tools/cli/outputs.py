"""Output files that the user names: existing ones are replaced only with `--force`."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from edge.errors import ConfigError

DEVICES = Path("/dev")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--force`."""
    parser.add_argument(
        "--force", action="store_true", help="replace output files that exist already"
    )


def need_free(option: str, path: Path, *, force: bool) -> None:
    """Raises ConfigError if `path` is a file already and `force` is not set."""
    if not force and path.is_file() and DEVICES not in path.parents:
        raise ConfigError(f"{option} {path}: is there already; --force replaces it")


def need_other(option: str, path: Path, sources: Iterable[Path]) -> None:
    """Raises ConfigError if `path` is one of `sources`, which writing it would destroy."""
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise ConfigError(f"{option} {path}: would replace what is read; name another file")
