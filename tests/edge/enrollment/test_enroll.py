"""`edge enroll` replaces configuration and identity, or leaves everything as it was."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from edge import __main__ as program
from edge.config import load_config
from edge.enrollment import bundle
from edge.strict_yaml import read_keys
from tests.support.certificates import MadeFleet
from tests.support.paths import MODEL


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> MadeFleet:
    return MadeFleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def enroll(path: Path, root: Path, *options: str) -> int:
    return program.main(["enroll", "--root", str(root), *options, str(path)])


def content(root: Path) -> dict[str, bytes]:
    """All files below the root folder."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_a_device_gets_identity_and_configuration(
    fleet: MadeFleet,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = fleet.device("lobby", camera={"rotate": 90})
    made = bundle.read(path)
    assert enroll(path, root) == 0
    assert "device    lobby: its certificate is valid until 2" in capsys.readouterr().out
    assert not path.exists()
    store, config = root / "etc" / "credstore", root / "etc" / "edge-tally" / "config.yaml"
    assert config.read_text() == made.config
    assert set(content(root)) == {
        "etc/edge-tally/config.yaml",
        "etc/credstore/edge-tally.mqtt-ca",
        "etc/credstore/edge-tally.mqtt-identity",
    }
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    for file in store.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    # as systemd hands the files to the service
    for file in store.iterdir():
        file.rename(store / file.name.removeprefix("edge-tally."))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(store))
    tls = load_config(config).mqtt.tls
    assert (tls.ca_file, tls.cert_file, tls.key_file) == (
        store / "mqtt-ca", store / "mqtt-identity", store / "mqtt-identity",
    )  # fmt: skip


@pytest.mark.parametrize("change_key", [False, True])
def test_a_renewed_certificate_leaves_the_configuration(
    fleet: MadeFleet, root: Path, change_key: bool
) -> None:
    name = f"renewed-{change_key}"
    first = fleet.device(name)
    assert enroll(first, root, "--keep") == 0
    config = root / "etc" / "edge-tally" / "config.yaml"
    config.write_text(config.read_text() + "zones: {excluded: []}  # drawn on site\n")
    before = content(root)
    renewed = fleet.renew(name, change_key=change_key)
    new = bundle.read(renewed)
    assert enroll(renewed, root) == 0
    after = content(root)
    identity = after.pop("etc/credstore/edge-tally.mqtt-identity").decode()
    old = before.pop("etc/credstore/edge-tally.mqtt-identity").decode()
    assert after == before
    assert identity.startswith(new.certificate)
    assert (bundle.key_in(identity) == bundle.key_in(old)) is not change_key


def test_a_first_bundle_again_leaves_the_configuration(fleet: MadeFleet, root: Path) -> None:
    path = fleet.device("again")
    assert enroll(path, root, "--keep") == 0
    config = root / "etc" / "edge-tally" / "config.yaml"
    config.write_text(config.read_text() + "zones: {excluded: []}  # drawn on site\n")
    before = content(root)
    assert enroll(path, root) == 0
    assert content(root) == before
    assert not path.exists()


def test_another_name_replaces_the_configuration_and_keeps_the_old_one(
    fleet: MadeFleet, root: Path
) -> None:
    config = root / "etc" / "edge-tally" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("site: mine\n")
    config.chmod(0o640)
    assert enroll(fleet.device("first"), root) == 0
    assert config.with_name("config.yaml.old").read_text() == "site: mine\n"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert enroll(fleet.device("second"), root) == 0
    assert load_name(config) == "second"
    assert load_name(config.with_name("config.yaml.old")) == "first"


def load_name(config: Path) -> str:
    return str(read_keys(config)["device"])


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"camera": {"rotate": 45}}, "camera.rotate: 45: should be 0, 90, 180 or 270"),
        ({"device": "other"}, "device: other: the certificate is that of lobby"),
        ({"mqtt": {"host": "h"}}, "mqtt.tls.enabled: must be true"),
        ({"mqtt": {"host": "h", "tls": {"enabled": True, "ca_file": "/none"}}}, "no such file"),
        (
            {"mqtt": {"tls": {"enabled": True, "cert_file": str(MODEL), "key_file": str(MODEL)}}},
            "mqtt.tls.cert_file: leave it out",
        ),
        ({"classifier": {"model": "pyproject.toml"}}, "model pyproject.toml"),
        ({"mqtt": {"tls": {"enabled": True, "ca_file": "pyproject.toml"}}}, "cannot be used"),
    ],
)
def test_a_configuration_that_does_not_work_changes_nothing(
    fleet: MadeFleet, root: Path, keys: dict[str, Any], problem: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    config = root / "etc" / "edge-tally" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("site: mine\n")
    path = fleet.device("lobby", **keys)
    assert enroll(path, root) == 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{path}: ")
    assert problem in line
    assert "/tmp" not in line.removeprefix(str(path))
    assert content(root) == {"etc/edge-tally/config.yaml": b"site: mine\n"}
    assert path.exists()
    assert "CREDENTIALS_DIRECTORY" not in os.environ


def test_a_renewal_of_another_device_changes_nothing(
    fleet: MadeFleet, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.device("mine")
    fleet.device("theirs")
    assert enroll(fleet.folder / "bundles" / "edge-tally-mine.bundle", root, "--keep") == 0
    before = content(root)
    assert enroll(fleet.renew("theirs"), root) == 2
    assert "another key than the installed private key" in caplog.text
    caplog.clear()
    assert enroll(fleet.renew("theirs", change_key=True), root) == 2
    assert "renews the certificate of theirs, which is not the device here" in caplog.text
    assert content(root) == before


def test_without_rights_it_says_so(
    fleet: MadeFleet, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "etc").write_text("")  # which root could not write to, either
    assert enroll(fleet.device("lobby"), root) == 1
    assert f"{root}/etc" in caplog.text
    assert "cannot be" in caplog.text
