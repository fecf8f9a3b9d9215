"""How much processor time the pipeline takes for a recording, beside a plain search with Haar."""

import resource
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from edge import wiring
from edge.config import Config
from edge.types import NoFrame
from tools.evaluation.plain_search import EVERY, PlainSearch
from tools.evaluation.replay import replay
from tools.evaluation.stopwatch import Stopwatch, timed_kernels


@dataclass(frozen=True, slots=True)
class Speed:
    """What one run over a recording took; times are milliseconds per frame."""

    frames: int
    people: int
    wall_ms: float
    cpu_ms: float
    """Processor time of the whole pipeline, reading the recording included, but not its start."""
    plain_ms: float
    """Processor time of OpenCV's search alone: whole frames, factor 1.1, from 24 pixels."""
    peak_mb: float
    """Largest resident memory of the process, MiB."""
    stages: dict[str, dict[str, float]]
    """By stage: mean, p50, p95 and p99 over frames, processor time."""
    kernels: dict[str, float]
    """Processor time within Haar, BlazeFace and the classifier."""

    @property
    def ratio(self) -> float:
        """Processor time of the daemon, as a part of that of a plain search."""
        return self.cpu_ms / self.plain_ms

    @property
    def outside_ms(self) -> float:
        """Processor time outside of the kernels."""
        return self.cpu_ms - sum(self.kernels.values())

    def as_json(self) -> dict[str, Any]:
        """All figures, rounded."""
        values = asdict(self) | {"ratio": self.ratio, "outside_ms": self.outside_ms}
        return {name: rounded(value) for name, value in values.items()}


def measure(config: Config) -> Speed:
    """Run the configured recording through the pipeline, then search its frames with Haar alone.

    Raises EdgeError.
    """
    health = Stopwatch()
    with timed_kernels() as kernels:
        run = replay(config, health=health)
    number = max(1, run.frames)
    return Speed(
        frames=run.frames,
        people=run.people.total,
        wall_ms=1000 * run.seconds / number,
        cpu_ms=1000 * sum(health.frames_s) / number,
        plain_ms=_plain_search_ms(config),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        stages=health.statistics(),
        kernels={name: 1000 * seconds / number for name, seconds in kernels.items()},
    )


def _plain_search_ms(config: Config) -> float:
    search, times = PlainSearch(), [0.0]
    with closing(wiring.frames(config)) as frames:
        for frame in islice(frames, 0, None, EVERY):
            if not isinstance(frame, NoFrame):
                begin = time.process_time()
                search(frame.gray)
                times.append(time.process_time() - begin)
    return 1000 * sum(times) / max(1, len(times) - 1)


def rounded(value: Any) -> Any:
    """Numbers with four digits after the point, also those within dictionaries and lists."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value
