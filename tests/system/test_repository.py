"""systemd/repository, as apt itself sees what it makes."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

CONTROL = """\
Package: edge-tally
Version: {version}
Architecture: {architecture}
Maintainer: test <test@localhost>
Section: net
Priority: optional
Description: nothing
"""
Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which gpg has a secret key of the fleet's and a stranger's."""
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    environment = os.environ | {"GNUPGHOME": str(home)}
    for name in ("fleet", "stranger"):
        command = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", name, "ed25519"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    yield environment
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


@pytest.fixture
def repository(tmp_path: Path, keys: dict[str, str]) -> Callable[..., Run]:
    def run(*args: str | Path) -> Run:
        words = [str(arg) for arg in args]
        return subprocess.run(
            [ROOT / "systemd" / "repository", tmp_path / "repository", *words],
            env=keys, capture_output=True, text=True,
        )  # fmt: skip

    return run


def package(folder: Path, version: str, architecture: str = "amd64") -> Path:
    tree, file = folder / "tree", folder / f"edge-tally_{version}_{architecture}.deb"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "DEBIAN").mkdir(parents=True)
    control = CONTROL.format(version=version, architecture=architecture)
    (tree / "DEBIAN" / "control").write_text(control)
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


class Device:
    """What apt has on one: its own folders, and the repository as its only source."""

    def __init__(self, folder: Path, public: Path, suite: str, component: str = "bookworm") -> None:
        self._root = folder
        for name in ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d",
                     "var/lib/apt/lists/partial", "var/cache/apt/archives/partial",
                     "var/lib/dpkg"):  # fmt: skip
            (folder / name).mkdir(parents=True)
        (folder / "var/lib/dpkg/status").touch()
        key = folder / "etc/apt/edge-tally.asc"
        shutil.copy(public / "edge-tally.asc", key)
        (folder / "etc/apt/sources.list.d/edge-tally.sources").write_text(
            f"Types: deb\nURIs: file:{public}\nSuites: {suite}\nComponents: {component}\n"
            f"Signed-By: {key}\n"
        )

    def apt(self, *args: str) -> Run:
        options = [f"Dir={self._root}", f"Dir::State::status={self._root}/var/lib/dpkg/status",
                   "APT::Sandbox::User=", "APT::Architecture=amd64",
                   "APT::Architectures=amd64"]  # fmt: skip
        return subprocess.run(
            ["apt-get", *(f"--option={option}" for option in options), *args],
            cwd=self._root, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip

    def fetch(self) -> Run:
        """Fetch the newest release's package, if the index can be trusted."""
        update = self.apt("update")
        return update if update.returncode else self.apt("download", "edge-tally")

    def files(self) -> set[str]:
        return {path.name for path in self._root.glob("*.deb")}


def test_a_release_goes_to_canaries_first(tmp_path: Path, repository: Callable[..., Run]) -> None:
    public = tmp_path / "repository" / "public"
    releases = [package(tmp_path, f"1.0.0-1+deb{number}") for number in (12, 13)]
    arm = package(tmp_path, "1.0.0-1+deb12", "arm64")
    assert repository("add", "fleet", *releases, arm).returncode == 0
    canary = Device(tmp_path / "canary", public, "canary")
    assert canary.fetch().returncode == 0
    assert canary.files() == {releases[0].name}
    shop = Device(tmp_path / "shop", public, "stable", "trixie")
    assert "Unable to locate package" in shop.fetch().stderr

    assert repository("promote").returncode == 0
    assert shop.fetch().returncode == 0
    assert shop.files() == {releases[1].name}

    bad = package(tmp_path, "1.0.1-1+deb12")
    assert repository("add", "fleet", bad).returncode == 0
    assert repository("withdraw").returncode == 0
    listed = repository("list").stdout
    assert listed.count("1.0.0-1+deb12") == 4  # two architectures in two suites
    assert "1.0.1" not in listed


def test_devices_refuse_what_the_key_has_not_signed(
    tmp_path: Path, repository: Callable[..., Run], keys: dict[str, str]
) -> None:
    public = tmp_path / "repository" / "public"
    assert repository("add", "fleet", package(tmp_path, "1.0.0-1+deb12")).returncode == 0
    device = Device(tmp_path / "device", public, "canary")
    (file,) = public.glob("pool/**/*.deb")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"edge-tally", b"edge-Tally"))
    refused = device.fetch()
    assert refused.returncode == 100
    assert not device.files()
    assert "Hash Sum mismatch" in refused.stderr
    file.write_bytes(whole)
    assert device.fetch().returncode == 0

    suite = public / "dists" / "canary"
    release = (suite / "InRelease").read_text()
    for number, (text, words) in enumerate(
        {
            release.replace("Edge Tally", "Edge tally", 1): r"BADSIG|manipulated",
            signed(suite / "Release", "stranger", keys): r"NO_PUBKEY|Missing key",
            (suite / "Release").read_text(): "not signed",
        }.items()
    ):
        (suite / "InRelease").write_text(text)
        (suite / "Release.gpg").unlink(missing_ok=True)
        new = Device(tmp_path / str(number), public, "canary")
        refused = new.fetch()
        assert refused.returncode == 100, refused.stdout
        assert re.search(words, refused.stderr), refused.stderr
        assert not new.files()


def signed(file: Path, key: str, environment: dict[str, str]) -> str:
    command = ["gpg", "--batch", "--local-user", key, "--clearsign", "--output", "-", str(file)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


def test_mistakes_are_told_in_a_line(tmp_path: Path, repository: Callable[..., Run]) -> None:
    other = package(tmp_path, "1.0.0")
    for args, words in (
        (("add", "fleet", other), f"{other} is not a package made by systemd/package"),
        (("add", "nobody", package(tmp_path, "1-1+deb12")), "gpg has no secret key nobody"),
        (("nonsense",), "usage:"),
        (("add", "fleet"), "usage:"),
    ):
        run = repository(*args)
        assert run.returncode == 2
        assert words in run.stderr
    assert repository("add", "fleet", package(tmp_path, "1-1+deb12")).returncode == 0
    assert "there is nothing in stable" in repository("withdraw").stderr
