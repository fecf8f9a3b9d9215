"""Runs the daemon's own pipeline while somebody at the door taps whom they see."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import takewhile
from typing import Any

from edge import wiring
from edge.audit.matching import Tap
from edge.audit.report import Report, report
from edge.config import Config
from edge.health import Health
from edge.sources.name import is_recorded
from edge.sources.paced import paced
from edge.types import Frame, Track, Visit
from edge.web.views import Views


class Session:
    """The people tapped and the people counted since it began. Both are gone with the process."""

    def __init__(self, config: Config, views: Views) -> None:
        """Raises ModelError."""
        self._config, self._views = config, views
        self._models = wiring.models(config)
        self._lock = threading.Lock()
        self._taps: list[Tap] = []
        self._visits: list[Visit] = []
        self.has_begun = False
        """Whether there was a frame."""
        self._clock_offset = 0.0
        """Seconds from `Frame.mono` to the clock of the taps: a recording has its own."""

    def run(self, stopped: Callable[[], bool]) -> None:
        """Count until `stopped()` or until the source ends. Raises EdgeError."""
        pipeline = wiring.pipeline(
            self._config,
            self._models,
            Health(),
            on_window=lambda _: None,
            on_visit=self._on_visit,
            on_frame=self._on_frame,
        )
        # without `recover` a camera's first failure is reported, and never restarts the machine
        with closing(wiring.borrowed_frames(self._config, stopped)) as frames:
            watched = paced(frames, stopped) if is_recorded(self._config.source) else frames
            pipeline.run(takewhile(lambda _: not stopped(), watched))

    def tap(self, label: str) -> None:
        """A person passes now."""
        with self._lock:
            self._taps.append(Tap(time.monotonic(), label))

    def undo(self) -> None:
        """Take the newest tap back."""
        with self._lock:
            if self._taps:
                self._taps.pop()

    @property
    def tapped(self) -> dict[str, int]:
        """The number of taps by label."""
        with self._lock:
            labels = [tap.label for tap in self._taps]
        return {label: labels.count(label) for label in ("female", "male", "unknown")}

    def report(self) -> Report:
        """The result so far."""
        with self._lock:
            return report(self._taps, self._visits)

    def show_report(self) -> None:
        """Let the last view be the report."""
        self._put({"report": self.report().lines(gender=self._config.classifier.gender)})

    def _on_visit(self, visit: Visit) -> None:
        offset = self._clock_offset
        with self._lock:
            self._visits.append(
                dataclasses.replace(visit, start=visit.start + offset, end=visit.end + offset)
            )

    def _on_frame(self, frame: Frame, _: Sequence[Track]) -> None:
        self.has_begun = True
        self._clock_offset = time.monotonic() - frame.mono
        self._put({})

    def _put(self, values: dict[str, Any]) -> None:
        """A view; it does not show what was counted, which would change what is tapped."""
        self._views.put(json.dumps({"seq": self._views.next_seq, **values}).encode())
