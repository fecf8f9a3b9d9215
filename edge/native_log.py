"""Captures and filters what C++ libraries write to standard error.

TensorFlow, TFLite and XNNPACK write to the file descriptor, past Python's `logging` and
`sys.stderr`.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

VERBOSE = "--verbose" in sys.argv
"""Read from `sys.argv`: the libraries write on import, before the command line is parsed."""

CHATTER = re.compile(
    rb"INFO: |fully_quantize: |To enable the following instructions"
    rb"|WARNING: All log messages before absl::InitializeLog"
    # absl's format and that of older TensorFlow: I is information, W a warning
    rb"|[IW]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
)
"""Beginnings of lines that do not report a failure."""

STDERR = 2
"""The file descriptor."""
CHILD_WAIT_S = 1.0
"""How long the lines of child processes that still write are waited for."""
_capturing = threading.Lock()


@contextlib.contextmanager
def captured() -> Iterator[list[bytes]]:
    """Collect what is written to the descriptor; afterwards the list holds its lines.

    Nothing is collected with `--verbose`, without a standard error, or inside another `captured`.
    """
    lines: list[bytes] = []
    if VERBOSE or not _capturing.acquire(blocking=False):
        yield lines
        return
    with contextlib.ExitStack() as stack:
        stack.callback(_capturing.release)
        try:
            original = os.dup(STDERR)
        except OSError:  # a daemon may have no standard error
            yield lines
            return
        stack.callback(os.close, original)
        # a pipe, for the daemon writes no file outside its state folder; read on a thread, for a
        # full pipe would block the writer
        read_end, write_end = os.pipe()
        chunks: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(read_end, chunks), daemon=True)
        reader.start()
        os.dup2(write_end, STDERR)
        os.close(write_end)
        try:
            yield lines
        finally:
            os.dup2(original, STDERR)
            # it ends with the last writer; a child process may live longer
            reader.join(CHILD_WAIT_S)
            lines += b"".join(chunks).splitlines(keepends=True)


def _read_all(read_end: int, chunks: list[bytes]) -> None:
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while chunk := pipe.read(65_536):
            chunks.append(chunk)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop `CHATTER` from what is written to the descriptor; the rest appears afterwards."""
    lines: list[bytes] = []
    try:
        with captured() as lines:
            yield
    finally:
        rest = b"".join(line for line in lines if not CHATTER.match(line))
        if rest:
            os.write(STDERR, rest)


def silence_opencv() -> None:
    """Keep OpenCV's own lines about a source it cannot open from preceding the clear error."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    # OpenCV moved the function between 4.11 and 4.14; level 0 is silence
    module: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    module.setLogLevel(0)
