#!/usr/bin/python3
"""Stands in for systemd on a simulated device: as systemctl, systemd-run or journalctl.

Its name decides which. It starts the real unit's command, waits for READY=1 and keeps what the
daemon logs. Standard library alone: Debian's own Python runs it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HOME = Path("/run/fake-systemd")
PID, STATE, LOG, NOTIFY = (HOME / name for name in ("pid", "state", "log", "notify"))
UNIT = "edge-tally.service"
FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
START_S = 60.0
ONE_VALUE = ("--property", "--working-directory", "--unit", "--lines", "--output", "--since")


def setting(key: str) -> str:
    """A key of the unit that is in force."""
    unit = next(path for folder in FOLDERS if (path := Path(folder, UNIT)).exists())
    lines = unit.read_text().splitlines()
    return next(line.split("=", 1)[1] for line in lines if line.startswith(f"{key}="))


def state() -> str:
    return STATE.read_text() if STATE.exists() else "inactive"


def supervise() -> None:
    """Run the daemon and note what becomes of it; never returns."""
    NOTIFY.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications, LOG.open("ab") as log:
        notifications.bind(str(NOTIFY))
        notifications.settimeout(0.1)
        daemon = subprocess.Popen(
            setting("ExecStart").split(),
            cwd=setting("WorkingDirectory"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"NOTIFY_SOCKET": str(NOTIFY)},
        )
        PID.write_text(str(daemon.pid))
        while daemon.poll() is None:
            try:
                lines = notifications.recv(4096).decode().splitlines()
            except TimeoutError:
                continue
            if "READY=1" in lines:
                STATE.write_text("active")
        STATE.write_text("inactive" if daemon.returncode == 0 else "failed")
        PID.unlink()
    os._exit(0)


def start(wait: bool) -> int:
    if state() in ("active", "activating"):
        return 0
    STATE.write_text("activating")
    if os.fork() == 0:
        os.setsid()
        with Path(os.devnull).open("r+b") as nothing:  # or apt would wait for the end of its output
            for descriptor in range(3):
                os.dup2(nothing.fileno(), descriptor)
        supervise()
    end = time.monotonic() + START_S
    while wait and state() == "activating" and time.monotonic() < end:
        time.sleep(0.05)
    return 0 if not wait or state() == "active" else 1


def send(number: int) -> None:
    if PID.exists():
        os.kill(int(PID.read_text()), number)


def stop() -> int:
    send(signal.SIGTERM)
    while PID.exists():
        time.sleep(0.05)
    STATE.write_text("inactive")
    return 0


def systemctl(words: list[str]) -> int:
    options = [word for word in words if word.startswith("-")]
    command = next((word for word in words if not word.startswith("-")), "")
    wait = "--no-block" not in options
    if "--version" in options:
        print("systemd 252 (252)")
    elif command == "is-active":
        if "--quiet" not in options:
            print(state())
        return 0 if state() == "active" else 3
    elif command == "show":
        print(f"LoadState=loaded\nActiveState={state()}\nUnitFileState=enabled")
    elif command == "is-enabled":
        print("enabled")
    elif command == "start":
        return start(wait)
    elif command == "stop":
        return stop()
    elif command == "restart" or (command == "reload-or-restart" and state() != "active"):
        return stop() or start(wait)
    elif command.startswith("reload"):
        send(signal.SIGHUP)
    return 0


def systemd_run(words: list[str]) -> int:
    """Run the command, in its folder, with the rights of this process."""
    while words[0].startswith("-"):
        option = words.pop(0)
        if option in ONE_VALUE:
            value = words.pop(0)
            if option == "--working-directory":
                os.chdir(value)
    return subprocess.run(words).returncode


def journalctl(words: list[str]) -> int:
    """The log; a cursor is a place in it."""
    log = LOG.read_bytes() if LOG.exists() else b""
    if "--show-cursor" in words:
        print(f"-- cursor: {len(log)}")
        return 0
    begin = int(words[words.index("--after-cursor") + 1]) if "--after-cursor" in words else 0
    sys.stdout.write(log[begin:].decode())
    return 0


if __name__ == "__main__":
    HOME.mkdir(exist_ok=True)
    programs = {"systemctl": systemctl, "systemd-run": systemd_run, "journalctl": journalctl}
    sys.exit(programs[Path(sys.argv[0]).name](sys.argv[1:]))
