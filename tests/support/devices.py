"""Simulated devices: this machine's own Debian, each with its own changes to it. Needs root.

On each, apt, dpkg, Python and the daemon are the real ones; systemd alone is a stand-in.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support.commands import wait_for, without
from tests.support.paths import ROOT

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MACHINE = """
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p run/systemd/system
touch "$1/up"
exec chroot . sleep infinity
"""
CONFIG = Path("/etc/edge-tally/config.yaml")
CURRENT = "/usr/lib/edge-tally/current"


@dataclass
class Device:
    """One that is installed like this machine; what it writes lies in `folder/changes`."""

    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("changes", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", MACHINE]
        log = (self.folder / "log").open("wb")
        with log:
            self.process = subprocess.Popen([*command, "sh", self.folder], stderr=log)
        wait_for(
            lambda: (self.folder / "up").exists() or self.process.poll() is not None, "no device"
        )
        if self.process.poll() is not None:
            without(f"no device can be simulated: {(self.folder / 'log').read_text()}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.leader = children.read_text().split()[0]
        # it keeps containers from starting services
        self.run("rm", "-f", "/usr/sbin/policy-rc.d")
        for name in ("systemctl", "systemd-run", "journalctl"):
            self.put(f"/usr/bin/{name}", ROOT / "tests" / "support" / "fake_systemd.py")
            self.run("chmod", "755", f"/usr/bin/{name}")

    def inside(self, *command: str | Path) -> list[str]:
        """The command as this machine starts it."""
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--pid", "--root", "--wdns=/"]
        return [*enter, "env", "-i", f"PATH={PATH}", "DEBIAN_FRONTEND=noninteractive",
                "LANG=C.UTF-8", *map(str, command)]  # fmt: skip

    def run(self, *command: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command that must end with `code`, if that is not None."""
        done = subprocess.run(
            self.inside(*command), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert code in (None, done.returncode), f"{command}: {done.stdout}{done.stderr}"
        return done

    def put(self, path: str | Path, content: str | Path) -> None:
        """Write a file, or a copy of one of this machine's."""
        text = content if isinstance(content, str) else content.read_text()
        subprocess.run(
            self.inside("sh", "-c", f'mkdir -p "$(dirname {path})" && cat > {path}'),
            input=text.encode(),
            check=True,
        )

    def read(self, path: str | Path) -> str:
        return self.run("cat", path).stdout

    def install(self, file: Path, code: int = 0) -> str:
        """Install a package; dpkg must end with `code`. Returns what was reported."""
        done = self.run("dpkg", "--install", file, code=code)
        return done.stdout + done.stderr

    def version(self) -> str:
        """The version of the package, with dpkg's state of it, such as `ii `."""
        form = "--showformat=${db:Status-Abbrev}${Version}"
        return self.run("dpkg-query", "--show", form, "edge-tally", code=None).stdout

    def is_active(self) -> bool:
        return self.run("systemctl", "is-active", code=None).stdout == "active\n"

    def logged(self) -> str:
        return self.run("journalctl").stdout

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def settings(name: str, port: int, **keys: object) -> str:
    """A device's configuration: the demo's people, seen seldom, and short windows."""
    return yaml.safe_dump(
        {
            "site": "test",
            "device": name,
            "source": "demo",
            "camera": {"fps": 1},
            "window": {"seconds": 2},
            "privacy": {"max_hold": 2},
            "mqtt": {"host": "127.0.0.1", "port": port},
            "state_dir": "/var/lib/edge-tally",
        }
        | keys
    )


def libraries(folder: Path) -> Path:
    """A folder in place of a release's libraries: those that these tests run with."""
    folder.mkdir(parents=True, exist_ok=True)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (folder / "tests.pth").write_text(f"{here}\n")
    return folder


def package(folder: Path, revision: int, source: Path = ROOT) -> Path:
    """The package of `source`, with the libraries of these tests in place of its own."""
    run = subprocess.run(
        [source / "systemd" / "package", "--python", sys.executable, "--revision", str(revision),
         "--libraries", libraries(folder / "libraries"), "--out", folder],
        capture_output=True, text=True,
        env=os.environ | {"COMPRESSION": "none", "SOURCE_DATE_EPOCH": "1790000000"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.strip())


def broken(folder: Path) -> Path:
    """A copy of the project whose daemon passes every check, but ends with its first frame."""
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "state", "tests")
    shutil.copytree(ROOT, folder, ignore=ignored)
    reporter = folder / "edge" / "reporter.py"
    line = '            log.info("counting: first frame'
    text = reporter.read_text()
    assert line in text
    crash = '            raise SystemExit("broken release")\n'
    reporter.write_text(text.replace(line, crash + line))
    return folder
