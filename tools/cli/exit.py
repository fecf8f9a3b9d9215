"""How a tool ends, and whether the libraries' own log lines are shown."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """The option that `edge.native_log` looks for."""
    parser.add_argument(
        "--verbose", action="store_true", help="also show what TensorFlow and TFLite log themselves"
    )


def run_command(main: Callable[[], int]) -> NoReturn:
    """End the program with what `main` returns.

    The exit code is 130 after Ctrl-C, and 0 if whatever read stdout has gone.
    """
    code = 0
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).stem}: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # the interpreter flushes stdout once more at exit, which must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
