"""`make demo`: a broker from a Python package, the daemon, and a subscriber that shows windows."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import tool, wait_for
from tests.support.paths import ROOT


def processes(folder: Path) -> set[str]:
    """Command lines of this machine's processes that use `folder`."""
    lines = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"{folder}/" in line:
            lines.add(line)
    return lines


@contextlib.contextmanager
def demo(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The demo with its own folder for temporary files, and what it prints."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "tools/demo.py", "--source", "demo", *options],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(folder)},
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()
    assert not processes(folder), "a program was left behind"
    assert [file.name for file in folder.iterdir()] == ["log"]


def test_demo_counts_what_walks_past_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    with demo(tmp_path) as (process, log):
        wait_for(lambda: "page  " in log.read_text(), "no page")
        (page,) = re.findall(r"page +(http\S+/);", log.read_text())
        wait_for(lambda: log.read_text().count("counted") >= 2, "no windows", timeout_s=180)
        # two windows of the daemon and weeks of a made past, which is marked as such
        with urllib.request.urlopen(f"{page}api/overview") as answer:
            shown = json.load(answer)
        assert shown["devices"] == ["demo/edge-1"]
        assert shown["earlier"]["people"] is not None
        with urllib.request.urlopen(f"{page}api/events") as events:
            live = json.loads(events.readline().decode().removeprefix("data: "))
        assert live["notice"].startswith("A demo: everything before ")
        assert [device["light"] for device in live["devices"]] == ["online"]
        assert live["revision"] >= 2
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        begin = time.monotonic()
        assert process.wait(20) == 0, log.read_text()
        assert time.monotonic() - begin < 10
    text = log.read_text()
    assert "Traceback" not in text
    assert text.splitlines()[-1] == "stopped"
    assert re.search(r"first frame analyzed after \d+\.\d s", text)
    full = re.findall(r"counted (.+?)   really (.+?)   in all", text)
    assert len(full) >= 2
    for counted, really in full:
        assert counted == really
    windows = [line for line in text.splitlines() if "  counted " in line]
    *others, last = windows
    assert len(others) == len(full)
    assert re.search(r"   cut short after \d\.\d s   in all \d+$", last)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_may_be_ended_before_it_has_begun(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path, "--no-page") as (process, log):
        wait_for(lambda: "Ctrl-C ends it" in log.read_text(), "it does not start")
        process.send_signal(number)
        assert process.wait(20) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == "stopped"


def test_an_environment_that_was_not_finished_is_made_again(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python"  # the first that comes, before a power cut
    program.parent.mkdir()
    program.symlink_to(sys.executable)
    run = subprocess.run(
        ["make", "--dry-run", "setup", "PYTHON=python3", f"VENV={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert f"tools/dev/make-venv python3 {tmp_path}" in run.stdout, run.stderr


def test_demo_says_at_once_that_there_is_no_such_camera() -> None:
    run = tool("demo", "--source", "v4l2:/dev/video99", timeout_s=120)
    assert run.returncode == 1
    told = run.stderr.splitlines()
    assert told[0] == "demo: the daemon ended with 1:"
    assert told[-1].startswith("ERROR camera /dev/video99: does not exist")
    assert "WARNING" not in run.stderr
