"""The units, as systemd itself judges them. That the daemon's works is proved by
tests/system/boot.py; the dashboard's command is run here, without systemd."""

import base64
import http.client
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import Config
from tests.support.broker import free_port
from tests.support.commands import wait_for
from tests.support.paths import ROOT
from tools.webpage.access import Password

SYSTEMD = ROOT / "systemd"
UNIT = (SYSTEMD / "edge-tally.service").read_text()


def analyze(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


def value(key: str) -> str:
    (line,) = [line for line in UNIT.splitlines() if line.startswith(f"{key}=")]
    return line.split("=", 1)[1]


@pytest.fixture(params=["edge-tally", "edge-tally-dashboard"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit with a Python that is there."""
    name = f"{request.param}.service"
    path, python = tmp_path / name, tmp_path / "python"
    python.symlink_to(sys.executable)  # whose own path may have a space
    path.write_text(re.sub(r"/opt/\S+/bin/python", str(python), (SYSTEMD / name).read_text()))
    return path


def test_systemd_understands_every_line(unit: Path) -> None:
    # it ends with 0 whatever it finds: what it says is what counts
    assert analyze("verify", unit).stderr == ""
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nRestartSteps=x\n"))
    assert "RestartSteps" in analyze("verify", unit).stderr


def test_little_is_exposed(unit: Path) -> None:
    run = analyze("security", "--offline=true", "--threshold=20", unit)
    assert run.returncode == 0, run.stdout
    lines = unit.read_text().splitlines(True)
    unit.write_text("".join(line for line in lines if "SystemCall" not in line))
    assert analyze("security", "--offline=true", "--threshold=20", unit).returncode == 1


def test_the_dashboard_starts_by_its_unit(tmp_path: Path) -> None:
    """With what systemd hands to it: a folder for the database, options, and credentials."""
    unit = (SYSTEMD / "edge-tally-dashboard.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    port, state, credentials = free_port(), tmp_path / "state", tmp_path / "credentials"
    state.mkdir()
    credentials.mkdir()
    (credentials / "broker-password").write_text("secret")
    mask = os.umask(0o077)
    Password.write(credentials / "page-password", "correct horse")
    os.umask(mask)
    options = ["--broker", "mqtt://dashboard@127.0.0.1:1", "--listen", f"127.0.0.1:{port}"]
    words = command.replace("${STATE_DIRECTORY}", str(state)).split()
    assert words[-1] == "$OPTIONS"
    process = subprocess.Popen(
        [sys.executable, *words[1:-1], *options], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CREDENTIALS_DIRECTORY": str(credentials)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"store     {state}/tally.db\n"
        process.stdout.readline()

        def status(header: str) -> int:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/", headers={"Authorization": header})
            answer = connection.getresponse().status
            connection.close()
            return answer

        wait_for(lambda: _answers(port), "no page")
        assert status("") == 401
        assert status("Basic " + base64.b64encode(b":correct horse").decode()) == 200
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_times_leave_room_for_what_the_daemon_waits_for() -> None:
    config = Config.model_construct()
    assert float(value("WatchdogSec")) > config.camera.timeout
    assert float(value("TimeoutStopSec")) >= 15


def test_scripts_are_sound() -> None:
    files = [*SYSTEMD.iterdir(), *(SYSTEMD / "debian").iterdir()]
    scripts = [file for file in files if file.is_file() and file.read_bytes()[:9] == b"#!/bin/sh"]
    assert len(scripts) > 8
    command = ["shellcheck", "--external-sources", *map(str, scripts), str(SYSTEMD / "proof")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout
