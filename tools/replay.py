"""Run the real pipeline over clips and compare what it counts with who was there.

python tools/replay.py clips/crowd-a.mp4 --truth clips/crowd-a.yaml
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import visits
from matplotlib.image import AxesImage
from visits import Figures, Seen

from edge import build
from edge.config import Config, load_config
from edge.errors import EdgeError
from edge.health import STAGES, Health
from edge.pipeline import Pipeline
from edge.records import LABELS, UNKNOWN, Frame, People, Track, Visit, Window

COLOURS = {"female": (80, 80, 255), "male": (255, 160, 60), UNKNOWN: (180, 180, 180)}
"""B, G, R of a box by the label that its votes give so far."""

OnFrame = Callable[[Frame, Sequence[Track]], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the pipeline made of one clip."""

    seen: list[Seen]
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


def replay(config: Config, every: int = 1, on_frame: OnFrame | None = None) -> Replay:
    """Run the configured source, a file, to its end, with each `every`th of its frames."""
    ended: list[Visit] = []
    windows: list[Window] = []
    sizes: dict[int, list[float]] = {}

    def look(frame: Frame, tracks: Sequence[Track]) -> None:
        for track in tracks:
            sizes.setdefault(track.id, []).append(track.box.w)
        if on_frame is not None:
            on_frame(frame, tracks)

    health = Health()
    pipeline = Pipeline(
        detect=build.detector(config),
        tracker=build.tracker(config),
        classify=build.classifier(config),
        counter=build.counter(config),
        health=health,
        on_window=windows.append,
        on_visit=ended.append,
        on_frame=look,
    )
    pipeline.run(islice(build.frames(config), 0, None, every))
    busy, elapsed = health.totals()
    frames = max(1, health.frames_total)
    busy_ms = {stage: 1000 * busy[stage] / frames for stage in STAGES}
    seen = [Seen(visit, statistics.median(sizes[visit.track])) for visit in ended]
    return Replay(seen, windows, health.frames_total, elapsed, busy_ms)


class Film:
    """Writes an annotated clip: a box around each face, its track's number and label so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: Frame | None = None
        self._writer: cv2.VideoWriter | None = None

    def __call__(self, frame: Frame, tracks: Sequence[Track]) -> None:
        if self._first is None:  # the second one tells how fast they follow
            self._first = frame
            return
        if self._writer is None:
            height, width = frame.image.shape[:2]
            fps = 1 / (frame.mono - self._first.mono)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), code, fps, (width, height))
            if not self._writer.isOpened():
                raise EdgeError(f"{self._path}: cannot be written as a video; name an .mp4 file")
        self._writer.write(annotated(frame, tracks))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


class Screen:
    """Shows each annotated frame in a window."""

    def __init__(self) -> None:
        """Raises EdgeError where there is no screen."""
        if plt.get_backend().lower() == "agg":
            raise EdgeError("--show: there is no screen here; --save writes a clip instead")
        self._shown: AxesImage | None = None

    def __call__(self, frame: Frame, tracks: Sequence[Track]) -> None:
        picture = annotated(frame, tracks)[:, :, ::-1]
        if self._shown is None:
            _, axes = plt.subplots(num="replay", figsize=(10, 6), layout="constrained")
            axes.set_axis_off()
            self._shown = axes.imshow(picture)
        self._shown.set_data(picture)
        plt.pause(0.001)

    def close(self) -> None:
        plt.close("replay")


def annotated(frame: Frame, tracks: Sequence[Track]) -> cv2.typing.MatLike:
    """The picture with a box for each track seen in it."""
    picture = frame.image.copy()
    for track in tracks:
        label = UNKNOWN if track.votes == 0 else LABELS[track.log_odds > 0]
        text = "static" if track.static else f"{track.id} {label if track.confirmed else '?'}"
        x, y, w, h = (round(v) for v in (track.box.x, track.box.y, track.box.w, track.box.h))
        cv2.rectangle(picture, (x, y), (x + w, y + h), COLOURS[label], 2)
        cv2.putText(
            picture, text, (x, max(12, y - 5)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, COLOURS[label], 1
        )
    return picture


def show(clip: str, run: Replay, figures: Figures | None) -> None:
    """One block per clip."""
    print(Path(clip).name)
    print(f"  counted   {_split(run.people)} in {run.frames} frames")
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


def _split(people: People) -> str:
    parts = ", ".join(f"{getattr(people, label)} {label}" for label in (*LABELS, UNKNOWN))
    return f"{people.total} ({parts})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--truth", type=Path, help="a YAML file, or a folder that holds them")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="use only every Nth frame"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--save", type=Path, metavar="MP4", help="write one clip, annotated")
    shown.add_argument("--show", action="store_true", help="show it in a window")
    args = parser.parse_args()
    if args.every < 1:
        parser.error("--every must be 1 or more")
    if args.save and len(args.clips) > 1:
        parser.error("--save needs a single clip")
    print("privacy.min_people is 1 here: every person is shown")
    view: Film | Screen | None = None
    try:
        if args.save or args.show:
            view = Film(args.save) if args.save else Screen()
        for clip in args.clips:
            config = configured(args.config, clip)
            truth = None if args.truth is None else visits.read_truth(args.truth, clip)
            run = replay(config, args.every, view)
            show(clip, run, None if truth is None else visits.compare(run.seen, truth))
    except EdgeError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if view is not None:
            view.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
