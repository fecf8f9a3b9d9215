"""Run other tools as the stages of one work, and only those that are not complete."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge.atomic_file import write_atomically
from edge.errors import ConfigError

TOOLS = Path(__file__).parents[1]
INTERRUPTED = 130
"""Exit code of a tool after Ctrl-C."""
SECONDS_PER_HOUR = 3600


class StageError(Exception):
    """A stage failed; its program has printed why."""

    def __init__(self, tool: str, code: int) -> None:
        why = "failed" if code > 0 else f"was ended by {signal.Signals(-code).name}"
        super().__init__(f"{tool} {why}; the same command continues here")
        self.exit_code = code if code > 0 else 1


def is_done(outputs: Sequence[Path], inputs: Sequence[Path] = ()) -> bool:
    """Whether all files exist and no output is older than an input, as make decides it."""
    if not all(file.exists() for file in (*outputs, *inputs)):
        return False
    oldest = min(file.stat().st_mtime_ns for file in outputs)
    return all(file.stat().st_mtime_ns <= oldest for file in inputs)


def run(command: Sequence[str], output: Path | None = None) -> None:
    """Print and run a tool with its options; its stdout goes to `output`.

    Raises StageError, OSError, or KeyboardInterrupt if the tool was stopped by Ctrl-C.
    """
    tool, *options = command
    target = f" > {shlex.quote(str(output))}" if output else ""
    print(f"$ python tools/{tool} {shlex.join(options)}{target}", flush=True)
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(TOOLS / tool), *options],
        stdout=subprocess.PIPE if output else None,
        close_fds=False,  # it holds the folder's lock, too
    ) as process:
        try:
            content, _ = process.communicate()
        except KeyboardInterrupt:  # the tool got it too, and saves what it has
            process.wait()
            raise
        except SystemExit:
            process.terminate()
            raise
    if process.returncode == INTERRUPTED:
        raise KeyboardInterrupt
    if process.returncode:
        raise StageError(tool, process.returncode)
    if output:
        write_atomically(output, content)
    print(f"took {_duration(time.monotonic() - begin)}\n", flush=True)


def _duration(seconds: float) -> str:
    if seconds < SECONDS_PER_HOUR:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / SECONDS_PER_HOUR:.1f} hours"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; tools that are run meanwhile hold it too, even if this program is killed.

    Raises ConfigError if another program holds it, or it cannot be written.
    """
    try:
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror})") from error
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{folder}: another program is at work there") from error
        os.set_inheritable(lock.fileno(), True)
        yield
