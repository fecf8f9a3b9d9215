"""What views with a known number of faces cost, and how the cost grows with them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from edge import wiring
from edge.config import Config
from edge.sources.frame import frame_of
from edge.types import CaptureSettings, Frame, Image, Track, Window
from tools.evaluation.speed import rounded
from tools.evaluation.stopwatch import Stopwatch, timed_kernels

WARM_UP_S = 1.0
"""Seconds of a scene that are not measured: the first frame is searched everywhere."""


class Scene(Protocol):
    """A view that can be drawn at any moment."""

    def draw(self, seconds: float) -> Image: ...


@dataclass(frozen=True, slots=True)
class SceneCost:
    """What the pipeline took for a scene; processor time, milliseconds per frame."""

    faces: int
    """People in the scene; about one in seven is outside of the view."""
    followed: float
    """Tracks seen per frame, mean: what the time was spent for."""
    people: int
    """Counted while it was shown."""
    cpu_ms: float
    p95_ms: float
    wall_ms: float
    """By the clock, stages alone."""
    outside_ms: float
    """Outside of Haar, BlazeFace and the classifier."""

    def as_json(self) -> dict[str, Any]:
        return dict(rounded(asdict(self)))


@dataclass(frozen=True, slots=True)
class Line:
    """Cost as a linear function of the number of faces followed, milliseconds per frame."""

    constant_ms: float
    per_face_ms: float
    worst_ms: float
    """Largest distance of a measured cost from the line."""


def frames_of(
    scene: Scene,
    config: Config,
    seconds: float,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Frame]:
    """The frames that a camera would give of a scene, at `camera.fps`; `around` each drawing."""
    settings = CaptureSettings(gray_width=config.detector.width)
    for number in range(round(seconds * config.camera.fps)):
        mono = number / config.camera.fps
        with around():
            image = scene.draw(mono)
        yield frame_of(number, mono, mono, image, settings)


def measure_scene(config: Config, scene: Scene, faces: int, seconds: float) -> SceneCost:
    """Run this many seconds of a scene through the pipeline. Raises EdgeError.

    Drawing it is not measured; what a camera's frames need before the search is.
    """
    health = Stopwatch()
    tracks_seen: list[int] = []
    windows: list[Window] = []

    def on_frame(_frame: Frame, tracks: Sequence[Track]) -> None:
        tracks_seen.append(len(tracks))

    pipeline = wiring.pipeline(
        config, wiring.models(config), health, on_window=windows.append, on_frame=on_frame
    )
    with timed_kernels() as kernels:
        pipeline.run(frames_of(scene, config, seconds, health.excluded))
    first = min(round(WARM_UP_S * config.camera.fps), len(health.frames_s) - 1)
    ms = 1000 * np.array(health.frames_s[first:])
    number = len(health.frames_s)
    outside_s = sum(health.frames_s) - sum(kernels.values())
    return SceneCost(
        faces=faces,
        followed=float(np.mean(tracks_seen[first:])),
        people=sum(window.people.total for window in windows),
        cpu_ms=float(ms.mean()),
        p95_ms=float(np.percentile(ms, 95)),
        wall_ms=1000 * sum(health.totals()[0].values()) / number,
        outside_ms=1000 * outside_s / number,
    )


def fitted(costs: Sequence[SceneCost]) -> Line:
    """The line with the least squares through costs of two or more different scenes."""
    followed = np.array([cost.followed for cost in costs])
    ms = np.array([cost.cpu_ms for cost in costs])
    slope, constant = np.polyfit(followed, ms, 1)
    worst = np.abs(constant + slope * followed - ms).max()
    return Line(float(constant), float(slope), float(worst))
