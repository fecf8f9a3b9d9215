"""Output files that the user names: existing ones are replaced only with `--force`."""

import argparse
import contextlib
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


def need_other(option: str, path: Path, sources: Iterable[str | Path]) -> None:
    """Raises ConfigError if writing `path` would destroy one of `sources`, forced or not."""
    for source in sources:
        # one of the two does not exist, or the source is not a file at all
        with contextlib.suppress(OSError, ValueError):
            if path.samefile(source):
                raise ConfigError(f"{option} {path}: would replace what is read; name another file")
