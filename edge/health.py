"""Measures how the daemon and its machine are doing: rates, latencies, temperature, memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from edge import expected_error, host
from edge.conditions import ConditionMeter
from edge.types import NoFrame

STAGES = ("detect", "track", "classify")


class Timer:
    """Times calls that may contain each other, each without those within it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds."""
        self._clock, self._inner_s = clock, 0.0

    @contextmanager
    def __call__(self, add: Callable[[float], None]) -> Iterator[None]:
        """Time one call; `add` gets its seconds."""
        begin, before_s, self._inner_s = self._clock(), self._inner_s, 0.0
        yield
        elapsed_s = self._clock() - begin
        add(elapsed_s - self._inner_s)
        self._inner_s = before_s + elapsed_s


class Health:
    """Sums up what happened since the last report."""

    def __init__(self, min_people: int = 0) -> None:
        """The expected error is of `min_people` or more, who are at least
        `expected_error.MIN_PEOPLE`: conditions of a few would show when somebody was there."""
        self._min_people = max(min_people, expected_error.MIN_PEOPLE)
        self._expected_error: dict[str, Any] | None = None
        self._started = time.monotonic()
        self.frames_total = 0
        self.stationary_faces = 0
        """Faces that never move, such as those on posters, which are not counted."""
        self.camera: Literal["ok", "lost", "resting"] = "ok"
        """As in `NoFrame`."""
        self._timer = Timer(time.perf_counter)
        self.conditions = ConditionMeter()
        """In which people were counted since the expected error was last estimated."""
        self._clear()

    def _clear(self) -> None:
        self._since = time.monotonic()
        self._frames = 0
        self._no_frame_s = 0.0
        self._busy_s = dict.fromkeys(STAGES, 0.0)
        self._calls = dict.fromkeys(STAGES, 0)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time one call of a stage, without stages that it calls."""
        with self._timer(partial(self._add, stage)):
            yield

    def _add(self, stage: str, seconds: float) -> None:
        self._busy_s[stage] += seconds
        self._calls[stage] += 1

    def record_frame(self) -> None:
        """One more frame was analyzed."""
        self._frames += 1
        self.frames_total += 1
        self.camera = "ok"

    def record_no_frame(self, moment: NoFrame) -> None:
        """There was no frame to analyze."""
        self._no_frame_s += moment.seconds
        self.camera = moment.camera

    def totals(self) -> tuple[dict[str, float], float]:
        """Seconds spent in each stage, and in all, since the last report."""
        return dict(self._busy_s), time.monotonic() - self._since

    def report(self) -> dict[str, Any]:
        """Values since the last report, for the `health` topic.

        `fps`: frames analyzed per second; `ms`: mean milliseconds per call of each stage;
        `blind_s`: seconds without frames; `memory_mb`: resident memory, MiB; `temperature_c` and
        `throttled` are None if the machine does not report them; `expected_error` is None until
        enough people were counted, and stays until there are as many again.
        """
        elapsed = time.monotonic() - self._since
        values = {
            "uptime_s": round(time.monotonic() - self._started),
            "frames": self.frames_total,
            "fps": round(self._frames / elapsed, 1) if elapsed > 0 else 0.0,
            "ms": {
                stage: round(1000 * self._busy_s[stage] / calls, 2) if calls else None
                for stage, calls in self._calls.items()
            },
            "camera": self.camera,
            "blind_s": round(self._no_frame_s, 1),
            "memory_mb": round(host.memory_mb(), 1),
            "static_faces": self.stationary_faces,
            "temperature_c": host.temperature_c(),
            "throttled": host.throttled(),
            "expected_error": self._estimate_error(),
        }
        self._clear()
        return values

    def _estimate_error(self) -> dict[str, Any] | None:
        conditions = self.conditions.read()
        if conditions is not None and conditions.people >= self._min_people:
            self.conditions.clear()
            self._expected_error = expected_error.report(conditions)
        return self._expected_error
