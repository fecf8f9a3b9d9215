"""Measure the daemon on this machine: processor time, time of each stage, memory.

python tools/bench.py --source clip.mp4 [--memory 60]
python tools/bench.py --source clip.mp4 --json > new.json
python tools/bench.py --source clip.mp4 --compare old.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2

from edge.config import Config
from edge.errors import ConfigError, EdgeError
from tools import latency
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, at_least, named_source
from tools.cli.progress import bar
from tools.evaluation.replay import load_unrestricted
from tools.evaluation.speed import Speed, measure

COMPARED = {"ratio": "of a plain search", "cpu_ms": "ms per frame", "peak_mb": "MB"}
"""Figures that are compared, and their units."""


def machine() -> str:
    """Board, processor, number of cores and the versions of Python and OpenCV."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            cpu = line.split(":", 1)[1].strip()
    cores = len(os.sched_getaffinity(0))
    return f"{cpu}, {cores} cores, Python {platform.python_version()}, OpenCV {cv2.__version__}"


def print_speed(config: Config, speed: Speed) -> None:
    """Time per frame of the whole pipeline, beside a plain search, and of each stage."""
    name = Path(config.source).name
    print(f"clip      {name}: {speed.frames} frames, {speed.people} people")
    threads = config.detector.threads
    print(f"speed     {1000 / speed.wall_ms:.1f} fps with {threads} thread(s) for Haar")
    print(
        f"cpu       {speed.cpu_ms:.2f} ms per frame, {speed.ratio:.1%} of a plain Haar search "
        f"({speed.plain_ms:.2f} ms)"
    )
    for stage, ms in speed.stages.items():
        percentiles = ", ".join(f"{value:.2f} {p}" for p, value in ms.items() if p != "mean")
        print(f"          {stage:<9} {ms['mean']:7.2f} ms per frame; {percentiles}")
    rest = speed.wall_ms - sum(ms["mean"] for ms in speed.stages.values())
    print(f"          {'rest':<9} {rest:7.2f} ms per frame")
    print(f"peak      {speed.peak_mb:.0f} MB resident")


def read_speed(path: Path) -> dict[str, Any]:
    """The figures that --json wrote. Raises ConfigError."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(figures["speed"][name]) for name in COMPARED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: has no figures of tools/bench.py --json ({' '.join(str(error).split())})"
        ) from error


def print_comparison(old: dict[str, Any], speed: Speed) -> None:
    """How the figures changed; those of one machine at one time are comparable."""
    new = speed.as_json()
    for name, unit in COMPARED.items():
        change = f"{new[name] / old[name]:.2f} times" if old[name] else "new"
        print(f"compared  {name:<9} {old[name]:.2f} -> {new[name]:.2f} {unit}: {change}")


def print_model_speed(model: Path) -> None:
    """Milliseconds per face on each installed runtime."""
    for line in latency.measure(model, None):
        print(f"model     {line}")


def print_daemon_memory(config_path: Path, seconds: int) -> None:
    """Resident memory of a daemon on the demo scene after this many seconds."""
    command = [sys.executable, "-m", "edge", "run", "--config", str(config_path)]
    command += ["--source", "demo", "--stdout"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        for _ in bar(range(seconds), seconds, "memory"):
            time.sleep(1)
        if daemon.poll() is not None:
            raise EdgeError(f"the daemon ended with {daemon.poll()}; see {' '.join(command[1:])}")
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        daemon.terminate()
    (resident,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    kib = int(resident.split()[1])
    print(f"memory    {kib / 1024:.0f} MB resident after {seconds} s on the demo scene")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a recording; default: the configuration's")
    add_config(parser)
    parser.add_argument(
        "--memory",
        type=at_least(1),
        metavar="SECONDS",
        help="also run a daemon this long and measure its memory",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object instead")
    output.add_argument(
        "--compare", type=Path, metavar="JSON", help="an earlier --json, to compare with"
    )
    add_verbose(parser)
    args = parser.parse_args()
    source = named_source(parser, args)
    try:
        old = None if args.compare is None else read_speed(args.compare)
        config = load_unrestricted(args.config, source)
        if args.json:
            figures = {
                "machine": machine(),
                "command": sys.argv[1:],
                "speed": measure(config).as_json(),
            }
            print(json.dumps(figures, indent=1))
            return 0
        print(f"machine   {machine()}")
        print(f"command   {' '.join(['bench.py', *sys.argv[1:]])}")
        speed = measure(config)
        print_speed(config, speed)
        if old is not None:
            print_comparison(old, speed)
        if config.classifier.model.is_file():  # may be absent if nothing is estimated
            print_model_speed(config.classifier.model)
        if args.memory:
            print_daemon_memory(args.config, args.memory)
    except EdgeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
