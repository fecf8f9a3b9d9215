"""Boots a Debian in a container, and lets apt bring releases to it: good, broken and forged.

    sudo PYTHONPATH=. .venv/bin/python tests/system/boot_package.py [DEBIAN PYTHON]

As tests/system/boot.py, whose Debian and wheels it uses; needs reprepro and gpg, too. systemd, apt,
dpkg and the whole package are real. Prints a line for each thing tried, and ends with 1 if one is
not as it should be.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.devices import broken
from tests.system import boot
from tests.system.boot import Dashboard, Machine, expect, tell, until

GOOD, BROKEN, BETTER = 1, 2, 3
"""Revisions of the package."""
OPTIONS = ("-y", "-qq", "--no-install-recommends")


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("needs root: a container is booted")
    boot.BASE.parent.mkdir(parents=True, exist_ok=True)
    boot.debian()
    with tempfile.TemporaryDirectory(dir=boot.BASE.parent) as scratch:
        machine = Machine(Path(scratch) / "root")
        subprocess.run(["cp", "-a", boot.BASE, machine.folder], check=True)
        boot.furnish(machine.folder)
        repository = Repository(Path(scratch), machine.folder / "srv" / "repository")
        try:
            machine.boot()
            live(machine, repository)
        except SystemExit:
            print(machine.journal()[-4000:], file=sys.stderr)
            raise
        finally:
            machine.halt()


class Repository:
    """What systemd/repository makes, and the key that signs it."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self.folder, self._scratch = folder, scratch
        self._environment = os.environ | {"GNUPGHOME": str(scratch / "gpg"), "COMPRESSION": "none"}
        (scratch / "gpg").mkdir(mode=0o700)
        command = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "fleet"]
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def run(self, *args: str | Path) -> None:
        command = [boot.ROOT / "systemd" / "repository", self.folder, *args]
        subprocess.run(command, env=self._environment, check=True)

    def release(self, revision: int, source: Path = boot.ROOT) -> None:
        """Build a package and put it into canary."""
        run = subprocess.run(
            [source / "systemd" / "package", "--python", boot.PYTHON, "--offline", boot.WHEELS,
             "--machine", os.uname().machine, "--revision", str(revision),
             "--out", self._scratch],
            env=self._environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.run("add", "fleet", run.stdout.strip())
        Path(run.stdout.strip()).unlink()

    def break_it(self) -> Path:
        return broken(self._scratch / "source")


def live(machine: Machine, repository: Repository) -> None:
    for user in ("door", "dashboard"):
        machine.run("mosquitto_passwd", "-b", "/etc/mosquitto/passwords", user, boot.SECRET)
    machine.run("systemctl", "restart", "mosquitto")
    machine.run("mkdir", "-p", "/etc/credstore", "/etc/edge-tally")
    before = machine.files()
    dashboard = Dashboard(machine)
    boot.first_installation(machine, dashboard)

    repository.release(GOOD)
    sources(machine)
    began = time.time()
    apt(machine, "install")
    expect(not (machine.folder / "opt/edge-tally").exists(), "the old installation is still there")
    counts(machine, dashboard)
    expect(machine.show("FragmentPath").startswith(("/lib", "/usr/lib")), "it is the old unit")
    tell("taken over", f"from systemd/install, in {time.time() - began:.0f} s")
    boot.rights(machine)

    repository.release(BROKEN, repository.break_it())
    version = installed(machine)
    began, online = time.time(), len(dashboard.messages("availability"))
    done = apt(machine, "upgrade", check=False)
    expect(done.returncode == 100, "a broken release was installed")
    expect("the one before comes back" in done.stdout + done.stderr, done.stdout + done.stderr)
    expect(installed(machine) == version, f"now it is {installed(machine)}")
    counts(machine, dashboard)
    away = dashboard.last() - dashboard.messages("availability")[online][0]
    tell("broken", f"back by itself after {time.time() - began:.0f} s, away for {away:.1f} s")

    repository.release(BETTER)
    forged(machine, repository)
    began, online = time.time(), len(dashboard.messages("availability"))
    apt(machine, "upgrade")
    expect(installed(machine) != version, "it was not updated")
    counts(machine, dashboard)
    away = dashboard.last() - dashboard.messages("availability")[online][0]
    tell("updated", f"in {time.time() - began:.0f} s, away for {away:.1f} s")

    configurations(machine)
    boot.reboot(machine, dashboard)
    boot.stop(machine, dashboard)
    boot.nothing_lost(dashboard)
    apt(machine, "purge")
    dashboard.close()
    for name in ("edge-tally.asc", "edge-tally.sources"):
        machine.run("find", "/etc/apt", "-name", name, "-delete")
    known = machine.run("systemctl", "list-unit-files", boot.UNIT, check=False).stdout
    expect("0 unit files" in known, "the unit is still known")
    # what apt keeps, and what lay there for it
    passing = ("/apt", "/srv/repository", "/var/lib/dpkg", "/var/cache")
    left = {path for path in machine.files() - before if not any(name in path for name in passing)}
    expect(not left, f"it leaves {', '.join(sorted(left)[:10])}")
    tell("purged", "no file is left")


def sources(machine: Machine) -> None:
    """Let the machine trust the repository, and nothing else."""
    key = (machine.folder / "srv/repository/public/edge-tally.asc").read_text()
    (machine.folder / "etc/apt/keyrings").mkdir(exist_ok=True)
    (machine.folder / "etc/apt/keyrings/edge-tally.asc").write_text(key)
    (machine.folder / "etc/apt/sources.list").unlink(missing_ok=True)
    (machine.folder / "etc/apt/sources.list.d/edge-tally.sources").write_text(
        "Types: deb\nURIs: file:/srv/repository/public\nSuites: canary\n"
        f"Components: {boot.DEBIAN}\nSigned-By: /etc/apt/keyrings/edge-tally.asc\n"
    )


def apt(machine: Machine, verb: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Install, upgrade or purge it as anybody would."""
    if verb != "purge":
        machine.run("apt-get", "update", "-qq")
    names = [] if verb == "upgrade" else ["edge-tally"]
    return machine.run("apt-get", verb, *OPTIONS, *names, check=check)


def installed(machine: Machine) -> str:
    form = "--showformat=${db:Status-Abbrev}${Version}"
    return machine.run("dpkg-query", "--show", form, "edge-tally").stdout


def counts(machine: Machine, dashboard: Dashboard) -> None:
    expect(machine.show("ActiveState") == "active", "the unit is not active")
    expect(installed(machine).startswith("ii "), installed(machine))
    seq = dashboard.windows()[-1]["seq"]
    until(lambda: dashboard.windows()[-1]["seq"] > seq, "it counts no more")


def forged(machine: Machine, repository: Repository) -> None:
    """A package that was changed on its way is refused, and nothing happens."""
    (file,) = (repository.folder / "public").glob(f"pool/**/*-{BETTER}+*.deb")
    version = installed(machine)
    whole = change(file, b"forged")
    done = apt(machine, "upgrade", check=False)
    expect(done.returncode == 100 and "Hash Sum mismatch" in done.stderr, done.stderr)
    expect(installed(machine) == version, f"now it is {installed(machine)}")
    change(file, whole)
    tell("forged", "a package that was changed on its way is refused")


def change(file: Path, content: bytes) -> bytes:
    """Put `content` over what lies near the end of the file, and return that."""
    with file.open("r+b") as stream:
        place = stream.seek(-1000, os.SEEK_END)
        before = stream.read(len(content))
        stream.seek(place)
        stream.write(content)
    return before


def configurations(machine: Machine) -> None:
    text = machine.config.read_text()
    later = machine.config.with_name("config.yaml.next")
    command = ("/usr/lib/edge-tally/current/configure", "/etc/edge-tally/config.yaml.next")
    for old, new, code in (('"seconds": 3', '"seconds": -1', 2), ('"demo"', '"nowhere.mp4"', 1)):
        later.write_text(text.replace(old, new))
        done = machine.run(*command, check=False)
        expect(done.returncode == code, done.stdout + done.stderr)
        expect(machine.config.read_text() == text, "the configuration was changed")
        until(lambda: machine.show("ActiveState") == "active", "it does not go on")
    later.write_text(text.replace('"seconds": 3', '"seconds": 2'))
    machine.run(*command)
    expect(machine.config.read_text() != text, "the configuration was not taken")
    tell("configured", "two mistakes changed nothing; a good one is in force")


if __name__ == "__main__":
    main()
