"""The real pipeline run over a recording, and what it counted."""

import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge import wiring
from edge.conditions import Conditions
from edge.config import Config, load_config
from edge.errors import ConfigError
from edge.health import STAGES, Health
from edge.sources.name import is_live, redacted_source
from edge.sources.recordings import length
from edge.types import (
    AGES,
    Box,
    CaptureSettings,
    Frame,
    Frames,
    NoFrame,
    People,
    Track,
    Visit,
    Window,
)
from tools.cli.progress import bar
from tools.evaluation.count_matching import CountedVisit

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
    conditions: Conditions | None
    """In which people were counted, as the daemon sees them; None if nobody was."""

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


def replay(
    config: Config,
    every: int = 1,
    light: float = 1.0,
    on_frame: OnFrame | None = None,
    health: Health | None = None,
) -> Replay:
    """Run the configured recording to its end, with every `every`th frame, `light` times as bright.

    `health` takes the times of the stages.

    Raises EdgeError, also for a source that has no end.
    """
    if is_endless(config.source):
        name = redacted_source(config.source)
        raise ConfigError(f"source {name}: has no end; name a file, or watch it with tools/live.py")
    visits: list[Visit] = []
    windows: list[Window] = []
    sightings: dict[int, list[tuple[float, Box]]] = {}

    def on_every_frame(frame: Frame, tracks: Sequence[Track]) -> None:
        for track in tracks:
            sightings.setdefault(track.id, []).append((frame.mono, track.box))
        if on_frame is not None:
            on_frame(frame, tracks)

    health = health or Health()
    pipeline = wiring.pipeline(
        config,
        wiring.models(config),
        health,
        on_window=windows.append,
        on_visit=visits.append,
        on_frame=on_every_frame,
    )
    with closing(wiring.frames(config)) as source, closing(with_progress(source, config)) as frames:
        pipeline.run(_lit(frames, every, light))
    busy, elapsed = health.totals()
    number = max(1, health.frames_total)
    busy_ms = {stage: 1000 * busy[stage] / number for stage in STAGES}
    counted = [_counted(visit, sightings[visit.track]) for visit in visits]
    conditions = health.conditions.read()
    return Replay(counted, windows, health.frames_total, elapsed, busy_ms, conditions)


def _counted(visit: Visit, sightings: Sequence[tuple[float, Box]]) -> CountedVisit:
    return CountedVisit(visit, statistics.median(box.w for _, box in sightings), tuple(sightings))


def _lit(frames: Frames, every: int, light: float) -> Iterator[Frame | NoFrame]:
    """Every `every`th frame, `light` times as bright."""
    tones = np.clip(light * np.arange(256), 0, 255).astype(np.uint8)
    for frame in islice(frames, 0, None, every):
        if light == 1 or isinstance(frame, NoFrame):
            yield frame
        else:
            image, gray = (tones[picture] for picture in (frame.image, frame.gray))
            yield dataclasses.replace(frame, image=image, gray=gray)
