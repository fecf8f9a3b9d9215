"""How the daemon and its machine are doing: rates, latencies, temperature, memory."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.records import Blind

STAGES = ("detect", "track", "classify")
TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Bit field of the Raspberry Pi's firmware; 0 means never throttled since boot."""


CLOCK_SYNCED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes this file once the clock was set in this boot."""


class Health:
    """Adds up what happened since the last report."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.frames_total = 0
        self.static_faces = 0
        """Faces that never move, such as posters', which are not counted."""
        self.camera = "ok"
        """Or `lost`: no frames come, and it is tried again."""
        self._clear()

    def _clear(self) -> None:
        self._since = time.monotonic()
        self._frames = 0
        self._blind_s = 0.0
        self._busy_s = dict.fromkeys(STAGES, 0.0)
        self._calls = dict.fromkeys(STAGES, 0)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measure one call of a stage."""
        begin = time.perf_counter()
        yield
        self._busy_s[stage] += time.perf_counter() - begin
        self._calls[stage] += 1

    def frame(self) -> None:
        """One more frame was analysed."""
        self._frames += 1
        self.frames_total += 1
        self.camera = "ok"

    def blind(self, blind: Blind) -> None:
        """There was no frame to analyse."""
        self._blind_s += blind.seconds
        self.camera = "lost" if blind.lost else "ok"

    def totals(self) -> tuple[dict[str, float], float]:
        """Seconds spent in each stage, and in all, since the last report."""
        return dict(self._busy_s), time.monotonic() - self._since

    def report(self) -> dict[str, Any]:
        """Values since the last report, for the `health` topic.

        `fps`: frames analysed per second; `ms`: mean milliseconds per call of each stage;
        `blind_s`: seconds without frames; `memory_mb`: resident memory, MiB; `temperature_c` and
        `throttled` are None where the machine does not tell.
        """
        elapsed = time.monotonic() - self._since
        values = {
            "uptime_s": round(time.monotonic() - self._started),
            "frames": self.frames_total,
            "fps": round(self._frames / elapsed, 1) if elapsed > 0 else 0.0,
            "ms": {
                stage: round(1000 * self._busy_s[stage] / calls, 2) if calls else None
                for stage, calls in self._calls.items()
            },
            "camera": self.camera,
            "blind_s": round(self._blind_s, 1),
            "memory_mb": round(memory_mb(), 1),
            "static_faces": self.static_faces,
            "temperature_c": _temperature(),
            "throttled": _throttled(),
        }
        self._clear()
        return values


def memory_mb() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def clock_synced() -> bool:
    """Whether systemd-timesyncd has set this machine's clock since it booted."""
    return CLOCK_SYNCED.exists()


def _temperature() -> float | None:
    text = _text(TEMPERATURE)
    return round(int(text) / 1000, 1) if text else None


def _throttled() -> int | None:
    text = _text(THROTTLED)
    return int(text, 16) if text else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
