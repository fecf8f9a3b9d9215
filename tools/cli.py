"""What the command lines of the tools share: types of their options, and how a tool ends."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def at_least(minimum: int) -> Callable[[str], int]:
    """An argparse type: a whole number, `minimum` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(
                f"{text}: must be a whole number, {minimum} or more"
            ) from None
        return value

    return number


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    return _number(text, lambda value: value > 0, "must be a number above 0")


def not_negative(text: str) -> float:
    """An argparse type: a finite number, 0 or more."""
    return _number(text, lambda value: value >= 0, "must be a number, 0 or more")


def not_zero(text: str) -> float:
    """An argparse type: a finite number that something can be divided by."""
    return _number(text, lambda value: value != 0, "must be a number other than 0")


def fraction(text: str) -> float:
    """An argparse type: a number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "must be a number from 0 to 1")


def _number(text: str, is_valid: Callable[[float], bool], rule: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and is_valid(value)):
        raise argparse.ArgumentTypeError(f"{text}: {rule}")
    return value


def output_file(*suffixes: str) -> Callable[[str], Path]:
    """An argparse type: a path to write to, with one of these suffixes, such as `.keras`."""

    def path(text: str) -> Path:
        file = Path(text)
        if file.suffix.lower() not in suffixes or file.is_dir():
            raise argparse.ArgumentTypeError(
                f"{text}: must be a file that ends in {' or '.join(suffixes)}"
            )
        return file

    return path


def leave(main: Callable[[], int]) -> NoReturn:
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
