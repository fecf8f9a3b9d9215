"""tools/fleet.py as an operator uses it: files, their rights, runs that are killed."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge.atomic_file import write_all_atomically
from edge.enrollment import bundle, identity
from tests.support import preloaded
from tests.support.commands import wait_for
from tests.support.paths import ROOT
from tools import fleet as tool
from tools.provisioning import registry
from tools.provisioning.authority import key_pem, new_key


class Operator:
    """Runs the tool in a folder of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.fleet, self._capsys = folder, folder / "fleet", capsys
        self.errors = ""

    def run(self, *args: str | Path, code: int = 0) -> str:
        """Run a command that ends with this code, and return what it prints."""
        sys.argv = ["fleet.py", *map(str, args), "--fleet", str(self.fleet)]
        try:
            ended = tool.main()
        except SystemExit as error:
            ended = int(str(error.code))
        output, self.errors = self._capsys.readouterr()
        assert ended == code, self.errors
        return output

    def table(self, *names: str, **keys: str) -> Path:
        path = self.folder / "devices.csv"
        columns = {"site": "store-7", "mqtt.host": "broker.example"} | keys
        lines = [",".join(["device", *columns])]
        lines += [",".join([name, *columns.values()]) for name in names]
        path.write_text("\n".join(lines) + "\n")
        return path

    def bundles(self) -> dict[str, bundle.Bundle]:
        """The bundles in their folder, by device; each is proved."""
        read = [bundle.read(path) for path in sorted((self.fleet / "bundles").glob("*"))]
        return {identity.prove(content, content.key).name: content for content in read}

    def certificates(self) -> list[tuple[str, str]]:
        """Name and certificate of all that were signed."""
        with closing(sqlite3.connect(self.fleet / "registry.db")) as database:
            return list(database.execute("SELECT name, pem FROM certificates ORDER BY rowid"))


@pytest.fixture
def operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Operator:
    monkeypatch.setattr(sys, "argv", ["fleet.py"])
    operator = Operator(tmp_path, capsys)
    operator.run("authority", "--name", "Example Shops")
    return operator


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_fleet_from_its_authority_to_its_bundles(operator: Operator) -> None:
    fleet = operator.fleet
    operator.run("broker", "Broker.Example", "*.brokers.example", "192.0.2.7", "2001:0db8::1")
    certificate = load(fleet / "brokers" / "broker.example.crt")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == [
        "broker.example", "*.brokers.example", "192.0.2.7", "2001:db8::1",
    ]  # fmt: skip
    certificate.verify_directly_issued_by(load(fleet / "authority.crt"))
    operator.run("client", "dashboard")
    output = operator.run("bundles", operator.table("lobby", "door"))
    assert output == f"2 bundles in {fleet / 'bundles'}, for 2 devices: 2 new\n"
    assert set(operator.bundles()) == {"door", "lobby"}

    listed = operator.run("list").splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [
        ["Example", "Shops", "authority"], ["broker.example", "broker", listed[2].split()[2]],
        ["dashboard", "client", listed[3].split()[2]], ["door", "device", "store-7"],
        ["lobby", "device", "store-7"],
    ]  # fmt: skip
    # nobody else reads what is secret, from its first moment on
    assert stat.S_IMODE(fleet.stat().st_mode) == 0o700
    for path in fleet.rglob("*"):
        if path.is_file() and path.suffix not in (".crt", ".crl", ".lock") and path.name != ".lock":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    # a key is in its bundle and nowhere else
    assert b"PRIVATE KEY" not in (fleet / "registry.db").read_bytes()


