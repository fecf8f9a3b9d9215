"""What a measurement ran on: board, processor, governor, temperature, versions."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import edge
from edge import host

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
FREQUENCY = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq")
"""kHz."""
PACKAGES = ("opencv-python-headless", "numpy", "ai-edge-litert", "tflite-runtime")


def machine() -> dict[str, Any]:
    """Facts by name, those that do not change while it runs; None if the machine does not say."""
    khz = _read(FREQUENCY)
    return {
        "board": host.board_model(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "max_mhz": None if khz is None else int(khz) // 1000,
        "governor": _read(GOVERNOR),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {"edge-tally": edge.__version__, "python": platform.python_version()}
        | {name: number for name in PACKAGES if (number := _version(name))},
    }


def condition() -> dict[str, Any]:
    """What changes: temperature, throttling, and how many other programs want the processor."""
    return {
        "temperature_c": host.temperature_c(),
        "throttled": host.throttled(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def machine_lines(facts: dict[str, Any]) -> list[str]:
    """The facts of `machine` in words."""
    board = facts["board"] or "no board with a device tree"
    speed = "" if facts["max_mhz"] is None else f" at {facts['max_mhz']} MHz at most"
    governor = facts["governor"] or "unknown"
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return [
        f"machine   {board}: {facts['processor']}, {facts['cores']} cores{speed}",
        f"system    {facts['system']}, governor {governor}",
        f"versions  {versions}",
    ]


def condition_line(facts: dict[str, Any]) -> str:
    """The facts of `condition` in words."""
    degrees = facts["temperature_c"]
    temperature = "temperature unknown" if degrees is None else f"{degrees:g} degrees Celsius"
    bits = facts["throttled"]
    throttled = "" if bits is None else f", throttled {bits:#x}"
    return f"condition {temperature}{throttled}, load average {facts['load_average']:g}"


def _processor() -> str:
    cpu = "unknown processor"
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith(("model name", "CPU part", "Model")):
            cpu = line.split(":", 1)[1].strip()
    return cpu


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return None
