"""Run other programs for as long as this one needs them."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edge.errors import EdgeError

START_S = 15.0
"""How long a server may take to listen, seconds."""
STOP_S = 10.0
"""How long a program may take to stop before it is killed, seconds."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; at the end, send it SIGTERM and wait for it."""
    with log.open("wb") as output:
        # a session of its own: only this program gets Ctrl-C, and stops the others in order
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"{name} did not stop in time and was killed", file=sys.stderr)


def wait_until_it_listens(
    port: int, process: subprocess.Popen[bytes], name: str, log: Path
) -> None:
    """Raises EdgeError, with what it printed, if the program ends or takes too long."""
    deadline = time.monotonic() + START_S
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise EdgeError(f"{name} did not start:\n{log.read_text()}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False