def test_no_file_is_ever_readable_by_others(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for a moment, whatever the umask and whatever a killed run has left."""
    seen: list[tuple[str, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        seen.append((name, stat.S_IMODE(os.fstat(descriptor).st_mode)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    left = operator.fleet / "bundles" / "edge-tally-lobby.bundle.new"
    left.parent.mkdir()
    left.write_text("")
    left.chmod(0o644)
    umask = os.umask(0)
    try:
        operator.run("bundles", operator.table("lobby"))
        operator.run("broker", "broker.example")
    finally:
        os.umask(umask)
    modes = {name.removesuffix(".new"): mode for name, mode in seen}
    assert modes["edge-tally-lobby.bundle"] == modes["broker.example.key"] == 0o600


def test_the_authoritys_key_may_have_a_passphrase(operator: Operator, tmp_path: Path) -> None:
    secret, wrong, empty = (tmp_path / name for name in ("secret", "wrong", "empty"))
    secret.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    empty.write_text("\n")
    operator.fleet = tmp_path / "protected"
    operator.run("authority", "--name", "Example", "--passphrase-file", secret)
    key = (operator.fleet / "authority.key").read_bytes()
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(key, None)
    table = operator.table("lobby")
    for options, complaint in {
        (): "is protected: name --passphrase-file",
        ("--passphrase-file", wrong): "wrong passphrase?",
        ("--passphrase-file", empty): "must hold 1 to 1000 bytes",
        ("--passphrase-file", Path(registry.__file__)): "must hold 1 to 1000 bytes",
        ("--passphrase-file", tmp_path / "none"): "No such file",
    }.items():
        operator.run("bundles", table, *options, code=2)
        assert complaint in operator.errors
    operator.run("bundles", table, "--passphrase-file", secret)
    assert set(operator.bundles()) == {"lobby"}
    operator.run("list")  # which signs nothing
    operator.fleet = tmp_path / "fleet"
    operator.run("bundles", table, "--passphrase-file", secret, code=2)
    assert "authority.key: is not protected: leave out --passphrase-file" in operator.errors


def test_the_same_commands_again_change_nothing(operator: Operator) -> None:
    table = operator.table("lobby", "door")

    def all_of_it() -> list[str]:
        return [
            operator.run("authority", "--name", "Example Shops"),
            operator.run("broker", "broker.example"),
            operator.run("bundles", table),
        ]

    all_of_it()
    before = {
        path: path.read_bytes() for path in operator.fleet.rglob("*") if path.suffix != ".db"
        if path.is_file()
    }  # fmt: skip
    signed = operator.certificates()
    again = all_of_it()
    assert [text for text in again if "there" in text] == again
    assert operator.certificates() == signed
    assert all(path.read_bytes() == content for path, content in before.items())
    operator.run("authority", "--name", "Another", code=2)
    assert "has an authority already, by the name Example Shops" in operator.errors


def test_a_bundle_follows_its_row_while_it_is_here(operator: Operator) -> None:
    operator.run("bundles", operator.table("lobby", "door"))
    before = operator.bundles()
    assert "2 changed" in operator.run("bundles", operator.table("lobby", "door", source="demo"))
    after = operator.bundles()
    for name, content in after.items():
        assert "source: demo" in str(content.config)
        assert (content.certificate, content.key) == (before[name].certificate, before[name].key)

    (operator.fleet / "bundles" / "edge-tally-lobby.bundle").unlink()
    operator.run("revoke", "door")
    assert not list((operator.fleet / "bundles").iterdir())
    output = operator.run("bundles", operator.table("lobby", "door", "window"))
    again = "; --again DEVICE makes a new identity\n"
    assert output.splitlines(keepends=True)[:2] == [
        f"lobby: the bundle was made and is not here any more{again}", f"door: is revoked{again}"
    ]  # fmt: skip
    assert "1 bundle in" in output
    assert set(operator.bundles()) == {"window"}

    table = operator.table("lobby", "door", "window")
    operator.run("bundles", table, "--again", "lobby", "--again", "door")
    assert set(operator.bundles()) == {"door", "lobby", "window"}
    assert operator.bundles()["lobby"].key != before["lobby"].key
    operator.run("bundles", table, "--again", "cellar", code=2)
    assert f"--again cellar: is not in {table}" in operator.errors


def test_what_expires_is_renewed(operator: Operator) -> None:
    operator.run("bundles", operator.table("soon"), "--days", "20")
    operator.run("bundles", operator.table("late"), "--days", "200")
    operator.run("broker", "broker.example", "192.0.2.7", "--days", "20")
    listed = operator.run("list", "--expiring", "60")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["soon", "broker.example"]
    first = operator.bundles()["soon"]
    # one bundle has not left yet, the other has
    renewed = operator.run("renew", "--expiring", "60")
    assert renewed.count("renewed  ") == 2
    assert operator.run("list", "--expiring", "60").count("\n") == 1
    second = operator.bundles()["soon"]
    assert (second.key, second.config) == (first.key, first.config)
    assert second.certificate != first.certificate
    key = (operator.fleet / "brokers" / "broker.example.key").read_bytes()
    broker = load(operator.fleet / "brokers" / "broker.example.crt")
    private = serialization.load_pem_private_key(key, None)
    assert broker.public_key() == private.public_key()
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["broker.example", "192.0.2.7"]

    (operator.fleet / "bundles" / "edge-tally-soon.bundle").unlink()
    operator.run("renew", "soon")
    content = bundle.read(operator.fleet / "bundles" / "edge-tally-soon.bundle")
    assert (content.key, content.config) == (None, None)
    identity.prove(content, first.key)
    assert "1 away" in operator.run("bundles", operator.table("soon"))
    assert bundle.read(operator.fleet / "bundles" / "edge-tally-soon.bundle") == content
    operator.run("renew", "soon", "broker.example", "--new-key")
    content = operator.bundles()["soon"]
    assert content.key not in (None, first.key)
    assert (operator.fleet / "brokers" / "broker.example.key").read_bytes() != key
    assert operator.run("renew", "--expiring", "60") == "no certificate ends within 60 days\n"


def test_no_certificate_outlives_its_authority(operator: Operator, tmp_path: Path) -> None:
    operator.fleet = tmp_path / "short"
    operator.run("authority", "--name", "Short", "--days", "5")
    operator.run("bundles", operator.table("lobby"))
    (content,) = operator.bundles().values()
    expires = identity.prove(content, None).expires
    assert expires - datetime.now(UTC) < timedelta(days=5)


def test_a_list_of_revoked_certificates(operator: Operator) -> None:
    operator.run("bundles", operator.table("lobby", "door"))
    operator.run("renew", "lobby", "--new-key")
    old, other, new = (
        x509.load_pem_x509_certificate(pem.encode()) for _, pem in operator.certificates()
    )

    def revoked() -> list[int]:
        path = operator.fleet / "revoked.crl"
        revocations = x509.load_pem_x509_crl(path.read_bytes())
        authority = load(operator.fleet / "authority.crt")
        assert revocations.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # of any kind
        # a list that ends would lock out all devices
        assert revocations.next_update_utc == authority.not_valid_after_utc
        assert revocations.last_update_utc < datetime.now(UTC)
        return [entry.serial_number for entry in revocations]

    assert revoked() == []
    assert "revoked   1 certificate;" in operator.run("revoke", "lobby", "--older")
    assert revoked() == [old.serial_number]
    assert "revoked   1 certificate;" in operator.run("revoke", "lobby")
    assert revoked() == [old.serial_number, new.serial_number]
    assert "revoked   0 certificates;" in operator.run("revoke", "lobby")
    assert other.serial_number not in revoked()
    assert operator.run("list").splitlines()[-1].endswith("revoked")
    operator.run("renew", "lobby", code=2)
    assert "lobby: is revoked; `bundles --again lobby` lets it in again" in operator.errors


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["renew", "cellar"], "cellar: unknown; `fleet.py list` shows all names"),
        (["revoke", "cellar"], "cellar: unknown"),
        (["revoke", "broker-1"], "broker-1: is a broker"),
        (["renew"], "name devices, or say --expiring N"),
        (["renew", "lobby", "--expiring", "3"], "name devices, or say --expiring N"),
        (["client", "lobby"], "lobby: there is a device by the name lobby already"),
        (["client", "LOBBY"], "LOBBY: there is a device by the name lobby already"),
        (["client", "a/b"], "a/b: must be 1 to 64 letters"),
        (["broker", "mqtt://h"], "mqtt://h: must be a DNS name or an address"),
        (["broker", "h:8883"], "h:8883: must be a DNS name or an address"),
        (["broker", "../h"], "../h: must be a DNS name"),
        (["broker", "a..b"], "a..b: must be a DNS name"),
        (["broker", "h", "--days", "0"], "0: must be a whole number, 1 or more"),
        (["broker", "h", "--days", "99999999"], "99999999: must be 36500 days or less"),
        (["list", "--expiring", "99999999"], "99999999: must be 36500 days or less"),
        (["authority", "--name", " "], "must be 1 to 64 printable characters"),
        (["authority", "--name", "x" * 65], "must be 1 to 64 printable characters"),
    ],
)
def test_mistakes_change_nothing(operator: Operator, args: list[str], complaint: str) -> None:
    operator.run("broker", "broker-1")
    operator.run("bundles", operator.table("lobby"))
    signed = operator.certificates()
    operator.run(*args, code=2)
    assert complaint in operator.errors
    assert "Traceback" not in operator.errors
    assert operator.certificates() == signed


def test_a_folder_without_authority(operator: Operator, tmp_path: Path) -> None:
    operator.fleet = tmp_path / "none"
    operator.run("list", code=2)
    assert "none: no such folder: make an authority with `fleet.py authority`" in operator.errors
    operator.fleet.mkdir()
    operator.run("bundles", operator.table("lobby"), code=2)
    assert "has no authority.crt: make an authority" in operator.errors
    (operator.fleet / "registry.db").write_text("not a database, but long enough for a header")
    operator.run("list", code=2)
    assert "registry.db: cannot be read (file is not a database)" in operator.errors


def test_damaged_files_of_the_authority(operator: Operator) -> None:
    table, fleet = operator.table("lobby"), operator.fleet
    whole = {name: (fleet / name).read_bytes() for name in ("authority.crt", "authority.key")}
    (fleet / "authority.key").write_bytes(whole["authority.key"][:60])
    operator.run("bundles", table, code=2)
    assert f"{fleet}/authority.key: cannot be read" in operator.errors
    (fleet / "authority.key").write_text(key_pem(new_key()))
    operator.run("bundles", table, code=2)
    assert "authority.key: is not the key of the authority's certificate" in operator.errors
    (fleet / "authority.crt").write_bytes(whole["authority.crt"][:60])
    operator.run("list", code=2)
    assert f"{fleet}/authority.crt: is no certificate" in operator.errors
    (fleet / ".lock").unlink()
    (fleet / ".lock").mkdir()
    operator.run("list", code=2)
    assert f"{fleet}: cannot be written" in operator.errors


def test_the_newest_certificate_is_the_one_signed_last(operator: Operator) -> None:
    """Even if the clock was set back meanwhile."""
    operator.run("bundles", operator.table("lobby"))
    with closing(sqlite3.connect(operator.fleet / "registry.db")) as database, database:
        database.execute("UPDATE certificates SET issued = issued + 3600")
    operator.run("renew", "lobby")
    assert "revoked   1 certificate;" in operator.run("revoke", "lobby", "--older")
    assert not operator.run("list").splitlines()[-1].endswith("revoked")


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_run_that_is_killed_is_completed_by_the_next(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Killed once this number of files was written."""

    def killed(files: Mapping[Path, bytes], *, private: bool = False) -> None:
        write_all_atomically(dict(list(files.items())[:written]), private=private)
        raise KeyboardInterrupt

    def kill(command: Callable[[], str]) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(registry, "write_all_atomically", killed)
            with pytest.raises(KeyboardInterrupt):
                command()
        return command()

    names = [f"door-{number}" for number in range(6)]
    kill(lambda: operator.run("bundles", operator.table(*names)))
    assert sorted(operator.bundles()) == names
    assert dict(operator.certificates()) == {
        name: content.certificate for name, content in operator.bundles().items()
    }
    assert len(operator.certificates()) == len(names)

    shutil.rmtree(operator.fleet / "bundles")
    assert kill(lambda: operator.run("renew", *names)).count("renewed  ") == len(names)
    assert len(operator.certificates()) == 2 * len(names)
    kill(lambda: operator.run("revoke", names[0]))
    crl = x509.load_pem_x509_crl((operator.fleet / "revoked.crl").read_bytes())
    assert len(list(crl)) == 2
    assert b"PRIVATE KEY" not in (operator.fleet / "registry.db").read_bytes()


def test_a_program_that_is_killed_loses_and_doubles_nothing(operator: Operator) -> None:
    names = [f"door-{number:02}" for number in range(40)]
    command = [sys.executable, "tools/fleet.py", "bundles", str(operator.table(*names))]
    command += ["--fleet", str(operator.fleet)]
    with preloaded.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        wait_for((operator.fleet / "bundles").exists, "it writes nothing")
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "40 bundles in" in done.stdout
    assert sorted(operator.bundles()) == names
    assert sorted(name for name, _ in operator.certificates()) == names
    left = [path.name for path in (operator.fleet / "bundles").glob("*.new")]
    assert left == []
