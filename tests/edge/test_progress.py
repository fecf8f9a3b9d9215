"""How far a recording has been read, on a terminal and nowhere else."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.delivery.jsonl_publisher import JsonLinesPublisher
from edge.progress import LogHandler, ProgressLine
from edge.sources.recordings import length
from edge.types import Message
from tests.support import preloaded
from tests.support.commands import NO_ESTIMATES
from tests.support.paths import CLIP, ROOT


def text_on_screen(output: str) -> list[str]:
    """The lines that somebody sees in the end: a carriage return goes back to the line's start."""
    lines = []
    for raw in output.replace("\r\n", "\n").split("\n"):
        line = ""
        for part in raw.split("\r"):
            line = part + line[len(part) :]
        lines.append(line.rstrip())
    return lines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_shows_how_much_is_done_and_how_long_the_rest_takes() -> None:
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock)
    line.begin(1000)
    clock.now = 0.1
    line.update(10)
    assert not stream.getvalue(), "short work shows nothing"
    clock.now = 100.0
    line.update(250)
    assert text_on_screen(stream.getvalue()) == ["counting  [#####---------------]  25%  5:00 left"]
    line.update(251)
    assert stream.getvalue().count("%") == 1, "not for each frame"
    clock.now = 10_000.0
    line.update(1001)  # more than the file promised
    assert "99%" in text_on_screen(stream.getvalue())[0]
    line.end()
    assert text_on_screen(stream.getvalue()) == [""]
    clock.now = 20_000.0
    line.update(1002)
    assert text_on_screen(stream.getvalue()) == [""]


def test_a_recording_of_unknown_length_shows_its_frames() -> None:
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock)
    line.begin(None)
    clock.now = 3723.0
    line.update(41)
    assert text_on_screen(stream.getvalue()) == ["counting  41 frames in 1:02:03"]


def test_nothing_goes_to_a_file() -> None:
    clock, stream = Clock(), io.StringIO()
    line = ProgressLine(stream, clock)
    line.begin(10)
    clock.now = 5.0
    line.update(5)
    line.end()
    assert stream.getvalue() == ""


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    class Gone(Terminal):
        def write(self, _text: str) -> int:
            raise OSError(5, "Input/output error")

    clock = Clock()
    line = ProgressLine(Gone(), clock)
    line.begin(10)
    clock.now = 5.0
    line.update(5)
    line.end()


def test_other_lines_never_share_one_with_it() -> None:
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock)
    line.begin(100_000)
    logger = logging.Logger("test")
    logger.addHandler(LogHandler(stream, line))
    publisher = JsonLinesPublisher(stream, around=line.hidden)
    message = Message("t/window", "{}")

    def write(one: Callable[[], None]) -> None:
        for _ in range(200):
            one()
            time.sleep(0.001)  # the line is drawn again meanwhile

    writers = (lambda: logger.info("log"), lambda: publisher.publish(message))
    threads = [threading.Thread(target=write, args=(one,)) for one in writers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        clock.now += 0.3
        line.update(50_000)
    for thread in threads:
        thread.join()
    line.end()
    texts = [text for text in text_on_screen(stream.getvalue()) if text]
    assert Counter(texts) == {"log": 200, '{"topic":"t/window","payload":{}}': 200}


def test_how_long_recordings_are(example: Path, tmp_path: Path) -> None:
    assert length(str(example / "clip.mp4")) == 250
    assert length(str(example / "faces" / "test" / "male")) == 60
    assert length(str(example / "group.png")) == 21
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for source in (broken, pipe, tmp_path / "none", "demo", "auto"):
        assert length(str(source)) is None


# on a real terminal


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A terminal to write to, and a function that gives all that was written, once all have closed
    it."""
    master, slave = os.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while chunk := os.read(master, 4096):
                chunks.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()

    def written() -> str:
        os.close(slave)
        thread.join(10)
        return b"".join(chunks).decode()

    try:
        yield slave, written
    finally:
        os.close(master)


def test_a_run_in_a_terminal(example: Path, configure: Callable[..., Path]) -> None:
    config = configure(privacy={"min_people": 1}, window={"seconds": 5})
    command = [sys.executable, "-m", "edge", "run", "--config", str(config), "--stdout"]
    command += ["--source", str(example / "clip.mp4"), "--verbose"]
    with terminal() as (slave, written):
        run = subprocess.run(command, stdout=slave, stderr=slave, cwd=ROOT, timeout=600)
        output = written()
    assert run.returncode == 0
    assert "%  0:" in output
    lines = [line for line in text_on_screen(output) if line]
    messages = [json.loads(line) for line in lines if line.startswith("{")]
    assert sum(message["topic"].endswith("/window") for message in messages) == 4
    others = [line for line in lines if not line.startswith("{")]
    known = ("INFO", "DEBUG", "people    4: ", "time      ", "windows   4 published")
    assert [line for line in others if not line.startswith(known)] == []


def test_a_run_elsewhere(configure: Callable[..., Path]) -> None:
    command = [sys.executable, "-m", "edge", "run", "--config", str(configure()), "--stdout"]
    command += ["--source", str(CLIP)]
    run = preloaded.run(command, capture_output=True, cwd=ROOT, timeout=600)
    assert run.returncode == 0
    assert b"\r" not in run.stderr
    assert b"%" not in run.stderr
    for line in run.stdout.splitlines():
        json.loads(line)


@pytest.mark.parametrize("options", [["replay"], ["live", "--save", "OUT"], ["bench"]])
def test_tools_show_a_bar_on_a_terminal_alone(
    configure: Callable[..., Path], tmp_path: Path, options: list[str]
) -> None:
    name, *rest = options
    if name == "bench":
        rest += ["--config", str(configure(classifier=NO_ESTIMATES))]
    command = [sys.executable, f"tools/{name}.py", "--source", str(CLIP)]
    command += [str(tmp_path / "out.mp4") if option == "OUT" else option for option in rest]
    environment = os.environ | {"TERM": "xterm"}
    with terminal() as (slave, written):
        run = preloaded.run(
            command, stdout=subprocess.PIPE, stderr=slave, cwd=ROOT, timeout=600, env=environment
        )
        output = written()
    assert run.returncode == 0
    assert CLIP.name in output
    assert "100%" in output
    assert b"%" not in run.stdout or name in ("replay", "bench")  # a share of their figures
    if name == "replay":
        run = preloaded.run(command, capture_output=True, cwd=ROOT, timeout=600, env=environment)
        assert CLIP.name.encode() not in run.stderr
