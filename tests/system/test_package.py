"""The Debian package for real, on simulated devices, which dpkg's own scripts bring up and back."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MadeOnce
from tests.support.commands import without
from tests.support.devices import CONFIG, CURRENT, Device, package, settings
from tests.support.paths import ROOT

FIRST, BROKEN, SECOND = 1, 2, 3
"""Revisions of the package."""
OUTBOX = "/var/lib/edge-tally/outbox.db"


@pytest.fixture(scope="session")
def packages(made_once: MadeOnce) -> dict[int, Path]:
    """A release, one that fails once it is ready, and the next one."""

    def make(folder: Path) -> None:
        for revision in (FIRST, SECOND):
            package(folder, revision)
        package(folder, BROKEN, broken(folder / "source"))

    folder = made_once("packages", make)
    return {n: next(folder.glob(f"*-{n}+deb*.deb")) for n in (FIRST, BROKEN, SECOND)}


def broken(source: Path) -> Path:
    """A copy of the project whose daemon checks well, but ends with its first frame."""
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "state", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    reporter = source / "edge" / "reporter.py"
    line = '            log.info("counting: first frame'
    text = reporter.read_text()
    assert line in text
    crash = '            raise SystemExit("broken release")\n'
    reporter.write_text(text.replace(line, crash + line))
    return source


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    device = Device(tmp_path / "device")
    yield device
    device.close()


def install(device: Device, file: Path, code: int = 0) -> str:
    done = device.run("apt-get", "install", "-y", "--no-install-recommends", file, code=code)
    return done.stdout + done.stderr


def epoch(device: Device) -> str:
    """What makes an outbox this one."""
    query = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]))"
    command = ("/usr/bin/python3", "-c", query, OUTBOX, "SELECT epoch FROM counters")
    return device.run(*command).stdout


@pytest.mark.root
def test_from_the_first_installation_to_purge(device: Device, packages: dict[int, Path]) -> None:
    device.configure("door")
    config, epochs = device.read(CONFIG), []
    install(device, packages[FIRST])
    assert device.version().startswith("ii 1.0.0-1+deb")
    assert device.is_active()
    assert device.run("find", f"{CURRENT}/", "-name", "*.pyc").stdout
    epochs.append(epoch(device))

    report = install(device, packages[BROKEN], code=100)
    assert "broken release" in report
    assert "the one before comes back" in report
    assert device.version().startswith("ii 1.0.0-1+deb")
    assert device.is_active()
    epochs.append(epoch(device))

    install(device, packages[SECOND])
    assert device.version().startswith("ii 1.0.0-3+deb")
    assert device.is_active()
    assert len(device.run("ls", "/usr/lib/edge-tally").stdout.split()) == 2  # it and its name
    assert device.read(CONFIG) == config
    epochs.append(epoch(device))
    assert len(set(epochs)) == 1, epochs

    device.run("apt-get", "remove", "-y", "edge-tally")
    assert not device.is_active()
    assert device.read(CONFIG) == config
    assert epoch(device) == epochs[0]
    assert device.run("ls", "/usr/lib/edge-tally", code=None).returncode != 0
    device.run("apt-get", "purge", "-y", "edge-tally")
    left = device.run("find", "/etc", "/var/lib", "/usr/lib", "/lib/systemd", "-path", "*edge-tally*")
    assert left.stdout == ""
