"""The unit, as systemd itself judges it. That it works is proved by tests/system/boot.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.config import Config
from tests.support.paths import ROOT

SYSTEMD = ROOT / "systemd"
UNIT = (SYSTEMD / "edge-tally.service").read_text()


def analyze(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


def value(key: str) -> str:
    (line,) = [line for line in UNIT.splitlines() if line.startswith(f"{key}=")]
    return line.split("=", 1)[1]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a Python that is there."""
    path, python = tmp_path / "edge-tally.service", tmp_path / "python"
    python.symlink_to(sys.executable)  # whose own path may have a space
    path.write_text(UNIT.replace("/opt/edge-tally/current/venv/bin/python", str(python)))
    return path


def test_systemd_understands_every_line(unit: Path) -> None:
    # it ends with 0 whatever it finds: what it says is what counts
    assert analyze("verify", unit).stderr == ""
    unit.write_text(unit.read_text().replace("[Service]\n", "[Service]\nRestartSteps=x\n"))
    assert "RestartSteps" in analyze("verify", unit).stderr


def test_little_is_exposed(unit: Path) -> None:
    run = analyze("security", "--offline=true", "--threshold=20", unit)
    assert run.returncode == 0, run.stdout
    unit.write_text("".join(line for line in UNIT.splitlines(True) if "SystemCall" not in line))
    assert analyze("security", "--offline=true", "--threshold=20", unit).returncode == 1


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
