"""How a tool ends."""

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


def leave(main: Callable[[], int]) -> NoReturn:
    """End with what `main` returns, with 130 on Ctrl-C, and with 0 once nobody reads stdout."""
    code = 0
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).stem}: stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # what is left in the buffer must not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
