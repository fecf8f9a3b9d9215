"""How much time the pipeline takes for a recording, beside a plain search with Haar."""

import resource
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from edge import wiring
from edge.config import Config
from edge.health import STAGES, Health
from edge.types import NoFrame
from edge.vision.cascade import Cascade
from tools.evaluation.replay import replay

PLAIN_EVERY = 4
"""A plain search is measured on each frame of this many."""
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Speed:
    """What one run over a recording took; times are milliseconds per frame."""

    frames: int
    people: int
    wall_ms: float
    cpu_ms: float
    """Processor time of the whole daemon, reading the recording included."""
    plain_ms: float
    """Processor time of OpenCV's search alone: whole frames, factor 1.1, from 24 pixels."""
    peak_mb: float
    """Largest resident memory of the process, MiB."""
    stages: dict[str, dict[str, float]]
    """By stage: mean, p50, p95 and p99 over frames."""

    @property
    def ratio(self) -> float:
        """Processor time of the daemon, as a part of that of a plain search."""
        return self.cpu_ms / self.plain_ms

    def as_json(self) -> dict[str, Any]:
        """All figures, rounded."""
        values = asdict(self) | {"ratio": self.ratio}
        return {name: _rounded(value) for name, value in values.items()}


class _Stopwatch(Health):
    """Health that also keeps the time of each stage in each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.frames_s: list[dict[str, float]] = []
        self._frame_s = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        with super().timed(stage):
            yield
        self._frame_s[stage] += time.perf_counter() - begin

    def record_frame(self) -> None:
        super().record_frame()
        self.frames_s.append(self._frame_s)
        self._frame_s = dict.fromkeys(STAGES, 0.0)


def measure(config: Config) -> Speed:
    """Run the configured recording through the pipeline, then search its frames with Haar alone.

    Raises EdgeError.
    """
    health = _Stopwatch()
    begin = time.process_time()
    run = replay(config, health=health)
    cpu_s = time.process_time() - begin
    number = max(1, run.frames)
    return Speed(
        frames=run.frames,
        people=run.people.total,
        wall_ms=1000 * run.seconds / number,
        cpu_ms=1000 * cpu_s / number,
        plain_ms=_plain_search_ms(config),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        stages={stage: _statistics([s[stage] for s in health.frames_s]) for stage in STAGES},
    )


def _plain_search_ms(config: Config) -> float:
    cascade, times = Cascade(), [0.0]
    with closing(wiring.frames(config)) as frames:
        for frame in islice(frames, 0, None, PLAIN_EVERY):
            if not isinstance(frame, NoFrame):
                begin = time.process_time()
                cascade.faces(frame.gray, 24, 0, 1.1, 2)
                times.append(time.process_time() - begin)
    return 1000 * sum(times) / max(1, len(times) - 1)


def _statistics(seconds: list[float]) -> dict[str, float]:
    ms = 1000 * np.array(seconds or [0.0])
    return {"mean": float(ms.mean())} | {f"p{p}": float(np.percentile(ms, p)) for p in PERCENTILES}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return round(value, 4) if isinstance(value, float) else value
