"""The daemon as a process: how soon it counts, and how much memory it takes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from tools.cli.progress import bar
from tools.evaluation.speed import rounded

FIRST_FRAME = "first frame analyzed"
"""What the daemon logs."""
LONGEST_START_S = 120.0
"""Wait this long for the first frame; a Zero 2 W takes some seconds."""
POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Daemon:
    """One run of the daemon on the demo scene."""

    first_frame_s: float
    """From its start to its first analyzed frame, wall-clock time."""
    first_frame_cpu_s: float
    """Processor time until then."""
    seconds: float
    steady_mb: float
    """Resident memory after this many seconds, MiB."""
    peak_mb: float
    """Largest resident memory until then."""

    def as_json(self) -> dict[str, Any]:
        return dict(rounded(asdict(self)))


def measure_daemon(config_path: Path, seconds: int) -> Daemon:
    """Run the daemon with its own clock on the demo scene for this long. Raises EdgeError."""
    command = [sys.executable, "-m", "edge", "run", "--config", str(config_path)]
    command += ["--source", "demo", "--stdout"]
    begin = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as daemon:
        hangs = threading.Timer(LONGEST_START_S, daemon.kill)
        hangs.start()
        try:
            assert daemon.stderr is not None
            is_counting = _is_logged(FIRST_FRAME, daemon.stderr)
            hangs.cancel()
            if not is_counting:
                daemon.wait()
                raise EdgeError(
                    f"the daemon ended with {daemon.returncode}; see {' '.join(command[1:])}"
                )
            first_frame_s, first_frame_cpu_s = time.monotonic() - begin, _cpu_s(daemon.pid)
            for _ in bar(range(round(seconds / POLL_S)), round(seconds / POLL_S), "memory"):
                time.sleep(POLL_S)
                if daemon.poll() is not None:
                    raise EdgeError(
                        f"the daemon ended with {daemon.returncode}; see {' '.join(command[1:])}"
                    )
            memory = _memory_mb(daemon.pid)
        finally:
            hangs.cancel()
            daemon.send_signal(signal.SIGTERM)
    return Daemon(first_frame_s, first_frame_cpu_s, seconds, memory["VmRSS"], memory["VmHWM"])


def _is_logged(text: str, lines: Iterable[str]) -> bool:
    return any(text in line for line in lines)


def _cpu_s(pid: int) -> float:
    """Processor time of a process, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}
