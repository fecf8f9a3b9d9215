"""Boots a Debian in a container, installs the daemon in it as a user does, and mistreats it.

    sudo .venv/bin/python tests/system/boot.py [DEBIAN PYTHON]

DEBIAN is bookworm, or another release with its PYTHON, as in `trixie python3.13`.
Needs root and `apt-get install systemd-container debootstrap`; keeps a Debian below build/boot.
The container has no network but its own loopback, so the installation is the one without internet.
Prints a line for each thing tried, and ends with 1 where one was not as it should be.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEBIAN, PYTHON = sys.argv[1:] or ("bookworm", "python3.11")
BASE = ROOT / "build" / "boot" / DEBIAN
WHEELS = BASE.with_name(f"{DEBIAN}-wheels")
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,procps,mosquitto,mosquitto-clients"
UNIT = "edge-tally.service"
CONFIG = "/etc/edge-tally/config.yaml"
TOPICS = "tally/v1/#"
SECRET = "hunter2"  # of a broker that lives for a minute
"""What the broker asks for, which only the unit's credentials know."""


@dataclass
class Machine:
    """A container that was booted."""

    folder: Path
    leader: int = 0
    """Its first process, as this machine numbers it."""

    def boot(self) -> None:
        command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]
        command += ["--private-network", "--kill-signal=SIGRTMIN+3", f"--directory={self.folder}"]
        with (self.folder.parent / "console").open("ab") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self.leader = 0
        until(self._led, "the container does not start")
        until(self._up, "systemd does not come up", 120)

    def _led(self) -> bool:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        # others come and go before it
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                self.leader = int(pid)
        return self.leader != 0

    def _up(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def inside(self, *command: str) -> list[str]:
        """The command as this machine starts it."""
        enter = ["nsenter", f"--target={self.leader}", "--all", "--wdns=/"]
        return [*enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.inside(*command), capture_output=True, text=True)
        if check and done.returncode != 0:
            fail(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", UNIT).stdout.strip()

    def journal(self) -> str:
        return self.run("journalctl", f"--unit={UNIT}", "--output=cat", "--no-pager").stdout

    def files(self) -> set[str]:
        """All that lies on the disk, but what any use of a machine leaves there."""
        passing = ("/var/log", "/var/tmp", "/tmp", "/run", "/var/lib/mosquitto", "/var/lib/systemd")
        found: set[str] = set()
        for path, folders, names in os.walk(self.folder):
            place = "/" + os.path.relpath(path, self.folder).removeprefix(".")
            if place.startswith(passing):
                folders.clear()
                continue
            found |= {f"{place.rstrip('/')}/{name}" for name in [*folders, *names]}
        return found

    @property
    def config(self) -> Path:
        return self.folder / "etc" / "edge-tally" / "config.yaml"

    def current(self) -> str:
        """Where the release lies that is in use."""
        return self.run("readlink", "-f", "/opt/edge-tally/current").stdout.strip()

    def halt(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class Dashboard:
    """Everything the broker sends, with the time it came."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._file = machine, machine.folder.parent / "messages"
        self.open()

    def open(self) -> None:
        command = ["mosquitto_sub", "-i", "dashboard", "-c", "-h", "127.0.0.1", "-q", "1"]
        command += ["-F", "%U %t %p", "-u", "dashboard", "-P", SECRET, "-t", TOPICS]
        with self._file.open("ab") as file:
            # not one of the container's processes, which would have to end before it does
            enter = ["nsenter", f"--target={self._machine.leader}", "--mount", "--net"]
            self._process = subprocess.Popen([*enter, *command], stdout=file)

    def messages(self, name: str) -> list[tuple[float, str]]:
        """When each message of the topics that end in `name` came, and its payload."""
        lines = self._file.read_text().splitlines()
        fields = (line.split(" ", 2) for line in lines if line.count(" ") > 1)
        return [
            (float(when), payload) for when, topic, payload in fields if topic.endswith(f"/{name}")
        ]

    def windows(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, payload in self.messages("window")]

    def came(self, since: int) -> list[str]:
        """What was said of the device's availability after the first `since` messages."""
        return [payload for _, payload in self.messages("availability")[since:]]

    def last(self) -> float:
        """When availability was told last."""
        return self.messages("availability")[-1][0]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("needs root: a container is booted")
    for program in ("systemd-nspawn", "debootstrap"):
        if shutil.which(program) is None:
            sys.exit(f"needs {program}: apt-get install systemd-container debootstrap")
    if shutil.which(PYTHON) is None:
        sys.exit(f"needs {PYTHON} on the PATH: it chooses the wheels for {DEBIAN}")
    BASE.parent.mkdir(parents=True, exist_ok=True)
    debian()
    with tempfile.TemporaryDirectory(dir=BASE.parent) as scratch:
        machine = Machine(Path(scratch) / "root")
        subprocess.run(["cp", "-a", BASE, machine.folder], check=True)
        furnish(machine.folder)
        try:
            began = time.time()
            machine.boot()
            tell("boots", f"{version(machine)} in {time.time() - began:.1f} s")
            mistreat(machine)
        except SystemExit:
            console = (machine.folder.parent / "console").read_text(errors="replace")
            print(machine.journal()[-4000:] or console[-4000:], file=sys.stderr)
            raise
        finally:
            machine.halt()


def debian() -> None:
    """A bare Debian, made once."""
    if BASE.exists():
        return
    part = BASE.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(part)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    part.rename(BASE)


def furnish(root: Path) -> None:
    """The project, its wheels, and a broker that asks for a password."""
    project = root / "srv" / "edge-tally"
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "state")
    shutil.copytree(ROOT, project, ignore=ignored)
    if not WHEELS.exists():
        command = [str(ROOT / "systemd" / "wheels"), str(WHEELS), PYTHON, os.uname().machine]
        subprocess.run(command, check=True, stdout=sys.stderr)
    shutil.copytree(WHEELS, root / "srv" / "wheels")
    (root / "etc" / "mosquitto" / "conf.d" / "test.conf").write_text(
        "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n"
        "listener 8883 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\n"
        "cafile /etc/mosquitto/certs/authority.crt\ncrlfile /etc/mosquitto/certs/revoked.crl\n"
        "certfile /etc/mosquitto/certs/localhost.crt\nkeyfile /etc/mosquitto/certs/localhost.key\n"
    )
    (root / "boot" / "firmware").mkdir(parents=True, exist_ok=True)
    folder = fleet(root, "authority", "--name", "Test")
    fleet(root, "broker", "localhost", "127.0.0.1")
    for name in ("authority.crt", "revoked.crl", "brokers/localhost.crt", "brokers/localhost.key"):
        shutil.copy(folder / name, root / "etc" / "mosquitto" / "certs")
    (root / "etc" / "mosquitto" / "passwords").touch()


def fleet(root: Path, *command: str | Path) -> Path:
    """Run the operator's tool and return its folder."""
    folder = root.parent / "fleet"
    tool = [sys.executable, ROOT / "tools" / "fleet.py", *command, "--fleet", folder]
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        fail(done.stderr)
    return folder


def mistreat(machine: Machine) -> None:
    """What a Pi at somebody's home goes through, a line of the report each."""
    for user in ("door", "dashboard"):
        machine.run("mosquitto_passwd", "-b", "/etc/mosquitto/passwords", user, SECRET)
    machine.run("chown", "-R", "mosquitto:", "/etc/mosquitto/certs")
    machine.run("systemctl", "restart", "mosquitto")
    machine.run("mkdir", "-p", "/etc/credstore")
    before = machine.files()
    dashboard = Dashboard(machine)
    refused(machine)
    first_installation(machine, dashboard)
    rights(machine)
    aim(machine, dashboard)
    kill(machine, dashboard)
    freeze(machine, dashboard)
    reload(machine, dashboard)
    mistake(machine)
    upgrade(machine, dashboard)
    failed_upgrade(machine)
    reboot(machine, dashboard)
    enroll(machine, dashboard)
    stop(machine, dashboard)
    nothing_lost(dashboard)
    uninstall(machine, dashboard, before)


def refused(machine: Machine) -> None:
    """An outbox that cannot be opened: what was installed is taken away again."""
    state = machine.folder / "var" / "lib" / "private"
    (state / "edge-tally" / "outbox.db").mkdir(parents=True)
    state.chmod(0o700)
    machine.run("mkdir", "/etc/edge-tally")
    configure(machine, seconds=3)
    done = install(machine, check=False)
    shutil.rmtree(state / "edge-tally" / "outbox.db")
    expect("the new release does not start" in done.stderr, done.stderr)
    expect(machine.show("LoadState") == "not-found", "the unit is still there")
    expect(not (machine.folder / "opt" / "edge-tally").exists(), "the release is still there")
    tell("refused", "an installation that does not start is taken away again")


def first_installation(machine: Machine, dashboard: Dashboard) -> None:
    for name, text in (("username", "door"), ("password", SECRET)):
        file = machine.folder / "etc" / "credstore" / f"edge-tally.mqtt-{name}"
        file.write_text(text)
        file.chmod(0o600)
    configure(machine, seconds=3)
    began = time.time()
    told = install(machine).stdout
    for part in ("config", "model", "faces", "camera", "broker"):
        expect(f"ok    {part}" in told, f"{part} is not well: {told}")
    expect(machine.show("ActiveState") == "active", "the unit is not active")
    tell("install", f"offline, each part proved, counting after {time.time() - began:.0f} s")
    until(dashboard.windows, "no window")
    expect(SECRET not in machine.journal(), "the password is in the journal")


def rights(machine: Machine) -> None:
    status = machine.run("cat", f"/proc/{machine.show('MainPID')}/status").stdout
    held = dict(line.split(":\t", 1) for line in status.splitlines())
    expect(int(held["CapEff"], 16) == 0, "it has capabilities")
    expect((held["NoNewPrivs"], held["Seccomp"]) == ("1", "2"), "it may call what it likes")
    expect("0" not in held["Uid"].split(), "it is root")
    tell("rights", f"user {held['Uid'].split()[0]}, no capability, system calls filtered")


def aim(machine: Machine, dashboard: Dashboard) -> None:
    """The page to aim the camera, with the rights of the service and, to write, without them.

    The daemon lends its camera for both.
    """
    config = machine.config.read_text()
    options = ("aim", "--source", "demo", "--minutes", "0.05")
    shown = machine.run("/opt/edge-tally/current/cage", *options).stdout
    expect("http://127.0.0.1:8765/#" in shown and shown.endswith("ended\n"), shown)
    done = machine.run("/opt/edge-tally/current/cage", *options, "--write", check=False)
    expect(done.returncode == 2 and "cannot be written by this user" in done.stderr, done.stderr)
    python = "cd /opt/edge-tally/current && venv/bin/python -m edge"
    machine.run("sh", "-c", f"{python} {' '.join(options)} --write --config {CONFIG}")
    expect(machine.config.read_text() == config, "the configuration was changed")
    reloads = "configuration reloaded"
    until(lambda: machine.journal().count(reloads) == 2, "the camera does not come back")
    until(lambda: dashboard.came(0)[-1:] == ["online"], "it does not go on")
    low = [window for window in dashboard.windows() if window["coverage"] < 0.5]
    expect(low != [], "no window has a lower coverage")
    tell("aimed", "with the service's rights, which do not reach to its configuration")


def kill(machine: Machine, dashboard: Dashboard) -> None:
    online = len(dashboard.messages("availability"))
    began = time.time()
    machine.run("sh", "-c", f"kill -KILL {machine.show('MainPID')}")
    until(lambda: machine.show("NRestarts") == "1", "it is not started again")
    until(lambda: dashboard.came(online) == ["offline", "online"], "no will, or no birth")
    tell("killed", f"offline, and online again after {dashboard.last() - began:.1f} s")


def freeze(machine: Machine, dashboard: Dashboard) -> None:
    until(lambda: machine.show("ActiveState") == "active", "it is not ready")
    online = len(dashboard.messages("availability"))
    began = time.time()
    machine.run("sh", "-c", f"kill -STOP {machine.show('MainPID')}")
    until(lambda: machine.show("NRestarts") == "2", "the watchdog does not bark", 120)
    until(lambda: dashboard.came(online)[-1:] == ["online"], "no birth")
    expect("Watchdog timeout" in machine.journal(), "it was not the watchdog")
    tell("frozen", f"the watchdog has it online again after {dashboard.last() - began:.1f} s")


def reload(machine: Machine, dashboard: Dashboard) -> None:
    online = len(dashboard.messages("availability"))
    # before it is ready, there is nothing to reload
    until(lambda: machine.show("ActiveState") == "active", "it is not ready")
    process = machine.show("MainPID")
    configure(machine, seconds=2)
    began = time.time()
    machine.run("systemctl", "reload", UNIT)
    until(lambda: dashboard.windows()[-1]["window"]["seconds"] == 2, "no window of 2 s")
    until(lambda: dashboard.came(online) == ["stopped", "online"], "it does not go on")
    expect(machine.show("MainPID") == process, "it is another process")
    tell("reloaded", f"windows are 2 s long, online after {dashboard.last() - began:.1f} s")


def mistake(machine: Machine) -> None:
    process = machine.show("MainPID")
    configure(machine, seconds=-1)
    machine.run("systemctl", "reload", UNIT)
    until(lambda: "the configuration stays as it was" in machine.journal(), "nothing is said")
    expect(machine.show("MainPID") == process, "it is another process")
    expect(machine.show("ActiveState") == "active", "it is not active")
    configure(machine, seconds=2)
    tell("mistaken", "window.seconds: -1 is told in the journal and changes nothing")


def upgrade(machine: Machine, dashboard: Dashboard) -> None:
    release, config = machine.current(), machine.config.read_text()
    seq = dashboard.windows()[-1]["seq"]
    online = len(dashboard.messages("availability"))
    install(machine)
    until(lambda: dashboard.came(online) == ["stopped", "online"], "it does not go on")
    until(lambda: dashboard.windows()[-1]["seq"] > seq + 1, "it counts no more")
    expect(machine.current() != release, "it is the old release")
    expect(not (machine.folder / release.lstrip("/")).exists(), "the old release is still there")
    expect(machine.config.read_text() == config, "the configuration was changed")
    away = dashboard.last() - dashboard.messages("availability")[-2][0]
    tell("upgraded", f"away for {away:.1f} s, with the same configuration")


def failed_upgrade(machine: Machine) -> None:
    release = machine.current()
    model = machine.folder / "srv" / "edge-tally" / "models" / "gender.tflite"
    whole = model.read_bytes()
    model.write_bytes(whole[:1000])
    done = install(machine, check=False)
    model.write_bytes(whole)
    expect(done.returncode == 1, "a release without a model was installed")
    expect("model does not work" in done.stderr, done.stderr)
    expect(machine.current() == release, "the release was changed")
    until(lambda: machine.show("ActiveState") == "active", "the old release does not go on")
    expect(len(list((machine.folder / "opt/edge-tally/releases").iterdir())) == 1, "leftovers")
    tell("half", "an upgrade with half a model is refused, and the old release goes on")


def reboot(machine: Machine, dashboard: Dashboard) -> None:
    dashboard.close()
    machine.halt()
    began = time.time()
    machine.boot()
    dashboard.open()
    count = len(dashboard.windows())
    until(lambda: len(dashboard.windows()) > count + 2, "it does not count")
    ready = int(machine.show("ActiveEnterTimestampMonotonic")) - int(
        machine.run("systemctl", "show", "--value", "--property=UserspaceTimestampMonotonic").stdout
    )
    # what was on its way before comes first
    fresh = [
        when
        for when, payload in dashboard.messages("window")
        if datetime.fromisoformat(json.loads(payload)["window"]["start"]).timestamp() > began
    ]
    first = f"first window of 2 s after {min(fresh) - began:.1f} s"
    tell("rebooted", f"counting {ready / 1e6:.1f} s after systemd, {first}")


def enroll(machine: Machine, dashboard: Dashboard) -> None:
    """A bundle on the boot partition, then a renewed certificate: the broker knows the device."""
    boot = machine.folder / "boot" / "firmware"
    table, common = (machine.folder.parent / name for name in ("devices.csv", "common.yaml"))
    table.write_text("device,site,mqtt.host,mqtt.port\npi,test,127.0.0.1,8883\n")
    settings = json.loads(machine.config.read_text())
    del settings["device"], settings["mqtt"]
    common.write_text(json.dumps(settings))
    for command in (("bundles", table, "--config", common), ("renew", "pi")):
        folder = fleet(machine.folder, *command)
        shutil.move(folder / "bundles" / "edge-tally-pi.bundle", boot)
        online, seq = len(dashboard.messages("availability")), dashboard.windows()[-1]["seq"]
        began = time.time()
        machine.run("/opt/edge-tally/current/install")
        until(lambda: dashboard.came(online) == ["stopped", "online"], "it does not go on")  # noqa: B023  # asked at once
        until(lambda: dashboard.windows()[-1]["seq"] > seq + 1, "it counts no more")  # noqa: B023  # asked at once
        expect(not list(boot.iterdir()), "the bundle is still there")
        tell("enrolled", f"{command[0]}: online again after {dashboard.last() - began:.1f} s")
    log = (machine.folder / "var" / "log" / "mosquitto" / "mosquitto.log").read_text()
    expect(log.count("edge-tally/test/pi (p5, c1, k26, u'pi')") >= 2, "the broker knows another")
    store = machine.folder / "etc" / "credstore"
    modes = {file.name: f"{file.stat().st_mode:o}" for file in store.iterdir()}
    expect(set(modes.values()) == {"100600"}, f"others may read: {modes}")


def stop(machine: Machine, dashboard: Dashboard) -> None:
    online = len(dashboard.messages("availability"))
    began = time.time()
    machine.run("systemctl", "stop", UNIT)
    until(lambda: dashboard.came(online) == ["stopped"], "it does not say that it stopped")
    expect(machine.show("Result") == "success", f"it ended with {machine.show('Result')}")
    tell("stopped", f"in order, after {time.time() - began:.1f} s")


def nothing_lost(dashboard: Dashboard) -> None:
    windows = {(window["epoch"], window["seq"]): window for window in dashboard.windows()}
    expect(len({epoch for epoch, _ in windows}) == 1, "another epoch began")
    expect(sorted(seq for _, seq in windows) == list(range(1, len(windows) + 1)), "a window lacks")
    people = 0
    for _, window in sorted(windows.items()):
        people += window["people"]["total"]
        expect(window["totals"]["total"] == people, f"window {window['seq']}: totals do not add up")
    tell("in all", f"{len(windows)} windows, each there, {people} people; totals add up")


def uninstall(machine: Machine, dashboard: Dashboard, before: set[str]) -> None:
    machine.run("/opt/edge-tally/current/install", "--uninstall", "--purge")
    dashboard.close()
    left = machine.files() - before
    expect(not left, f"it leaves {', '.join(sorted(left)[:10])}")
    known = machine.run("systemctl", "list-unit-files", UNIT, check=False).stdout
    expect("0 unit files" in known, "the unit is still known")
    retained = ["timeout", "2", "mosquitto_sub", "-h", "127.0.0.1", "-u", "dashboard"]
    retained += ["-P", SECRET, "-t", TOPICS, "-t", "homeassistant/#", "--retained-only"]
    told = machine.run(*retained, check=False).stdout
    expect(not told, f"the broker remembers: {told}")
    tell("uninstalled", "no file is left, and the broker remembers nothing")


def install(machine: Machine, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = ("/srv/edge-tally/systemd/install", "--offline", "/srv/wheels")
    return machine.run(*command, check=check)


def configure(machine: Machine, seconds: float) -> None:
    settings = {
        "site": "test",
        "device": "pi",
        "source": "demo",
        "window": {"seconds": seconds},
        "privacy": {"min_people": 1},
        "mqtt": {"host": "127.0.0.1"},
        "state_dir": "/var/lib/edge-tally",
    }
    machine.config.write_text(json.dumps(settings))  # which is YAML too


def version(machine: Machine) -> str:
    return machine.run("systemctl", "--version").stdout.split("\n")[0]


def tell(what: str, how: str) -> None:
    print(f"{what:<12}  {how}", flush=True)


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        fail(otherwise)


def fail(why: str) -> None:
    sys.exit(f"FAIL  {why}")


def until(condition: Callable[[], object], otherwise: str, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            fail(f"after {timeout_s} s: {otherwise}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
