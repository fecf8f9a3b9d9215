"""Files that a tool writes where the user says, and never over what is there unasked."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from edge.errors import ConfigError

DEVICES = Path("/dev")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The option that lets a file be replaced."""
    parser.add_argument(
        "--force", action="store_true", help="replace what the named files hold already"
    )


def need_free(option: str, path: Path, *, force: bool) -> None:
    """Raises ConfigError where a file is there already that may not be replaced."""
    if not force and path.is_file() and DEVICES not in path.parents:
        raise ConfigError(f"{option} {path}: is there already; --force replaces it")


def need_other(option: str, path: Path, sources: Iterable[Path]) -> None:
    """Raises ConfigError where writing `path` would destroy one of `sources`, forced or not."""
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise ConfigError(f"{option} {path}: would replace what is read; name another file")
