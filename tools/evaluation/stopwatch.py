"""Processor time of the pipeline: by stage, by frame, and within the libraries that search."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import FunctionType
from typing import Any

import numpy as np

from edge.health import STAGES, Health, Timer
from edge.vision.blazeface import BlazeFace
from edge.vision.cascade import Cascade
from edge.vision.classifier import Classifier
from edge.vision.pyramid import Pyramid

PERCENTILES = (50, 95, 99)
KERNELS = {
    Cascade: "haar",
    Pyramid: "haar",
    BlazeFace: "blazeface",
    Classifier: "classifier",
}
"""The classes whose calls are the work that cannot be left out, with its name.

OpenCV's own search of a whole picture makes smaller copies of it too.
"""


class Stopwatch(Health):
    """Health that keeps processor time: of each stage in each frame, and of each frame.

    What the source of the frames takes is not part of a frame if it is `excluded`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages_s: list[dict[str, float]] = []
        """By frame: seconds of each stage."""
        self.frames_s: list[float] = []
        """Seconds of each frame."""
        self._stage_s = dict.fromkeys(STAGES, 0.0)
        self._cpu_timer = Timer(time.process_time)
        self._excluded_s = 0.0
        self._begin: float | None = None
        """None before the first frame: what loads the models is part of no frame."""

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        self._begin_frame()
        with super().timed(stage), self._cpu_timer(partial(self._add_cpu, stage)):
            yield

    @contextmanager
    def excluded(self) -> Iterator[None]:
        """Time that belongs to no frame."""
        begin = self._begin_frame()
        yield
        self._excluded_s += time.process_time() - begin

    def _begin_frame(self) -> float:
        """Now; the first frame begins where something is first timed."""
        now = time.process_time()
        if self._begin is None:
            self._begin, self._excluded_s = now, 0.0
        return now

    def _add_cpu(self, stage: str, seconds: float) -> None:
        self._stage_s[stage] += seconds

    def record_frame(self) -> None:
        super().record_frame()
        now = time.process_time()
        begin = now if self._begin is None else self._begin
        self.frames_s.append(now - begin - self._excluded_s)
        self.stages_s.append(self._stage_s)
        self._begin, self._excluded_s = now, 0.0
        self._stage_s = dict.fromkeys(STAGES, 0.0)

    def statistics(self) -> dict[str, dict[str, float]]:
        """By stage: mean, p50, p95 and p99 over frames, milliseconds."""
        return {stage: _statistics([s[stage] for s in self.stages_s]) for stage in STAGES}


@contextmanager
def timed_kernels() -> Iterator[dict[str, float]]:
    """Processor seconds within `KERNELS`, by name, summed up while this is open."""
    seconds = dict.fromkeys(KERNELS.values(), 0.0)
    running: set[str] = set()
    originals: list[tuple[type, str, Any]] = []
    for kind, name in KERNELS.items():
        for method, function in list(vars(kind).items()):
            public = not method.startswith("_") or method == "__call__"
            if public and isinstance(function, FunctionType):
                originals.append((kind, method, function))
                setattr(kind, method, _timed(function, name, seconds, running))
    try:
        yield seconds
    finally:
        for kind, method, function in originals:
            setattr(kind, method, function)


def _timed(
    function: Callable[..., Any], name: str, seconds: dict[str, float], running: set[str]
) -> Callable[..., Any]:
    @wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        if name in running:  # called by another one of the class, which is timed
            return function(*args, **kwargs)
        running.add(name)
        begin = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[name] += time.process_time() - begin
            running.remove(name)

    return timed


def _statistics(seconds: list[float]) -> dict[str, float]:
    ms = 1000 * np.array(seconds or [0.0])
    return {"mean": float(ms.mean())} | {f"p{p}": float(np.percentile(ms, p)) for p in PERCENTILES}
