"""Certificate, private key and authority are tried together, as a broker tries them."""

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.enrollment import bundle, identity
from edge.enrollment.bundle import Bundle
from edge.errors import ConfigError
from tests.support.certificates import MadeFleet
from tests.support.paths import ROOT
from tools.provisioning.authority import Authority, Role, certificate_pem, key_pem, new_key


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> MadeFleet:
    return MadeFleet(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def lobby(fleet: MadeFleet) -> Bundle:
    return bundle.read(fleet.device("lobby", days=10))


def problem(content: Bundle, key: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        identity.prove(content, key)
    return str(caught.value)


def test_the_name_is_that_of_the_certificate(lobby: Bundle) -> None:
    device = identity.prove(lobby, None)
    assert device.name == "lobby"
    assert timedelta(days=9) < device.expires - datetime.now(UTC) <= timedelta(days=10)
    assert lobby.key is not None
    assert lobby.key in device.pem
    assert lobby.key not in repr(device)


def test_a_renewed_certificate_fits_the_key_that_is_there(fleet: MadeFleet, lobby: Bundle) -> None:
    fleet.device("door")
    first = bundle.read(fleet.folder / "bundles" / "edge-tally-door.bundle")
    renewed = bundle.read(fleet.renew("door"))
    assert (renewed.key, renewed.config) == (None, None)
    assert identity.prove(renewed, first.key).name == "door"
    assert "none is installed here" in problem(renewed)
    assert "another key than the installed private key" in problem(renewed, lobby.key)


def test_parts_of_different_origin_do_not_fit(lobby: Bundle, tmp_path: Path) -> None:
    other = bundle.read(MadeFleet(tmp_path / "other").device("lobby"))
    assert "for another key than the private key" in problem(
        dataclasses.replace(lobby, key=other.key)
    )
    assert "not signed by the bundle's authority" in problem(
        dataclasses.replace(lobby, authority=other.authority)
    )
    assert "not signed by the bundle's authority" in problem(
        dataclasses.replace(lobby, authority=lobby.certificate)
    )


@pytest.mark.parametrize("part", ["certificate", "authority", "key"])
def test_damaged_parts_are_refused(lobby: Bundle, part: str) -> None:
    lines = getattr(lobby, part).splitlines(keepends=True)
    broken = dataclasses.replace(lobby, **{part: "".join([lines[0], "AAAA\n", lines[-1]])})
    assert "cannot be read" in problem(broken)


def test_certificates_that_are_not_valid_now(lobby: Bundle) -> None:
    authority = Authority.create("Test", 30)
    key = new_key()
    expired = authority.sign(Role.DEVICE, ["lobby"], key.public_key(), -0.5)
    content = Bundle(certificate_pem(expired), certificate_pem(authority.certificate), key_pem(key))
    assert "has expired: renew it" in problem(content)


def test_a_brokers_certificate_is_not_a_devices() -> None:
    authority, key = Authority.create("Test", 30), new_key()
    signed = authority.sign(Role.BROKER, ["lobby"], key.public_key(), 10)
    content = Bundle(certificate_pem(signed), certificate_pem(authority.certificate), key_pem(key))
    assert "is not for a device" in problem(content)


def test_the_installer_needs_no_library_for_it(fleet: MadeFleet, tmp_path: Path) -> None:
    path = fleet.device("window")
    # -S: not even those that are installed
    command = [sys.executable, "-S", "-B", str(ROOT / "systemd" / "bundle.py")]

    def complaint(file: Path) -> str:
        run = subprocess.run(
            [*command, str(file), str(tmp_path)], capture_output=True, text=True, check=True,
            env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return run.stdout

    assert complaint(path) == ""
    assert complaint(tmp_path / "none") == (
        f"{tmp_path / 'none'}: cannot be read (No such file or directory)\n"
    )
    renewed = fleet.renew("window")
    assert complaint(renewed).startswith(f"{renewed}: renews a certificate")
