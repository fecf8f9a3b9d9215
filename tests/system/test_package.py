"""The Debian package for real, on simulated devices: dpkg's own scripts bring it up and back."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MadeOnce
from tests.support.broker import Mosquitto, Subscriber
from tests.support.certificates import MadeFleet
from tests.support.commands import wait_for, without
from tests.support.devices import CONFIG, CURRENT, Device, broken, libraries, package, settings
from tests.support.paths import ROOT

BROKEN, FIRST, SECOND = 1, 2, 3
"""Revisions of the package."""
NEXT = CONFIG.with_name("config.yaml.next")
OPT = "/opt/edge-tally"


@pytest.fixture(scope="session", autouse=True)
def debian() -> None:
    """Skip on machines for which no package is made."""
    minor = sys.version_info[1]
    if minor not in (11, 13) or not Path(f"/usr/bin/python3.{minor}").exists():
        without("these tests need Debian's own Python, 3.11 or 3.13")
    if shutil.which("dpkg-deb") is None:
        without("there is no dpkg-deb: this is not a Debian")


@pytest.fixture(scope="session")
def packages(debian: None, made_once: MadeOnce) -> dict[int, Path]:
    """A release that does not work, and two that do."""

    def make(folder: Path) -> None:
        for revision in (FIRST, SECOND):
            package(folder, revision)
        package(folder, BROKEN, broken(folder / "source"))

    folder = made_once("packages", make)
    return {n: next(folder.glob(f"*-{n}+deb*.deb")) for n in (BROKEN, FIRST, SECOND)}


@pytest.fixture
def device(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Device]:
    """One on which systemd/install has installed the daemon, which runs."""
    device = Device(tmp_path / "device")
    release, python = tmp_path / "release", f"/usr/bin/python3.{sys.version_info[1]}"
    subprocess.run([ROOT / "systemd" / "release", release], check=True)
    command = [python, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(command, check=True)
    libraries(release / f"venv/lib/python3.{sys.version_info[1]}/site-packages")
    device.put(CONFIG, settings("door", mosquitto.port))
    script = f"""
        mkdir -p {OPT}/releases && cp -R {release} {OPT}/releases/old && cd {OPT}
        ln -s releases/old current && cp current/edge-tally.service /etc/systemd/system/
        cp -R {tmp_path}/venv/bin {tmp_path}/venv/pyvenv.cfg current/venv/
        systemctl start edge-tally"""
    device.run("sh", "-ec", script)
    yield device
    device.close()


@pytest.fixture
def windows(
    mosquitto: Mosquitto, subscribe: Callable[..., Subscriber]
) -> Callable[[], list[dict[str, Any]]]:
    """What has arrived at the broker."""
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    return lambda: [json.loads(payload) for payload in dashboard.payloads("window")]


Windows = Callable[[], list[dict[str, Any]]]


def wait_for_more(windows: Windows) -> None:
    count = len(windows())
    wait_for(lambda: len(windows()) > count, "no window")


def test_the_package_is_as_debian_wants_it(packages: dict[int, Path]) -> None:
    def ask(*options: str) -> str:
        command = ["dpkg-deb", *options[:1], str(packages[FIRST]), *options[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    depends = ask("--field", "Depends").strip().split(", ")
    assert f"python3.{sys.version_info[1]}" in depends
    lines = [line.split(maxsplit=5) for line in ask("--contents").splitlines()]
    assert {owner for _, owner, *_ in lines} == {"root/root"}
    files = {place: rights for rights, *_, place in lines}
    assert not any(place.endswith(".pyc") for place in files)
    assert not any(rights[5] == "w" or rights[8] == "w" for rights in files.values()
                   if not rights.startswith("l"))  # fmt: skip
    assert any(place.startswith("./usr/lib/edge-tally/current -> 1.0") for place in files)
    (unit,) = (place for place in files if place.endswith("systemd/system/edge-tally.service"))
    text = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", packages[FIRST]], capture_output=True, check=True
    ).stdout
    run = subprocess.run(["tar", "-xO", unit], input=text, capture_output=True, check=True)
    assert f"ExecStart={CURRENT}/venv/bin/python -m edge run" in run.stdout.decode()
    assert OPT not in run.stdout.decode()


def test_the_same_source_makes_the_same_package(packages: dict[int, Path], tmp_path: Path) -> None:
    assert package(tmp_path, FIRST).read_bytes() == packages[FIRST].read_bytes()


@pytest.mark.parametrize(
    ("name", "machine", "words"),
    [
        ("x.so", 0xB7, "x.so is for another machine than x86_64"),
        ("x.cpython-39-x86_64-linux-gnu.so", 0x3E, "is for another Python than 3.1"),
    ],
)
def test_libraries_for_another_machine_are_refused(
    tmp_path: Path, name: str, machine: int, words: str
) -> None:
    (tmp_path / "libraries").mkdir()
    header = b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + bytes([machine, 0])
    (tmp_path / "libraries" / name).write_bytes(header)
    run = subprocess.run(
        [ROOT / "systemd" / "package", "--python", sys.executable, "--machine", "x86_64",
         "--libraries", tmp_path / "libraries", "--out", tmp_path / "out"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert words in run.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.root
def test_a_device_is_taken_over_goes_back_and_forth_and_is_purged(
    windows: Windows,
    device: Device,
    packages: dict[int, Path],
    mosquitto: Mosquitto,
    tmp_path: Path,
) -> None:
    config = device.read(CONFIG)

    def counts(version: str) -> None:
        assert device.version().startswith(version)
        assert device.is_active()
        assert device.read(CONFIG) == config
        wait_for_more(windows)

    report = device.install(packages[BROKEN], code=1)
    assert f"the installation in {OPT} goes on" in report
    counts("iF 1.0.0-1+deb")

    device.install(packages[FIRST])
    counts("ii 1.0.0-2+deb")
    device.run("test", "!", "-e", OPT)
    device.run("test", "!", "-e", "/etc/systemd/system/edge-tally.service")

    report = device.install(packages[BROKEN], code=1)
    assert "broken release" in report
    assert "the one before comes back" in report
    counts("ii 1.0.0-2+deb")

    left = "/usr/lib/edge-tally/1.0.0-0+deb12"  # by a power cut
    device.run("mkdir", left)
    device.install(packages[SECOND])
    counts("ii 1.0.0-3+deb")
    assert device.run("ls", "/usr/lib/edge-tally").stdout.count("\n") == 2  # it and its name
    assert device.run("find", f"{CURRENT}/", "-name", "*.pyc").stdout
    needs = device.run(str(ROOT / "systemd" / "install"), code=1).stderr
    assert "a machine without the Debian package edge-tally" in needs

    configurations(device, mosquitto.port)
    config = device.read(NEXT)
    counts("ii 1.0.0-3+deb")
    wait_for(lambda: windows()[-1]["window"]["seconds"] < 2, "no shorter window")

    device.run("dpkg", "--remove", "edge-tally")
    assert not device.is_active()
    assert device.read(CONFIG) == config
    assert "outbox.db" in device.run("ls", "/var/lib/edge-tally").stdout
    device.run("test", "!", "-e", "/usr/lib/edge-tally")
    device.run("dpkg", "--purge", "edge-tally")
    places = ("/etc", "/var/lib", "/usr/lib", "/lib/systemd")
    assert device.run("find", *places, "-path", "*edge-tally*").stdout == ""

    assert len({window["epoch"] for window in windows()}) == 1
    numbers = {window["seq"] for window in windows()}
    assert numbers == set(range(1, len(numbers) + 1))

    bundle = "/boot/firmware/edge-tally-lobby.bundle"
    fleet = MadeFleet(tmp_path / "fleet")
    device.put(bundle, fleet.device("lobby", source="demo"))
    device.install(packages[FIRST])
    assert device.is_active()
    assert "device: lobby" in device.read(CONFIG)
    device.run("test", "-s", "/etc/credstore/edge-tally.mqtt-identity")
    device.run("test", "!", "-e", bundle)


def configurations(device: Device, port: int) -> None:
    """Those that the daemon does not work with are not taken, and the others are."""
    before = device.read(CONFIG)

    def configure(code: int, **keys: object) -> str:
        device.put(NEXT, settings("door", port, **keys))
        done = device.run(f"{CURRENT}/configure", NEXT, code=code)
        return done.stdout + done.stderr

    assert "window.seconds" in configure(2, window={"seconds": -1})
    assert "is not taken" in configure(2, mqtt={"host": "127.0.0.1", "port": 1})
    assert device.read(CONFIG) == before
    assert "the configuration before is back" in configure(1, source="nowhere.mp4")
    assert device.read(CONFIG) == before
    assert device.is_active()
    assert "is in force" in configure(0, window={"seconds": 1})
    assert "nothing new" in configure(0, window={"seconds": 1})
