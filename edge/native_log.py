"""What the C++ libraries write on standard error by themselves.

TensorFlow, TFLite and XNNPACK write to the file descriptor, past Python's `logging` and
`sys.stderr`.
"""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

VERBOSE = "--verbose" in sys.argv
"""The libraries write while they are imported, before any command line is parsed."""

CHATTER = re.compile(
    rb"INFO: |fully_quantize: |To enable the following instructions"
    rb"|WARNING: All log messages before absl::InitializeLog"
    # the logs of absl and of older TensorFlow: I for information, W for a warning
    rb"|[IW]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
)
"""How lines begin that report no failure."""

STDERR = 2
_taken = threading.Lock()


@contextlib.contextmanager
def captured() -> Iterator[list[bytes]]:
    """Keep what is written to the descriptor off it; its lines are in the list afterwards.

    With `--verbose`, without a standard error, and inside another `captured` nothing is kept.
    """
    lines: list[bytes] = []
    if VERBOSE or not _taken.acquire(blocking=False):
        yield lines
        return
    with contextlib.ExitStack() as stack:
        stack.callback(_taken.release)
        try:
            before = os.dup(STDERR)
        except OSError:  # a daemon may run without it
            yield lines
            return
        stack.callback(os.close, before)
        kept = stack.enter_context(tempfile.TemporaryFile())
        os.dup2(kept.fileno(), STDERR)
        try:
            yield lines
        finally:
            os.dup2(before, STDERR)
            kept.seek(0)
            lines += kept.read().splitlines(keepends=True)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Like `captured`, but all that is not `CHATTER` is written to the descriptor afterwards."""
    lines: list[bytes] = []
    try:
        with captured() as lines:
            yield
    finally:
        rest = b"".join(line for line in lines if not CHATTER.match(line))
        if rest:
            os.write(STDERR, rest)


def silence_opencv() -> None:
    """Keep OpenCV's own lines about what it cannot open from standing before our clear one."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    # OpenCV moved the function between 4.11 and 4.14; level 0 is silence
    module: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    module.setLogLevel(0)
