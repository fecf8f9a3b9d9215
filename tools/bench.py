"""Measure the daemon on this machine: frames per second, time of each stage, memory.

python tools/bench.py --source clip.mp4 [--memory 60]
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import cv2

from edge.config import Config
from edge.errors import EdgeError
from tools import latency
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, at_least, named_source
from tools.cli.progress import bar
from tools.evaluation.replay import load_unrestricted, replay


def machine() -> str:
    """Processor, number of cores and the versions of Python and OpenCV."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            cpu = line.split(":", 1)[1].strip()
    cores = len(os.sched_getaffinity(0))
    return f"{cpu}, {cores} cores, Python {platform.python_version()}, OpenCV {cv2.__version__}"


def print_clip_speed(config: Config) -> None:
    """Frames per second of the whole pipeline in one process, and the time of each stage."""
    run = replay(config)
    frame_ms = 1000 * run.seconds / run.frames
    stages_ms = {**run.busy_ms, "rest": frame_ms - sum(run.busy_ms.values())}
    print(f"clip      {Path(config.source).name}: {run.frames} frames, {run.people.total} people")
    print(f"speed     {1000 / frame_ms:.1f} fps with {config.detector.threads} thread(s) for Haar")
    for name, ms in stages_ms.items():
        print(f"          {name:<9} {ms:7.2f} ms per frame  {ms / frame_ms:6.1%}")


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
    add_verbose(parser)
    args = parser.parse_args()
    source = named_source(parser, args)
    try:
        print(f"machine   {machine()}")
        config = load_unrestricted(args.config, source)
        print_clip_speed(config)
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
