"""The promise, by what the system sees: no picture is stored or sent."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for
from tests.support.paths import CLIP, ROOT

Configure = Callable[..., Path]
Subscribe = Callable[..., Subscriber]

CALLS = "open,openat,openat2,creat,rename,renameat2,link,linkat,memfd_create,connect,getsockname"
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE")
PORT = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')


def test_no_part_of_the_daemon_writes_or_encodes_pictures() -> None:
    writers = re.compile(r"\b(imwrite\w*|imencode\w*|VideoWriter\(|tofile|tobytes|savez?\(|pickle)")
    assert writers.search("cv2.imwrite(path, image)")
    for file in (ROOT / "edge").glob("*.py"):
        assert not writers.search(file.read_text()), file.name


def test_nothing_but_counts_leaves_the_process(
    configure: Configure, mosquitto: Mosquitto, subscribe: Subscribe, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is not installed; `make test` installs it")
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "#")
    state = tmp_path / "state"
    config = configure(
        mqtt={"host": "127.0.0.1", "port": mosquitto.port, "presence": True},
        privacy={"min_people": 1, "min_present": 1},
    )
    trace = tmp_path / "trace"
    daemon = [sys.executable, "-m", "edge", "run", "--config", str(config), "--source", str(CLIP)]
    run = subprocess.run(
        [strace, "-f", "-qq", "-o", str(trace), "-e", f"trace={CALLS}", *daemon],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
        # Python's own bytecode is no business of the daemon
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = trace.read_text().splitlines()
    assert any(str(CLIP) in line for line in lines), "the trace misses what was opened"

    # it opens files for writing in its state folder alone, and moves or links none
    written = {line for line in lines if WRITES.search(line) and "ENOENT" not in line}
    assert any("outbox.db" in line for line in written)
    outside = [line for line in written if f'"{state}/outbox.db' not in line]
    assert [line for line in outside if '"/dev/null"' not in line] == []
    assert not any(re.search(r" (creat|rename\w*|link\w*|memfd_create)\(", line) for line in lines)

    # it connects to the broker, and to itself to wake its own thread
    own = {PORT.search(line) for line in lines if " getsockname(" in line}
    places = {match.groups() for match in own if match} | {(str(mosquitto.port), "127.0.0.1")}
    connections = [line for line in lines if " connect(" in line]
    assert connections
    for line in connections:
        match = PORT.search(line)
        assert match is not None, line
        assert match.groups() in places, line

    # what the broker got keeps to the contract, which has no room for a picture; so does the disk
    wait_for(lambda: "stopped" in dashboard.payloads("availability"), "no clean end")
    assert len(dashboard.payloads("window")) == 1
    assert set(dashboard.payloads("presence")) > {"", "0"}
    assert set(dashboard.payloads("presence")) <= {"", *"0123456789"}
    sent = b"".join(message.payload for message in dashboard.messages)
    stored = b"".join(file.read_bytes() for file in state.iterdir())
    for start in (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF"):
        assert start not in sent
        assert start not in stored
    with sqlite3.connect(state / "outbox.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
        assert {name for name in tables if not name.startswith("sqlite_")} == {
            "ages", "counters", "days", "windows",
        }  # fmt: skip
    database.close()

    # nor are the pixels there as they were
    image = cv2.VideoCapture(str(CLIP)).read()[1]
    for row in np.asarray(image, np.uint8)[::20]:
        assert row[:64].tobytes() not in sent
        assert row[:64].tobytes() not in stored
