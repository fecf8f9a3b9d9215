"""Run a command to its exit code; the option that shows the libraries' log lines."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Add `--verbose`, which `edge.native_log` looks for."""
    parser.add_argument(
        "--verbose", action="store_true", help="also show the log lines of TensorFlow and TFLite"
    )


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run `main` and exit with the code that it returns.

    The exit code is 130 after Ctrl-C, and 0 if the reader of stdout has gone.
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
