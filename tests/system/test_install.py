"""systemd/install for real, below a folder: the programs and files, if not the running service."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.broker import NO_BROKER
from tests.support.commands import without
from tests.support.paths import ROOT

INSTALL = ROOT / "systemd" / "install"


def install(*args: str | Path) -> subprocess.CompletedProcess[str]:
    # bytecode costs more time than all the rest, and nothing here depends on it
    environment = os.environ | {"PIP_NO_COMPILE": "1"}
    return subprocess.run(
        [str(INSTALL), *map(str, args)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment,
    )


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a machine on which it was installed once."""
    root = tmp_path_factory.mktemp("root")
    run = install("--root", root, "--python", sys.executable)
    if re.search("name resolution|new connection", run.stderr):
        without("no internet, from which systemd/install has its packages")
    assert run.returncode == 0, run.stderr
    return root


def test_the_installed_daemon_works(installed: Path, tmp_path: Path) -> None:
    release = installed / "opt" / "edge-tally" / "current"
    config = installed / "etc" / "edge-tally" / "config.yaml"
    settings = config.read_text()
    assert "state_dir: /var/lib/edge-tally\n" in settings
    # the service's own state folder and broker are not there, or are not ours to write to
    here = tmp_path / "config.yaml"
    keys = yaml.safe_load(settings)
    keys |= {"state_dir": str(tmp_path / "state"), "mqtt": keys["mqtt"] | NO_BROKER}
    here.write_text(yaml.safe_dump(keys))
    command = [str(release / "venv/bin/python"), "-m", "edge", "check", "--source", "demo"]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [*command, "--config", str(here)],
        capture_output=True,
        text=True,
        cwd=release,
        env=environment,
    )
    parts = {line.split()[1]: line.split()[0] for line in run.stdout.splitlines()}
    assert parts.pop("broker") == "FAIL"
    assert set(parts.values()) == {"ok"}, run.stdout
    assert (installed / "etc/systemd/system/edge-tally.service").exists()
    assert os.access(release / "cage", os.X_OK)
    # whoever runs it can read all and change nothing
    for path in release.resolve().rglob("*"):
        mode = path.stat().st_mode
        assert mode & 0o044 == 0o044 or path.is_symlink(), path
        assert not mode & 0o022, path


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "paho_mqtt-2.2.0-py3-none-any.whl").write_bytes(b"not one")
    run = install("--root", tmp_path, "--python", sys.executable, "--offline", wheels)
    assert run.returncode == 1
    assert not (tmp_path / "opt/edge-tally").exists()
    assert files(tmp_path) == {"wheels/paho_mqtt-2.2.0-py3-none-any.whl"}


def test_a_failed_upgrade_changes_nothing(installed: Path, tmp_path: Path) -> None:
    before, current = files(installed), (installed / "opt/edge-tally/current").readlink()
    half = installed / "opt/edge-tally/releases/half"  # which a power cut left
    half.mkdir()
    (half / "LICENSE").touch()
    (tmp_path / "paho_mqtt-2.2.0-py3-none-any.whl").write_bytes(b"not one")
    run = install("--root", installed, "--python", sys.executable, "--offline", tmp_path)
    assert run.returncode == 1
    assert "edge-tally: pip could not install what is needed" in run.stderr
    assert f"nothing was changed: {current.name} stays" in run.stderr
    assert files(installed) == before
    assert (installed / "opt/edge-tally/current").readlink() == current


def test_an_upgrade_keeps_the_configuration_and_uninstalling_leaves_nothing(
    installed: Path,
) -> None:
    config = installed / "etc" / "edge-tally" / "config.yaml"
    config.write_text("site: mine\n")
    current = installed / "opt" / "edge-tally" / "current"
    state = installed / "var" / "lib" / "edge-tally" / "outbox.db"
    state.parent.mkdir(parents=True)
    state.touch()
    # as if an older release had brought other settings
    (current / "config.yaml").write_text("site: older\n")
    old = current.resolve()
    run = install("--root", os.path.relpath(installed), "--python", sys.executable)
    assert run.returncode == 0, run.stderr
    assert current.resolve() != old
    assert (current / "cage").exists()
    assert not old.exists()
    assert config.read_text() == "site: mine\n"
    assert "max_windows" in config.with_name("config.yaml.new").read_text()

    override = installed / "etc/systemd/system/edge-tally.service.d/override.conf"
    override.parent.mkdir(exist_ok=True)  # systemctl edit edge-tally
    override.touch()
    run = install("--root", installed, "--uninstall")
    assert run.returncode == 1
    assert "--keep-data or --purge" in run.stderr
    assert install("--root", installed, "--uninstall", "--keep-data").returncode == 0
    kept = {str(path.relative_to(installed)) for path in (config, state, override)}
    assert files(installed) == kept | {"etc/edge-tally/config.yaml.new"}
    assert install("--root", installed, "--uninstall", "--purge").returncode == 0
    assert files(installed) == set()


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\ncase $1 in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac\n")
    old.chmod(0o755)
    run = install("--root", tmp_path, "--python", old, "--offline", tmp_path)
    assert run.returncode == 1
    assert f"Python 3.11 to 3.13; {old} is Python 3.9.2; name another" in run.stderr
    assert "the Debian package python3-venv" in run.stderr
    assert f"wheels in {tmp_path}" in run.stderr
    assert files(tmp_path) == {"python3"}
    assert install("--nonsense").returncode == 2
