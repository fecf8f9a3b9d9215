"""Files that a tool writes where the user says, and never over what is there unasked."""

import argparse
import contextlib
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


def need_other(option: str, path: Path, sources: Iterable[str | Path]) -> None:
    """Raises ConfigError if writing `path` would destroy one of `sources`, forced or not."""
    for source in sources:
        # one of the two does not exist, or the source is not a file at all
        with contextlib.suppress(OSError, ValueError):
            if path.samefile(source):
                raise ConfigError(f"{option} {path}: would replace what is read; name another file")
