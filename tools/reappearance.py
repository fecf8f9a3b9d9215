"""Fit the odds that a new face is that of somebody who was lost to films with known paths.

python tools/reappearance.py build/crowds --every 1,4
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.errors import ConfigError, EdgeError
from tools.cli.exit import run_command
from tools.cli.options import add_config, at_least, separated
from tools.evaluation import reappearances
from tools.evaluation.count_truth import clips_in, read_truth
from tools.evaluation.logistic import Vector
from tools.evaluation.reappearances import Pair
from tools.evaluation.replay import load_unrestricted

RANGES = (-1.8, -1.0, 0.0, 1.5)
"""Bounds of the log odds that are reported."""


def collect(folders: Sequence[Path], config: Path, everys: Sequence[int]) -> list[Pair]:
    """The pairs in all clips of some folders. Raises ConfigError for one without paths."""
    pairs: list[Pair] = []
    for clip in (clip for folder in folders for clip in clips_in(folder)):
        truth = read_truth(clip.parent, str(clip))
        if not (truth.visits and truth.has_paths):
            raise ConfigError(f"truth of {clip}: has no paths; tools/crowd.py makes such films")
        for every in everys:
            pairs += reappearances.pairs_in(load_unrestricted(config, str(clip)), every, truth)
    return pairs


def print_fit(weights: Vector) -> None:
    """Print the constants of edge/tracking/reappearance.py."""
    intercept, *others = (f"{weight:.2f}" for weight in weights)
    print(f"INTERCEPT = {intercept}\nWEIGHTS = ({', '.join(others)})")


def print_check(pairs: Sequence[Pair], every: int, log_odds: Vector) -> None:
    """Print whose the likeliest pairs were, by the log odds from films that were left out."""
    best = [at for at in reappearances.likeliest(pairs, log_odds) if pairs[at].every == every]
    print(f"\n--every {every}\n    log odds  faces  expected  same  counted before")
    for low, high in zip((-np.inf, *RANGES), (*RANGES, np.inf), strict=True):
        group = [at for at in best if low < log_odds[at] <= high]
        if not group:
            continue
        expected = np.mean(1 / (1 + np.exp(-log_odds[group])))
        same = np.mean([pairs[at].is_same for at in group])
        counted = np.mean([pairs[at].is_counted for at in group])
        print(
            f"{low:5.1f} to {high:4.1f} {len(group):5} {expected:9.0%} {same:5.0%} {counted:9.0%}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="DIR", help="folders of films")
    parser.add_argument(
        "--every", type=separated(at_least(1)), default=[1], metavar="N", help="as tools/replay.py"
    )
    add_config(parser)
    args = parser.parse_args()
    try:
        pairs = collect(args.clips, args.config, args.every)
        if len({pair.film for pair in pairs}) < reappearances.PARTS:
            raise ConfigError(
                f"faces reappear in fewer than {reappearances.PARTS} films: make more"
            )
        print(f"{len(pairs)} pairs, {sum(pair.is_same for pair in pairs)} of one person")
        print_fit(reappearances.fit(pairs))
        log_odds = reappearances.log_odds_left_out(pairs)
        for every in args.every:
            print_check(pairs, every, log_odds)
    except EdgeError as error:
        print(f"reappearance: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
