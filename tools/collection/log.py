"""One line of the dashboard's log."""

import sys


def log(line: str) -> None:
    print(f"dashboard: {line}", file=sys.stderr, flush=True)
