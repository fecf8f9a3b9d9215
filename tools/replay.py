"""Run the real pipeline over clips and compare its counts with the truth.

python tools/replay.py --source clip.mp4 --truth clip.yaml
python tools/replay.py --clips build/crowds --every 1,4 --max-doubled 0.1
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from edge import expected_error
from edge.conditions import Conditions
from edge.config import Config
from edge.errors import EdgeError
from edge.expected_error import MISSED, SURPLUS
from edge.types import LABELS, UNKNOWN, Frame, People, Track
from tools.cli import outputs
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import (
    add_config,
    add_sources,
    at_least,
    fraction,
    named_sources,
    not_negative,
    positive,
    separated,
)
from tools.evaluation import count_metrics, count_table
from tools.evaluation.count_metrics import Figures
from tools.evaluation.count_truth import Truth, clips_in, read_truth
from tools.evaluation.replay import OnFrame, Replay, load_unrestricted, replay
from tools.plotting.film import Film, annotated
from tools.plotting.screen import Screen

Compared = tuple[str, Figures]
"""A clip's name, and how its counts compare with the truth."""


def _draw(view: Film | Screen, frame: Frame, tracks: Sequence[Track]) -> None:
    view(annotated(frame, tracks), frame.mono)


def print_report(clip: str, run: Replay, figures: Figures | None) -> None:
    """Print one block of lines about a clip."""
    print(Path(clip).name)
    print(f"  counted   {by_label(run.people)} in {run.frames} frames")
    if run.ages:
        ages = ", ".join(f"{number} of {age}" for age, number in run.ages.items() if number)
        print(f"  ages      {ages or 'nobody'}")
    if figures is None:
        return
    print(f"  people    {figures.people}")
    error = f"{figures.count_error:+.1%}" if figures.people else f"{figures.counted} of 0"
    print(f"  error     {error}")
    print(f"  missed    {figures.missed}")
    print(f"  doubled   {figures.doubled}")
    print(f"  invented  {figures.invented}")
    if figures.matched:
        fraction = figures.gender_right / figures.matched
        print(
            f"  gender    {fraction:.1%}: {figures.gender_right} of {figures.matched} right, "
            f"{figures.unknown} unknown"
        )
    if figures.dwell_error_s is not None:
        print(f"  dwell     {figures.dwell_error_s:.1f} s mean error")
    if figures.attention_error_s is not None:
        print(f"  attention {figures.attention_error_s:.1f} s mean error")
    print(f"  accuracy  {figures.accuracy:.3f} as MOTA, {figures.f1:.3f} as IDF1, over visits")
    if run.conditions is not None:
        print(f"  expected  {expectation(run.conditions)}")


def expectation(conditions: Conditions) -> str:
    """What the daemon would expect of its count, in words."""
    if unknown := expected_error.outside(conditions):
        return f"unknown: never measured in such {', '.join(unknown)}"
    shares = {
        "missed": MISSED.expect(conditions, expected_error.people_of(conditions)),
        "surplus": SURPLUS.expect(conditions, conditions.people),
    }
    return ", ".join(
        f"{name} {share.share:.1%} ({share.low:.1%} to {share.high:.1%})"
        for name, share in shares.items()
    )


def by_label(people: People) -> str:
    """The number of people, and of each label, in words."""
    parts = ", ".join(f"{getattr(people, label)} {label}" for label in (*LABELS, UNKNOWN))
    return f"{people.total} ({parts})"


def named_clips(args: argparse.Namespace) -> list[str | None]:
    """The sources on the command line; None for the configuration's. Raises ConfigError."""
    named: list[str | None] = [*named_sources(args)]
    if args.clips is not None:
        named += [str(clip) for clip in clips_in(args.clips)]
    return named or [None]


def replay_each(
    clips: Sequence[tuple[Config, Truth | None]],
    every: int,
    light: float,
    on_frame: OnFrame | None,
    on_clip: Callable[[str, Replay, Figures | None], None],
) -> list[Compared]:
    """Replay each clip; returns the figures of those with a truth. Raises EdgeError."""
    compared: list[Compared] = []
    for config, truth in clips:
        run = replay(config, every, light, on_frame)
        figures = None if truth is None else count_metrics.compare(run.visits, truth)
        on_clip(config.source, run, figures)
        if figures is not None:
            compared.append((Path(config.source).name, figures))
    return compared


def manner(every: int, light: float) -> str:
    """How clips are replayed, in words."""
    frames = "every frame" if every == 1 else f"one frame in {every}"
    return frames if light == 1 else f"{frames}, light {light:g}"


