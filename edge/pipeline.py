"""The loop: frames in, windows out, with parts made elsewhere."""

import logging
from collections.abc import Callable, Iterable, Sequence

from edge.counting import Counter
from edge.health import Health
from edge.looks import Classify, Looks
from edge.tracking.tracker import Tracker
from edge.types import Box, Face, Frame, NoFrame, Track, Visit, Window

log = logging.getLogger(__name__)


class Pipeline:
    """Counts the people of one source."""

    def __init__(
        self,
        *,
        detect: Callable[[Frame, Sequence[Box]], Sequence[Face]],
        tracker: Tracker,
        classify: Classify | None,
        classify_age: Classify | None = None,
        face_evidence: Callable[[Frame, Box, float, int], float] = (
            lambda frame, box, hits, view: 1.0
        ),
        counter: Counter,
        health: Health,
        on_window: Callable[[Window], None],
        on_frame: Callable[[Frame, Sequence[Track]], None] = lambda frame, tracks: None,
        on_visit: Callable[[Visit], None] = lambda visit: None,
        on_no_frame: Callable[[NoFrame], None] = lambda moment: None,
        on_present: Callable[[float, int | None], None] = lambda mono, present: None,
    ) -> None:
        """Without `classify` everybody stays unknown; `classify_age` is another model for the age.

        `face_evidence` is asked again and again how probably what is followed is a face, each time
        in the next view of it.

        `on_frame` gets each analyzed frame with the tracks seen in it, `on_present` each moment's
        `mono` with the number of people in view, None while the camera shows nothing.
        """
        self._detect, self._face_evidence, self._tracker = detect, face_evidence, tracker
        self._models = [model for model in (classify, classify_age) if model is not None]
        self._counter, self._health = counter, health
        self._on_window, self._on_frame, self._on_visit = on_window, on_frame, on_visit
        self._on_no_frame, self._on_present = on_no_frame, on_present
        self._size = (0, 0)

    def run(self, frames: Iterable[Frame | NoFrame]) -> None:
        """Analyze frames until they end, then give out the window that is still open.

        It is given out after an error of the source too.
        """
        try:
            for frame in frames:
                if isinstance(frame, NoFrame):
                    self._pass_time(frame)
                else:
                    self._analyze(frame)
        finally:
            visits = self._tracker.finish()
            self._report(visits)
            for window in self._counter.finish(visits):
                self._on_window(window)

    def _analyze(self, frame: Frame) -> None:
        with self._health.timed("detect"):
            faces = self._detect(frame, self._tracker.predict(frame.mono))
        height, width = frame.image.shape[:2]
        self._size = (width, height)
        looks = Looks(self._models, frame, self._health.timed)
        with self._health.timed("track"):
            tracks, visits = self._tracker.update(
                faces, frame.mono, self._size, lambda face: looks(face.box, face.roll).male
            )
        self._check(frame, tracks)
        if self._models:
            self._vote(looks, tracks)
        self._report(visits)
        present = self._tracker.present
        self._health.stationary_faces = self._tracker.stationary
        for window in self._counter.tick(frame.mono, frame.utc, present, visits):
            self._on_window(window)
        self._health.record_frame()
        self._health.conditions.update(frame, tracks, present)
        self._on_frame(frame, tracks)
        self._on_present(frame.mono, present)

    def _check(self, frame: Frame, tracks: Sequence[Track]) -> None:
        with self._health.timed("detect"):
            for track in tracks:
                if self._tracker.wants_check(track):
                    evidence = self._face_evidence(frame, track.box, track.haar_hits, track.checks)
                    self._tracker.check(track, evidence)

    def _vote(self, looks: Looks, tracks: Sequence[Track]) -> None:
        for track in tracks:
            if self._tracker.wants_vote(track):
                self._tracker.vote(track, *looks(track.box, track.roll))

    def _pass_time(self, moment: NoFrame) -> None:
        """Without a frame, people still leave by their patience, and windows close on time."""
        _, visits = self._tracker.update([], moment.mono, self._size)
        self._report(visits)
        present = self._tracker.present
        for window in self._counter.tick(moment.mono, moment.utc, present, visits, has_frame=False):
            self._on_window(window)
        self._health.record_no_frame(moment)
        self._on_no_frame(moment)
        self._on_present(moment.mono, present if moment.camera == "ok" else None)

    def _report(self, visits: Sequence[Visit]) -> None:
        for visit in visits:
            self._health.conditions.add(visit)
            age = "" if visit.age is None else f", age {visit.age}"
            seconds = visit.end - visit.start
            log.debug("visit: %s %.2f%s, %.1f s", visit.label, visit.confidence, age, seconds)
            self._on_visit(visit)
