"""Run the real pipeline over clips and compare its counts with the truth.

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
from tools.plotting.film import Film, annotated
from tools.plotting.screen import Screen

OnFrame = Callable[[Frame, Sequence[Track]], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the pipeline counted in one clip, and how fast."""

    visits: list[CountedVisit]
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
        """People by age group; empty if ages are not counted."""
        counted = [window.ages for window in self.windows if window.ages is not None]
        return dict(zip(AGES, map(sum, zip(*counted, strict=True)), strict=False))


def load_unrestricted(path: Path, source: str | None = None) -> Config:
    """The configuration at `path`, perhaps with another source, that counts always and shows all.

    Anyone who starts a tool by hand wants to see people: no pause, no quiet hours, no minimum
    number. Raises ConfigError.
    """
    config = load_config(path, **({} if source is None else {"source": source}))
    cv2.setNumThreads(config.detector.threads)
    privacy = config.privacy.model_copy(update={"min_people": 1})
    return config.model_copy(update={"privacy": privacy, "paused": False, "quiet_hours": ()})


def is_endless(source: str) -> bool:
    """Whether `source` never ends by itself: a camera, a stream, the demo."""
    return is_live(source) or source == "demo"


def with_progress(frames: Frames, config: Config) -> Frames:
    """The frames of the configured recording, with a progress bar on the terminal."""
    number = length(config.source, CaptureSettings(fps=config.camera.fps))
    return bar(frames, number, Path(config.source).name)


def replay(config: Config, every: int = 1, on_frame: OnFrame | None = None) -> Replay:
    """Run the configured recording to its end, with every `every`th frame.

    Raises EdgeError, also for a source that has no end.
    """
    if is_endless(config.source):
        name = redacted_source(config.source)
        raise ConfigError(f"source {name}: has no end; name a file, or watch it with tools/live.py")
    visits: list[Visit] = []
    windows: list[Window] = []
    sizes_px: dict[int, list[float]] = {}

    def on_every_frame(frame: Frame, tracks: Sequence[Track]) -> None:
        for track in tracks:
            sizes_px.setdefault(track.id, []).append(track.box.w)
        if on_frame is not None:
            on_frame(frame, tracks)

    health = Health()
    pipeline = wiring.pipeline(
        config,
        wiring.models(config),
        health,
        on_window=windows.append,
        on_visit=visits.append,
        on_frame=on_every_frame,
    )
    with closing(wiring.frames(config)) as source, closing(with_progress(source, config)) as frames:
        pipeline.run(islice(frames, 0, None, every))
    busy, elapsed = health.totals()
    number = max(1, health.frames_total)
    busy_ms = {stage: 1000 * busy[stage] / number for stage in STAGES}
    counted = [CountedVisit(visit, statistics.median(sizes_px[visit.track])) for visit in visits]
    return Replay(counted, windows, health.frames_total, elapsed, busy_ms)


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
    print(f"  accuracy  {figures.accuracy:.3f} as MOTA, {figures.f1:.3f} as IDF1, over visits")


def by_label(people: People) -> str:
    """The number of people, and of each label, in words."""
    parts = ", ".join(f"{getattr(people, label)} {label}" for label in (*LABELS, UNKNOWN))
    return f"{people.total} ({parts})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a recording; default: the configuration's", several=True)
    parser.add_argument("--truth", type=Path, help="a YAML file, or a folder of them")
    add_config(parser)
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use only every Nth frame"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--save", type=Path, metavar="MP4", help="write an annotated clip of one source"
    )
    output.add_argument("--show", action="store_true", help="show the annotated clip in a window")
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
        configs = [load_unrestricted(args.config, source) for source in named or (None,)]
        if args.save:
            outputs.need_other("--save", args.save, [config.source for config in configs])
            outputs.need_free("--save", args.save, force=args.force)
        if args.save or args.show:
            view = Film(args.save) if args.save else Screen("replay")
        draw = partial(_draw, view) if view else None
        for config in configs:
            clip = config.source
            truth = None if args.truth is None else count_metrics.read_truth(args.truth, clip)
            run = replay(config, args.every, draw)
            figures = None if truth is None else count_metrics.compare(run.visits, truth)
            print_report(clip, run, figures)
    except EdgeError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if view is not None:
            view.close()
    return 0


if __name__ == "__main__":
    run_command(main)