def _keep(runs: list[Replay], _clip: str, run: Replay, _figures: Figures | None) -> None:
    runs.append(run)


def as_json(compared: Sequence[Compared], runs: Sequence[Replay]) -> dict[str, Any]:
    """The figures of clips that all have a truth, each with the conditions in it."""
    table = count_table.as_json(compared)
    for clip, run in zip(table["clips"], runs, strict=True):
        clip["conditions"] = None if run.conditions is None else asdict(run.conditions)
    return table


def limits_of(args: argparse.Namespace) -> dict[str, float]:
    """The limits on the command line, by the name of their rate."""
    named = {
        "error": args.max_count_error,
        "missed": args.max_missed,
        "doubled": args.max_doubled,
        "invented": args.max_invented,
        "gender": args.min_gender,
    }
    return {name: limit for name, limit in named.items() if limit is not None}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options: clips and truth, how to replay them, outputs, limits."""
    add_sources(parser, "a recording; default: the configuration's", several=True)
    parser.add_argument("--truth", type=Path, help="a YAML file, or a folder of them")
    parser.add_argument(
        "--clips", type=Path, metavar="DIR", help="all clips of a folder that have a truth there"
    )
    add_config(parser)
    parser.add_argument(
        "--every",
        type=separated(at_least(1)),
        default=[1],
        metavar="N",
        help="use only every Nth frame; 1,4 compares both",
    )
    parser.add_argument(
        "--light",
        type=separated(positive),
        default=[1.0],
        metavar="FACTOR",
        help="make the pictures darker (0.5) or brighter; 1,0.5 compares both",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--save", type=Path, metavar="MP4", help="write an annotated clip of one source"
    )
    output.add_argument("--show", action="store_true", help="show the annotated clip in a window")
    output.add_argument("--json", action="store_true", help="print one JSON object instead")
    limits = parser.add_argument_group(
        "limits", "of all clips together, fractions of the people; beyond one, the exit code is 1"
    )
    for name in ("count-error", "missed", "doubled", "invented"):
        limits.add_argument(f"--max-{name}", type=not_negative, metavar="FRACTION")
    limits.add_argument(
        "--min-gender", type=fraction, metavar="FRACTION", help="of visits with a gender"
    )
    outputs.add_arguments(parser)
    add_verbose(parser)


def checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options; exits with a message if they contradict each other."""
    args = parser.parse_args()
    args.manners = list(product(args.every, args.light))
    if args.truth is None:
        args.truth = args.clips
    if args.save and (len(named_sources(args)) > 1 or args.clips or len(args.manners) > 1):
        parser.error("--save needs a single clip, replayed once")
    if args.truth is None and (args.json or limits_of(args)):
        parser.error("--json and limits need --truth or --clips")
    return args


def replay_all(
    args: argparse.Namespace,
    clips: Sequence[tuple[Config, Truth | None]],
    on_frame: OnFrame | None,
) -> int:
    """Replay the clips in each manner and print what they gave; returns the exit code."""
    results: list[dict[str, object]] = []
    code = 0
    for every, light in args.manners:
        words = manner(every, light)
        if len(args.manners) > 1 and not args.json:
            print(f"--- {words}")
        runs: list[Replay] = []
        on_clip = partial(_keep, runs) if args.json else print_report
        compared = replay_each(clips, every, light, on_frame, on_clip)
        if args.json:
            results.append({"every": every, "light": light, **as_json(compared, runs)})
        elif len(compared) > 1:
            print("", *count_table.lines(compared), sep="\n")
        for excess in count_table.excesses([figures for _, figures in compared], limits_of(args)):
            print(f"replay: {words}: {excess}", file=sys.stderr)
            code = 1
    if args.json:
        print(json.dumps({"replays": results}, indent=1))
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    args = checked(parser)
    if not args.json:
        print("privacy.min_people is 1 here: every person is shown")
    view: Film | Screen | None = None
    try:
        configs = [load_unrestricted(args.config, source) for source in named_clips(args)]
        clips = [
            (config, None if args.truth is None else read_truth(args.truth, config.source))
            for config in configs
        ]
        if args.save:
            outputs.need_other("--save", args.save, [config.source for config in configs])
            outputs.need_free("--save", args.save, force=args.force)
        if args.save or args.show:
            view = Film(args.save) if args.save else Screen("replay")
        return replay_all(args, clips, partial(_draw, view) if view else None)
    except EdgeError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if view is not None:
            view.close()


if __name__ == "__main__":
    run_command(main)
