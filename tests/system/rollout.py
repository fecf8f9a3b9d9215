"""Brings releases and configurations to simulated devices, good ones and broken ones, with Ansible.

    sudo PATH=ansible/bin:$PATH PYTHONPATH=. .venv/bin/python tests/system/rollout.py

Needs root, mosquitto, reprepro, and `pip install ansible-core` in an environment of its own, here
`ansible`. Each device is this machine's Debian with its own changes (tests/support/devices.py).
apt, dpkg, the package's scripts, the repository, Ansible with the role of docs/fleet/ansible, the
daemons and the broker are real. Instead of a network there is `SSH` below, and instead of the
package's libraries those of these tests. Prints a line for each thing tried, and ends with 1 if one
is not as it should be.
"""

import argparse
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.broker import Mosquitto, Subscriber, free_port
from tests.support.devices import CONFIG, Device, broken, package
from tests.support.paths import ROOT

ROLE = ROOT / "docs" / "fleet" / "ansible"
GOOD, BROKEN, BETTER = 1, 2, 3
"""Revisions of the package."""
SSH = """#!/bin/sh
# ssh [OPTION...] DEVICE COMMAND
while [ $# -gt 2 ]; do shift; done
exec nsenter --target "$(cat "{folder}/$1/leader")" --mount --pid --root --wdns=/ \\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -c "$2"
"""


