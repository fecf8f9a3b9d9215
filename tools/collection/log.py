"""Lines of the dashboard's output."""

import sys
from typing import TextIO


def log(line: str) -> None:
    write_line(f"dashboard: {line}", sys.stderr)


def write_line(line: str, file: TextIO) -> None:
    """Write a line in one piece: print(), unbuffered, lets other threads write into it."""
    file.write(f"{line}\n")
    file.flush()
