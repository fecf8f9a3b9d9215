"""Run the real pipeline over clips and compare what it counts with who was there.

python tools/replay.py clips/crowd-a.mp4 --truth clips/crowd-a.yaml
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from scipy.optimize import linear_sum_assignment

from edge import build
from edge.config import Config, load_config
from edge.errors import ConfigError, EdgeError
from edge.health import STAGES, Health
from edge.pipeline import Pipeline
from edge.records import LABELS, UNKNOWN, People, Visit, Window

MIN_OVERLAP_S = 0.2
"""A counted visit may be a true one only if they share at least this much time."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What the pipeline made of one clip."""

    visits: list[Visit]
    windows: list[Window]
    frames: int
    seconds: float
    """Wall-clock time of the whole pipeline, reading the clip included."""
    busy_ms: dict[str, float]
    """Milliseconds per frame by stage."""

    @property
    def people(self) -> People:
        return sum((window.people for window in self.windows), People())


def configured(path: Path, clip: str) -> Config:
    """The configuration at `path` for one clip, with everybody shown. Raises ConfigError."""
    config = load_config(path, source=clip)
    cv2.setNumThreads(config.detector.threads)
    everybody = config.privacy.model_copy(update={"min_people": 1})
    return config.model_copy(update={"privacy": everybody})


def replay(config: Config) -> Replay:
    """Run the configured source, a file, to its end."""
    visits: list[Visit] = []
    windows: list[Window] = []
    health = Health()
    pipeline = Pipeline(
        detect=build.detector(config),
        tracker=build.tracker(config),
        classify=build.classifier(config),
        counter=build.counter(config),
        health=health,
        on_window=windows.append,
        on_visit=visits.append,
    )
    pipeline.run(build.frames(config))
    busy, elapsed = health.totals()
    frames = max(1, health.frames_total)
    busy_ms = {stage: 1000 * busy[stage] / frames for stage in STAGES}
    return Replay(visits, windows, health.frames_total, elapsed, busy_ms)


def read_truth(path: Path, clip: str) -> dict[str, Any]:
    """The truth about one clip: from its own YAML, or from a folder's clips.yaml.

    Raises ConfigError where there is none.
    """
    if path.is_dir():
        own = path / f"{Path(clip).stem}.yaml"
        path = own if own.exists() else path / "clips.yaml"
    try:
        truth = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"truth {path}: cannot be read ({error})") from error
    if isinstance(truth, dict) and Path(clip).name in truth:
        truth = truth[Path(clip).name]
    if not isinstance(truth, dict) or not {"female", "male"} & set(truth):
        raise ConfigError(f"truth {path}: says nothing about {Path(clip).name}")
    return truth


def match(visits: list[Visit], truth: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Pairs (visit, true visit), each at most once, that share the most time in sum."""
    shared = np.array(
        [
            [max(0.0, min(v.end, t["last_s"]) - max(v.start, t["first_s"])) for t in truth]
            for v in visits
        ]
    ).reshape(len(visits), len(truth))
    span = np.array(
        [[max(v.end, t["last_s"]) - min(v.start, t["first_s"]) for t in truth] for v in visits]
    ).reshape(shared.shape)
    rows, columns = linear_sum_assignment(-shared / np.maximum(span, 1e-9))
    return [(i, j) for i, j in zip(rows, columns, strict=True) if shared[i, j] >= MIN_OVERLAP_S]


def show(clip: str, run: Replay, truth: dict[str, Any] | None) -> None:
    """One block per clip."""
    counted = run.people
    print(f"{Path(clip).name}")
    print(f"  counted   {_split(counted)}")
    if truth is not None:
        there = People(truth.get("female", 0), truth.get("male", 0), truth.get("unsure", 0))
        error = (counted.total - there.total) / there.total if there.total else counted.total
        print(f"  truth     {_split(there)}")
        print(f"  error     {error:+.1%}" if there.total else f"  invented  {counted.total}")
        if "visits" in truth:
            _show_visits(run.visits, truth["visits"])


def _show_visits(visits: list[Visit], truth: list[dict[str, Any]]) -> None:
    pairs = match(visits, truth)
    right = sum(visits[i].label == truth[j]["gender"] for i, j in pairs)
    unsure = sum(visits[i].label == UNKNOWN for i, _ in pairs)
    dwell = [
        abs(visits[i].end - visits[i].start - truth[j]["last_s"] + truth[j]["first_s"])
        for i, j in pairs
    ]
    print(f"  missed    {len(truth) - len(pairs)}")
    print(f"  surplus   {len(visits) - len(pairs)} (doubled or invented)")
    if pairs:
        print(
            f"  gender    {right / len(pairs):.1%}: {right} of {len(pairs)} right, {unsure} unknown"
        )
        print(f"  dwell     {np.mean(dwell):.1f} s mean error")


def _split(people: People) -> str:
    parts = ", ".join(f"{getattr(people, label)} {label}" for label in (*LABELS, UNKNOWN))
    return f"{people.total} ({parts})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--truth", type=Path, help="a YAML file, or a folder that holds them")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    args = parser.parse_args()
    print("privacy.min_people is 1 here: every person is shown")
    try:
        for clip in args.clips:
            config = configured(args.config, clip)
            truth = None if args.truth is None else read_truth(args.truth, clip)
            show(clip, replay(config), truth)
    except EdgeError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