class Fleet:
    """Simulated devices, the repository they update from, and the broker they publish to."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.names = [f"device-{n:02}" for n in range(1, number + 1)]
        self.devices: dict[str, Device] = {}
        self.settings: dict[str, Any] = {
            "source": "demo",
            "camera": {"fps": 1},
            "window": {"seconds": 5},
            "privacy": {"max_hold": 5},
        }
        self.port = free_port()
        self.keys = os.environ | {"GNUPGHOME": str(folder / "gpg")}
        (folder / "gpg").mkdir(mode=0o700)
        command = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "fleet"]
        subprocess.run(command, env=self.keys, check=True, capture_output=True)

    def add(self, name: str) -> None:
        device = self.devices[name] = Device(self.folder / name)
        (self.folder / name / "leader").write_text(device.leader)
        # the fleet's repository alone, as it is this that is tried
        device.run("sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")

    def repository(self, *args: str | Path) -> None:
        command = [ROOT / "systemd" / "repository", self.folder / "repository", *args]
        subprocess.run(command, env=self.keys, check=True)

    def playbook(self, *args: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the playbook that users copy, on these devices."""
        hosts = {
            name: {"edge_tally_device": {"site": "test", "device": name}} for name in self.names
        }
        inventory = {
            "fleet": {
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_executable": str(self.folder / "ssh"),
                    "ansible_ssh_transfer_method": "piped",
                    "ansible_python_interpreter": "/usr/bin/python3",
                },
                "children": {
                    "canary": {"hosts": dict(list(hosts.items())[:1])},
                    "shops": {"hosts": dict(list(hosts.items())[1:])},
                },
            }
        }
        (self.folder / "inventory.yaml").write_text(yaml.safe_dump(inventory))
        extra = {
            "edge_tally_repository": f"http://127.0.0.1:{self.port}",
            "edge_tally_key": str(self.folder / "repository/public/edge-tally.asc"),
            "edge_tally_settings": self.settings | variables,
        }
        environment = {
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }
        return subprocess.run(
            ["ansible-playbook", "-i", self.folder / "inventory.yaml", "update.yaml",
             "--extra-vars", json.dumps(extra), *args],
            cwd=ROLE, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip

    def versions(self) -> Counter[str]:
        return Counter(device.version() for device in self.devices.values())

    def counting(self) -> int:
        return sum(device.is_active() for device in self.devices.values())

    def configurations(self) -> Counter[str]:
        texts = (device.read(CONFIG) for device in self.devices.values())
        return Counter(str(yaml.safe_load(text)["window"]["seconds"]) for text in texts)


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """Serve the repository as any web server would."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", port), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=20, help="default: 20, the first a canary")
    number = parser.parse_args().devices
    if os.geteuid() != 0:
        sys.exit("needs root: it mounts a file system for each device")
    for program in ("ansible-playbook", "mosquitto", "reprepro"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            sys.exit(f"needs {program}")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        fleet = Fleet(Path(scratch), number)
        (fleet.folder / "ssh").write_text(SSH.format(folder=fleet.folder))
        (fleet.folder / "ssh").chmod(0o755)
        (fleet.folder / "broker").mkdir()
        broker = Mosquitto(fleet.folder / "broker")
        broker.start()
        stack.callback(broker.stop)
        fleet.settings["mqtt"] = {"host": "127.0.0.1", "port": broker.port}
        dashboard = Subscriber(broker.port, "tally/#")
        stack.callback(dashboard.close)
        out = fleet.folder / "packages"
        out.mkdir()
        packages = {number: package(out, number) for number in (GOOD, BETTER)}
        packages[BROKEN] = package(out, BROKEN, broken(fleet.folder / "source"))
        fleet.repository("add", "fleet", packages[GOOD])
        fleet.repository("promote")
        stack.enter_context(served(fleet.folder / "repository" / "public", fleet.port))
        for name in fleet.names:
            fleet.add(name)
            stack.callback(fleet.devices[name].close)
        scenario(fleet, packages, number)
        nothing_lost(dashboard, number)


def scenario(fleet: Fleet, packages: dict[int, Path], number: int) -> None:
    installed = first_installation(fleet, number)
    before = fleet.versions()

    fleet.repository("add", "fleet", packages[BROKEN])
    tried(fleet, "broken release in canary", refused=True)
    expect(fleet.versions() == before and fleet.counting() == number, "a device has changed")

    fleet.repository("promote")
    tried(fleet, "and by mistake in stable", refused=True)
    expect(fleet.versions() == before and fleet.counting() == number, "a device has changed")

    began = time.monotonic()
    shop = fleet.devices[fleet.names[-1]]
    shop.run("apt-get", "update")
    report = shop.run("apt-get", "install", "-y", "edge-tally", code=100).stdout
    expect("the one before comes back" in report, report)
    expect(fleet.versions() == before and fleet.counting() == number, "a device has changed")
    tell("a shop told to take it", f"back by itself after {time.monotonic() - began:.0f} s")

    tried(fleet, "a mistake in config.yaml", refused=True, window={"seconds": -1})
    expect(fleet.configurations() == Counter({"5": number}), "a configuration has changed")

    fleet.repository("add", "fleet", packages[BETTER])
    tried(fleet, "a working one for canaries", "--limit", "canary")
    expect(fleet.versions()[installed] == number - 1, "not the canary alone has it")
    fleet.repository("promote")
    tried(fleet, "promoted to all")
    expect(len(fleet.versions()) == 1 and fleet.versions()[installed] == 0, "not all have it")
    tried(fleet, "another configuration", window={"seconds": 4})
    expect(fleet.configurations() == Counter({"4": number}), "not all have it")
    expect(fleet.counting() == number, "not all count")


def first_installation(fleet: Fleet, number: int) -> str:
    """Returns the version that all devices have then."""
    tried(fleet, "first installation")
    expect(fleet.counting() == number, f"{fleet.counting()} of {number} count")
    ((version, count),) = fleet.versions().items()
    expect(count == number and version.startswith("ii "), str(fleet.versions()))
    return version


def tried(fleet: Fleet, what: str, *args: str, refused: bool = False, **variables: Any) -> None:
    """Run the playbook and report what came of it."""
    began = time.monotonic()
    run = fleet.playbook(*args, **variables)
    took = time.monotonic() - began
    reached = run.stdout.split("PLAY RECAP", 1)[-1].count("changed=")
    if (run.returncode == 0) == refused:
        fail(f"{what}: ansible-playbook ended with {run.returncode}\n{run.stdout}{run.stderr}")
    if refused:
        expect(reached == 1, f"{what}: it went on to {reached} devices\n{run.stdout}")
    states = ", ".join(f"{count} with {version}" for version, count in fleet.versions().items())
    end = "stopped at the canary" if refused else f"{reached} devices"
    tell(what, f"{end} after {took:.0f} s; {states}; {fleet.counting()} count")


def nothing_lost(dashboard: Subscriber, number: int) -> None:
    numbers: dict[tuple[str, str], set[int]] = {}
    for payload in dashboard.payloads("window"):
        window = json.loads(payload)
        numbers.setdefault((window["device"], window["epoch"]), set()).add(window["seq"])
    expect(len(numbers) == number, f"{len(numbers)} outboxes on {number} devices")
    lost = sum(max(seen) - len(seen) for seen in numbers.values())
    expect(lost == 0, f"{lost} windows are missing")
    tell("windows lost", f"none of {sum(map(len, numbers.values()))}")


def tell(what: str, how: str) -> None:
    print(f"{what:<28}{how}", flush=True)


def expect(condition: object, otherwise: str) -> None:
    if not condition:
        fail(otherwise)


def fail(why: str) -> None:
    sys.exit(f"FAIL  {why}")


if __name__ == "__main__":
    main()
