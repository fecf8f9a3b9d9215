"""The promise, by what the system sees: no picture is stored or sent."""

import base64
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import wiring
from edge.config import Config
from edge.sources.frame import frame_of
from edge.sources.open import open_frames
from edge.types import Box, CaptureSettings, Frame
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import NO_ESTIMATES, wait_for
from tests.support.pages import serving
from tests.support.paths import CLIP, ROOT

Configure = Callable[..., Path]
Subscribe = Callable[..., Subscriber]

CALLS = "open,openat,openat2,creat,rename,renameat2,link,linkat,memfd_create,connect,getsockname"
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE")
VIEW = {
    "seq", "size", "smallest_px", "picture", "lines", "faces", "light", "overexposed", "sharpness",
    "counted",
}  # fmt: skip
"""All that the page to aim the camera learns of a frame."""
PORT = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')


def test_no_part_of_the_daemon_writes_or_encodes_pictures() -> None:
    writers = re.compile(r"\b(imwrite\w*|imencode\w*|VideoWriter\(|tofile|tobytes|savez?\(|pickle)")
    assert writers.search("cv2.imwrite(path, image)")
    parts = {file for file in (ROOT / "edge").rglob("*.py") if writers.search(file.read_text())}
    # the page of `edge aim`, which is not a part of the daemon
    assert {file.relative_to(ROOT / "edge").as_posix() for file in parts} == {"aim/picture.py"}


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
    with closing(sqlite3.connect(state / "outbox.db")) as database:
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


def test_the_page_to_aim_the_camera_shows_and_stores_nobody(
    configure: Configure, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is not installed; `make test` installs it")
    trace, state = tmp_path / "trace", tmp_path / "state"
    watch = [strace, "-D", "-f", "--seccomp-bpf", "-qq", "-o", str(trace)]
    watch += ["-e", f"trace={CALLS},bind"]
    options = ("--config", configure(classifier=NO_ESTIMATES), "--source", CLIP)
    with serving("aim", tmp_path, *options, before=watch) as viewer:
        for path in ("/", "/page.css", "/viewer.js", "/aim.css", "/aim.js", "/zones.js"):
            viewer.request("GET", path)
        viewer.enter()
        wait_for(lambda: viewer.views(1)[0]["counted"] == 2, "nobody is counted")
        viewer.ask("/end", {})
        assert viewer.process.wait(20) == 0

    # no file is written, and there is no state
    lines = trace.read_text().splitlines()
    assert any(str(CLIP) in line for line in lines), "the trace misses what was opened"
    written = [line for line in lines if WRITES.search(line) and "ENOENT" not in line]
    assert [line for line in written if '"/dev/null"' not in line] == []
    assert not any(re.search(r" (creat|rename\w*|link\w*|memfd_create)\(", line) for line in lines)
    assert not state.exists()
    # it listens to this machine alone and calls nobody
    bound = [PORT.search(line) for line in lines if " bind(" in line]
    assert [match.group(2) for match in bound if match] == ["127.0.0.1"]
    assert len(bound) == 1
    assert not any(" connect(" in line for line in lines)

    # neither the picture nor a part of it leaves, in any encoding
    views = [json.loads(body) for body in viewer.received if body.startswith(b'{"seq"')]
    assert sum(len(view["faces"]) for view in views) > 20, "people were in view"
    frames = [frame for frame in open_frames(str(CLIP)) if isinstance(frame, Frame)]
    sent = b"".join(viewer.received)
    for row in frames[40].image[::20]:
        assert row[:64].tobytes() not in sent
    for start in (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"image/jpeg"):
        assert start not in sent
    # of a picture each view holds 8 x 14 colors, in which nobody finds a face
    assert {key for view in views for key in view} == VIEW
    # each is a view of its own: search it whole
    detector = wiring.detector(Config.model_validate({"detector": {"idle": False}}))
    for view in views[::10]:
        picture = view["picture"].removeprefix("data:image/png;base64,")
        png = np.frombuffer(base64.b64decode(picture, validate=True), np.uint8)
        small = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        assert small is not None
        assert small.shape == (8, 14, 3)
        for method in (cv2.INTER_NEAREST, cv2.INTER_CUBIC):
            large = np.asarray(cv2.resize(small, (480, 270), interpolation=method), np.uint8)
            shown = frame_of(0, 0.0, 0.0, large, CaptureSettings())
            assert detector(shown) == []
            for face in view["faces"]:
                x, y, w, h = face["box"]
                assert detector.face_evidence(shown, Box(480 * x, 270 * y, 480 * w, 270 * h), 0) < 0
        assert len(view["lines"]) < 20
        for x1, y1, x2, y2 in view["lines"]:
            assert np.hypot((x2 - x1) * 480, (y2 - y1) * 270) > 0.19 * 270


def test_people_are_shown_only_on_demand(configure: Configure, tmp_path: Path) -> None:
    options = ("--config", configure(classifier=NO_ESTIMATES), "--source", CLIP)
    with serving("aim", tmp_path, *options, "--full-picture") as viewer:
        assert "whoever opens the page sees the people in it" in viewer.log.read_text()
        assert viewer.enter()["full_picture"]
        picture = viewer.views(1)[0]["picture"].removeprefix("data:image/jpeg;base64,")
    jpeg = base64.b64decode(picture, validate=True)
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    first = cv2.VideoCapture(str(CLIP)).read()[1]
    assert shown is not None
    assert np.abs(shown.astype(int) - first).mean() < 20
    assert b"Exif" not in jpeg
