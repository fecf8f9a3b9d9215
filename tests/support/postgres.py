"""A real PostgreSQL server on loopback."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.broker import free_port
from tests.support.commands import wait_for, without


def program(name: str) -> str:
    """PostgreSQL's own, which Debian keeps off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, installed)]))
    if found is None:
        without("PostgreSQL is not installed; `make test` installs it")
    return found


@contextlib.contextmanager
def postgres_server(*options: str) -> Iterator[str]:
    """A server of its own, by its URL; it refuses to run as root."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data, log = folder / "data", folder / "log"
        subprocess.run(
            [program("initdb"), "--no-sync", "--auth=trust", "-U", "tally", "-D", data],
            check=True, capture_output=True, cwd=folder, user=user,
        )  # fmt: skip
        settings = ["-c", f"unix_socket_directories={folder}", *options]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [program("postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), *settings],
                stderr=output, cwd=folder, user=user,
            )  # fmt: skip
        address = f"postgresql://tally:secret@127.0.0.1:{port}/postgres"
        try:
            wait_for(lambda: "ready to accept" in log.read_text(), "PostgreSQL does not start")
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for its clients
            server.wait(20)
