"""One broker process on loopback that can be killed, frozen and started again."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

READY_S = 30.0
"""Seconds a broker may take to listen."""
STOP_S = 15.0
"""Seconds a broker may take to end when asked to."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Node:
    """A broker's process, and what all its lives have cost."""

    name: str
    address: str
    port: int
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    memory_mb: float = 0.0
    """Largest resident memory, MiB."""
    _spent_s: float = field(default=0.0, init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Wait until it takes connections. Raises RuntimeError if it does not."""
        end = time.monotonic() + READY_S
        while not self.listens():
            if time.monotonic() > end or self.process is None or self.process.poll() is not None:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} does not listen on {self.address}:\n{tail}")
            time.sleep(0.05)

    def listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex((self.address, self.port)) == 0

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.measure()
        self._spent_s = self.cpu_s
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def freeze(self) -> None:
        """Let it hang: the kernel still takes connections, but nothing answers on them."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time over all its lives."""
        if self.process is None:
            return self._spent_s
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return self._spent_s + (int(stat[11]) + int(stat[12])) / TICKS

    def measure(self) -> None:
        """Note the memory it holds."""
        if self.process is not None:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            peak = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
            if peak is not None:
                self.memory_mb = max(self.memory_mb, int(peak.split()[1]) / 1024)

    def written_mb(self) -> float:
        """What it has caused to be written to disk in this life, MB."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        values = dict(line.split(": ") for line in lines)
        return int(values["write_bytes"]) / 1e6
