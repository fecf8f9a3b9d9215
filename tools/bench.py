"""Measure the daemon on this machine: processor time, stages, memory, start; beside other ways.

python tools/bench.py --page bench.md
python tools/bench.py clip.mp4 --memory 60 --baselines
python tools/bench.py clip.mp4 --json > old.json
python tools/bench.py clip.mp4 --compare old.json
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge.config import Config
from edge.errors import ConfigError, EdgeError
from tools import latency
from tools.cli import outputs
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, at_least, named_source, output_file
from tools.evaluation import bench_parts
from tools.evaluation.bench_report import COMPARED, SECTIONS, compared_lines, page
from tools.evaluation.daemon import measure_daemon
from tools.evaluation.machine import condition, machine
from tools.evaluation.replay import load_unrestricted
from tools.simulation.flow import flow

PAGE_MEMORY_S = 60
"""Seconds after which memory is measured for a page."""


def read_speed(path: Path) -> dict[str, float]:
    """The figures that --json wrote. Raises ConfigError."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(figures["speed"][name]) for name in COMPARED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: has no figures of tools/bench.py --json ({' '.join(str(error).split())})"
        ) from error


def measurements(args: argparse.Namespace, config: Config) -> Iterator[tuple[str, Any]]:
    """The parts of the figures that the options ask for, one after another. Raises EdgeError."""
    yield "machine", machine()
    yield "command", sys.argv[1:]
    yield "before", condition()
    speed = None
    if args.has_clip:
        speed = bench_parts.clip_speed(config)
        yield "speed", speed
    if args.scenes:
        yield "scenes", bench_parts.by_scene(config, flow, args.seconds)
        yield "threads", list(bench_parts.by_threads(config, flow, args.seconds))
    if args.scenes or args.faces:
        yield "faces", bench_parts.by_faces(config, flow, args.seconds)
    if args.baselines:
        yield "baselines", bench_parts.beside_others(config, speed, flow, args.seconds)
    if config.classifier.model.is_file() and not args.json:  # absent if nothing is estimated
        yield "models", latency.measure(config.classifier.model, None)
    if args.memory:
        yield "daemon", measure_daemon(args.config, args.memory).as_json()
    yield "after", condition()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a recording; default: the configuration's, or none with --page")
    add_config(parser)
    parser.add_argument(
        "--memory",
        type=at_least(1),
        metavar="SECONDS",
        help="also run a daemon, measure how soon it counts and, after this long, its memory",
    )
    parser.add_argument(
        "--scenes",
        action="store_true",
        help="also measure simulated views: still, busy and crowded",
    )
    parser.add_argument(
        "--faces",
        type=output_file(".png"),
        metavar="PNG",
        help="also draw what 1 to 20 faces in view cost (needs matplotlib, of make tools)",
    )
    parser.add_argument(
        "--baselines", action="store_true", help="also measure other ways to look at the frames"
    )
    parser.add_argument(
        "--seconds", type=at_least(2), default=8, help="length of each simulated view; default: 8"
    )
    parser.add_argument(
        "--page",
        type=output_file(".md"),
        metavar="MD",
        help="measure all of this and write a page to send in; takes some minutes",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object instead")
    output.add_argument(
        "--compare", type=Path, metavar="JSON", help="an earlier --json, to compare with"
    )
    outputs.add_arguments(parser)
    add_verbose(parser)
    args = parser.parse_args()
    args.source = named_source(parser, args)
    made = args.page or args.scenes or args.faces
    args.has_clip = args.source is not None or not made
    if args.compare and not args.has_clip:
        parser.error("--compare: name the recording that was measured")
    if args.page:
        args.scenes = args.baselines = True
        args.memory = args.memory or PAGE_MEMORY_S
    return args


def check_outputs(args: argparse.Namespace) -> None:
    """Raises ConfigError if what takes minutes to measure could not be written."""
    for option in ("page", "faces"):
        if path := getattr(args, option):
            outputs.need_free(f"--{option}", path, force=args.force)
            if not os.access(path.parent, os.W_OK):
                raise ConfigError(f"--{option} {path}: cannot be written in this folder")
    if args.faces and find_spec("matplotlib") is None:
        raise ConfigError("--faces: matplotlib is not installed; run make tools")


def run(args: argparse.Namespace) -> None:
    """Measure, print and write. Raises EdgeError."""
    check_outputs(args)
    old = None if args.compare is None else read_speed(args.compare)
    config = load_unrestricted(args.config, args.source)
    figures: dict[str, Any] = {}
    for name, part in measurements(args, config):
        figures[name] = part
        if not args.json:
            print("\n".join(SECTIONS[name](part)), flush=True)
            if name == "speed" and old is not None:
                print("\n".join(compared_lines(old, part)), flush=True)
    if args.json:
        print(json.dumps(figures, indent=1))
    if args.faces:
        from tools.plotting.charts import save_costs

        save_costs(figures["faces"], args.faces)
    if args.page:
        args.page.write_text(page(figures), encoding="utf-8")


def main() -> int:
    args = options()
    try:
        run(args)
    except EdgeError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # the disk is full
        print(f"bench: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return EdgeError.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
