"""Run the real pipeline over clips and compare what it counts with who was there.

python tools/replay.py --source clip.mp4 --truth clip.yaml
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2

from edge import wiring
from edge.config import Config, load_config
from edge.errors import ConfigError, EdgeError
from edge.health import STAGES, Health
from edge.sources.name import is_live, redacted_source
from edge.sources.recordings import length
from edge.types import (
    AGES,
    LABELS,
    UNKNOWN,
    CaptureSettings,
    Frame,
    Frames,
    People,
    Track,
    Visit,
    Window,
)
from tools.cli import outputs
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, named_sources
from tools.cli.progress import bar
from tools.evaluation import count_metrics
from tools.evaluation.count_metrics import CountedVisit, Figures
from tools.plotting.drawing import Film, Screen, annotated, need_other

OnFrame = Callable[[Frame, Sequence[Track]], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the pipeline made of one clip."""

    seen: list[CountedVisit]
    windows: list[Window]
    frames: int
    seconds: float
    """Wall-clock time of the whole pipeline, reading the clip included."""
    busy_ms: dict[str, float]
    """Milliseconds per frame by stage."""

    @property
    def people(self) -> People:
        return sum((window.people for window in self.windows), People())

    @property
    def ages(self) -> dict[str, int]:
        """People by age group; empty where ages are not counted."""
        counted = [window.ages for window in self.windows if window.ages is not None]
        return dict(zip(AGES, map(sum, zip(*counted, strict=True)), strict=False))


def configured(path: Path, source: str | None = None) -> Config:
    """The configuration at `path`, or with another source, with everybody shown.

    Whoever starts a tool by hand wants to see something, so nothing rests. Raises ConfigError.
    """
    config = load_config(path, **({} if source is None else {"source": source}))
    cv2.setNumThreads(config.detector.threads)
    everybody = config.privacy.model_copy(update={"min_people": 1})
    return config.model_copy(update={"privacy": everybody, "paused": False, "quiet_hours": ()})


def is_endless(source: str) -> bool:
    """Whether `source` never ends by itself: a camera, a stream, the demo."""
    return is_live(source) or source == "demo"


def recorded(frames: Frames, config: Config) -> Frames:
    """The frames of the configured recording, with a bar on the terminal."""
    number = length(config.source, CaptureSettings(fps=config.camera.fps))
    return bar(frames, number, Path(config.source).name)


def replay(config: Config, every: int = 1, on_frame: OnFrame | None = None) -> Replay:
    """Run the configured source, a file, to its end, with each `every`th of its frames.

    Raises EdgeError, also for a source that has no end.
    """
    if is_endless(config.source):
        shown = redacted_source(config.source)
        raise ConfigError(f"source {shown}: has no end; name a file, or watch it by tools/live.py")
    ended: list[Visit] = []
    windows: list[Window] = []
    sizes: dict[int, list[float]] = {}

    def look(frame: Frame, tracks: Sequence[Track]) -> None:
        for track in tracks:
            sizes.setdefault(track.id, []).append(track.box.w)
        if on_frame is not None:
            on_frame(frame, tracks)

    health = Health()
    pipeline = wiring.pipeline(
        config,
        wiring.models(config),
        health,
        on_window=windows.append,
        on_visit=ended.append,
        on_frame=look,
    )
    with closing(wiring.frames(config)) as source, closing(recorded(source, config)) as watched:
        pipeline.run(islice(watched, 0, None, every))
    busy, elapsed = health.totals()
    frames = max(1, health.frames_total)
    busy_ms = {stage: 1000 * busy[stage] / frames for stage in STAGES}
    seen = [CountedVisit(visit, statistics.median(sizes[visit.track])) for visit in ended]
    return Replay(seen, windows, health.frames_total, elapsed, busy_ms)


def _draw(view: Film | Screen, frame: Frame, tracks: Sequence[Track]) -> None:
    view(annotated(frame, tracks), frame.mono)


def show(clip: str, run: Replay, figures: Figures | None) -> None:
    """One block per clip."""
    print(Path(clip).name)
    print(f"  counted   {split(run.people)} in {run.frames} frames")
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
        share = figures.gender_right / figures.matched
        print(
            f"  gender    {share:.1%}: {figures.gender_right} of {figures.matched} right, "
            f"{figures.unknown} unknown"
        )
    if figures.dwell_error_s is not None:
        print(f"  dwell     {figures.dwell_error_s:.1f} s mean error")
    print(f"  accuracy  {figures.accuracy:.3f} as MOTA, {figures.f1:.3f} as IDF1, over visits")


def split(people: People) -> str:
    """All, and how many of each label."""
    parts = ", ".join(f"{getattr(people, label)} {label}" for label in (*LABELS, UNKNOWN))
    return f"{people.total} ({parts})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a recording; default: the configuration's", several=True)
    parser.add_argument("--truth", type=Path, help="a YAML file, or a folder that holds them")
    add_config(parser)
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use only every Nth frame"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--save", type=Path, metavar="MP4", help="write one clip, annotated")
    shown.add_argument("--show", action="store_true", help="show it in a window")
    outputs.add_arguments(parser)
    add_verbose(parser)
    args = parser.parse_args()
    if args.every < 1:
        parser.error("--every must be 1 or more")
    named = named_sources(args)
    if args.save and len(named) > 1:
        parser.error("--save needs a single clip")
    print("privacy.min_people is 1 here: every person is shown")
    view: Film | Screen | None = None
    try:
        configs = [configured(args.config, source) for source in named or (None,)]
        if args.save:
            need_other(args.save, [config.source for config in configs])
            outputs.need_free("--save", args.save, force=args.force)
        if args.save or args.show:
            view = Film(args.save) if args.save else Screen("replay")
        draw = partial(_draw, view) if view else None
        for config in configs:
            clip = config.source
            truth = None if args.truth is None else count_metrics.read_truth(args.truth, clip)
            run = replay(config, args.every, draw)
            show(clip, run, None if truth is None else count_metrics.compare(run.seen, truth))
    except EdgeError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if view is not None:
            view.close()
    return 0


if __name__ == "__main__":
    run_command(main)
