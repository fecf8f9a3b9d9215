"""systemd/install takes a device's bundle from the boot partition.

Its virtual environment is this one: tests/system/test_install.py installs the libraries.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.enrollment import bundle
from tests.support.certificates import MadeFleet
from tests.support.paths import ROOT
from tests.system.test_install import files

PYTHON = f"""#!/bin/sh
case "$1 $2" in
    "-m venv")
        for folder; do :; done
        mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"
        ;;
    "-m pip" | "-m compileall") ;;
    *) exec {sys.executable} "$@" ;;
esac
"""
CONFIG = Path("etc/edge-tally/config.yaml")
IDENTITY = Path("etc/credstore/edge-tally.mqtt-identity")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> MadeFleet:
    return MadeFleet(tmp_path_factory.mktemp("fleet"))


class Machine:
    """A folder into which it is installed as for an image."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.boot = self.root / "boot" / "firmware"
        self.boot.mkdir(parents=True)
        self._python = folder / "python3"
        self._python.write_text(PYTHON)
        self._python.chmod(0o755)

    def install(
        self, *options: str | Path, script: Path = ROOT / "systemd" / "install"
    ) -> subprocess.CompletedProcess[str]:
        command = [script, "--root", self.root, "--python", self._python, *options]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        )  # fmt: skip

    def enroll(self, *options: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the installed script, which installs no release."""
        return self.install(*options, script=self.current / "install")

    @property
    def current(self) -> Path:
        return self.root / "opt" / "edge-tally" / "current"

    def content(self) -> dict[str, bytes]:
        """All files outside of releases."""
        return {
            name: (self.root / name).read_bytes()
            for name in files(self.root)
            if not name.startswith("opt/")
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_one_file_on_the_boot_partition_is_all_it_needs(machine: Machine, fleet: MadeFleet) -> None:
    path = Path(shutil.move(fleet.device("lobby"), machine.boot))
    made = bundle.read(path)
    run = machine.install()
    assert run.returncode == 0, run.stderr
    assert (machine.root / CONFIG).read_text() == made.config
    assert (machine.root / IDENTITY).read_text() == made.certificate + str(made.key)
    assert not list(machine.boot.iterdir())
    assert not list((machine.root / "opt" / "edge-tally").glob("kept*"))

    # a year later the renewed certificate comes the same way; zones were drawn meanwhile
    config = machine.root / CONFIG
    config.write_text(config.read_text() + "zones: {excluded: []}\n")
    before, release = machine.content(), machine.current.readlink()
    renewed = Path(shutil.move(fleet.renew("lobby"), machine.boot))
    certificate = bundle.read(renewed).certificate
    run = machine.enroll()
    assert run.returncode == 0, run.stderr
    identity = {str(IDENTITY): (certificate + str(made.key)).encode()}
    assert machine.content() == before | identity
    assert machine.current.readlink() == release

    run = machine.enroll()
    assert run.returncode == 1
    assert f"no bundle in {machine.boot}: name one with --bundle" in run.stderr


def test_a_bundle_that_does_not_fit_is_refused_before_a_release_is_built(
    machine: Machine, fleet: MadeFleet
) -> None:
    path = Path(shutil.move(fleet.device("door"), machine.boot))
    path.write_bytes(path.read_bytes()[:-40])
    run = machine.install()
    assert run.returncode == 1
    assert f"another bundle: {path}: " in run.stderr
    assert "the block PRIVATE KEY does not end" in run.stderr
    assert "building" not in run.stdout
    assert files(machine.root) == {f"boot/firmware/{path.name}"}


def test_a_configuration_that_does_not_work_leaves_nothing(
    machine: Machine, fleet: MadeFleet, tmp_path: Path
) -> None:
    path = Path(shutil.move(fleet.device("door", camera={"rotate": 45}), tmp_path))
    run = machine.install("--bundle", path)
    assert run.returncode == 1
    assert "camera.rotate: 45: should be 0, 90, 180 or 270" in run.stderr
    assert "the bundle cannot be installed" in run.stderr
    assert files(machine.root) == set()
    assert path.exists()


def test_what_a_bundle_replaced_comes_back_if_the_release_fails(
    machine: Machine, fleet: MadeFleet
) -> None:
    (machine.root / CONFIG).parent.mkdir(parents=True)
    (machine.root / CONFIG).write_text("site: mine\n")
    (machine.root / IDENTITY).parent.mkdir()
    (machine.root / IDENTITY).write_text("an older one\n")
    # what comes after the bundle cannot be written
    (machine.root / "etc" / "systemd").write_text("")
    path = Path(shutil.move(fleet.device("door"), machine.boot))
    before = machine.content()
    run = machine.install()
    assert run.returncode == 1, run.stdout
    assert "device    door" in run.stdout
    after = machine.content()
    after.pop("etc/edge-tally/config.yaml.new")  # what the release can be told
    assert after == before
    assert path.exists()


def test_of_two_bundles_none_is_taken(machine: Machine, fleet: MadeFleet) -> None:
    for name in ("door", "lobby"):
        shutil.move(fleet.device(name), machine.boot)
    run = machine.install()
    assert run.returncode == 1
    assert f"{machine.boot} has several bundles: leave one" in run.stderr
    assert len(files(machine.root)) == 2
