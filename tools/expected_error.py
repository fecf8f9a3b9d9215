"""Fit the error that the daemon expects of its counts to films, or check it on others.

python tools/expected_error.py --fit build/fit-*.json --out edge/expected_error_fit.py
python tools/expected_error.py --check build/check-*.json
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import edge
from edge.errors import ConfigError, EdgeError
from edge.expected_error import LEVEL, MISSED, SURPLUS
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import output_file
from tools.evaluation import count_table, error_check, error_fit, error_module
from tools.evaluation.error_counts import Count, read_counts

MIN_FILMS = 6
"""Fewest films to fit to: there are four slopes."""


def fitted(counts: Sequence[Count]) -> str:
    """The text of edge/expected_error_fit.py. Raises ConfigError for too few films."""
    films = {count.film for count in counts}
    if len(films) < MIN_FILMS:
        raise ConfigError(f"--fit: {len(films)} films are too few, {MIN_FILMS} are the least")
    center = error_fit.typical(counts)
    missed, surplus = (error_fit.fit(counts, kind, center) for kind in ("missed", "surplus"))
    return error_module.as_module(counts, center, missed, surplus, edge.__version__)


def print_check(counts: Sequence[Count]) -> None:
    """Print how well the expected error describes counts."""
    inside = error_check.inside(counts)
    print(
        f"{len(counts)} replays, {len(counts) - len(inside)} of them in conditions never measured"
    )
    if not inside:
        return
    for kind, model in (("missed", MISSED), ("surplus", SURPLUS)):
        print(f"\n{kind:8} replays  expected  observed  within {LEVEL:.0%}  promised")
        *groups, total = error_check.by_expectation(model, inside, kind)
        for name, group in [*((f"group {n}", g) for n, g in enumerate(groups, 1)), ("all", total)]:
            covered, promised = group.covered / group.replays, group.promised / group.replays
            print(
                f"{name:8} {group.replays:7} {group.expected:9.1%} {group.observed:9.1%} "
                f"{covered:11.0%} {promised:9.0%}"
            )


def print_errors(counts: Sequence[Count]) -> None:
    """Print the true errors by frame rate and by light, each with its 95 % interval."""
    for name in ("every", "light"):
        for value in sorted({getattr(count, name) for count in counts}):
            figures = [count.figures for count in counts if getattr(count, name) == value]
            people = sum(one.people for one in figures)
            print(f"\n--{name} {value:g}: {people} people in {len(figures)} replays")
            for rate, spread in count_table.spreads(figures).items():
                print(f"  {rate:8} {count_table.shown(rate, spread)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--fit", nargs="+", type=Path, metavar="JSON", help="what tools/replay.py --json printed"
    )
    what.add_argument(
        "--check", nargs="+", type=Path, metavar="JSON", help="the same, compared with this fit"
    )
    parser.add_argument("--out", type=output_file(".py"), help="where to write the coefficients")
    outputs.add_arguments(parser)
    args = parser.parse_args()
    if (args.fit is None) != (args.out is None):
        parser.error("--fit and --out go together")
    try:
        if args.check:
            counts = read_counts(args.check)
            print_check(counts)
            print_errors(counts)
            return 0
        outputs.need_free("--out", args.out, force=args.force)
        counts = read_counts(args.fit)
        args.out.write_text(fitted(counts), encoding="utf-8")
        print(f"{args.out}: fitted to {len(counts)} replays")
    except EdgeError as error:
        print(f"expected_error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
