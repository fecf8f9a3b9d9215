"""Runs the daemon's own pipeline on the camera, and describes each frame for the page."""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import Any

from edge import wiring
from edge.aim import gauges
from edge.aim.picture import RoomLines, degraded_png, full_jpeg
from edge.config import Config, Zones
from edge.health import Health
from edge.sources.name import is_recorded
from edge.sources.paced import paced
from edge.types import Frame, Frames, NoFrame, Track, Visit
from edge.web.views import Views

CASCADE_PX = 24
"""Side of the smallest face that the cascade finds, pixels of the searched picture."""


class Session:
    """What is in front of the camera, and how many people were counted since the zones changed."""

    def __init__(self, config: Config, views: Views, *, full_picture: bool) -> None:
        """Nobody's gender or age is estimated. With `full_picture` views show people."""
        self._config, self._views = config, views
        self.full_picture = full_picture
        self.has_lender = wiring.has_lender(config)
        """Whether a daemon lends the camera, and reads its configuration when that is over."""
        self.zones = config.zones
        """May be set by another thread; the pipeline then starts again, with nobody counted."""
        self._lines = RoomLines()
        self._counted = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """Watch until `stopped()`; a recording is repeated at its own pace. Raises EdgeError."""
        recorded = is_recorded(self._config.source)
        again = True
        while again and not stopped():
            again = not Path(self._config.source).is_fifo()  # a pipe can be read only once
            # without `recover` a camera's first failure is reported, and never restarts the machine
            with closing(wiring.borrowed_frames(self._config, stopped)) as frames:
                self._watch(paced(frames, stopped) if recorded else frames, stopped)

    def _watch(self, frames: Frames, stopped: Callable[[], bool]) -> None:
        while not stopped():
            zones = self.zones
            self._count(takewhile(lambda _: not stopped(), frames), zones)
            if self.zones is zones:  # the frames have ended
                return
            self._counted = 0

    def _count(self, frames: Iterable[Frame | NoFrame], zones: Zones) -> None:
        """Run the pipeline until the frames end or other zones are set."""
        pipeline = wiring.pipeline(
            self._config.model_copy(update={"zones": zones}),
            wiring.Models(),
            Health(),
            on_window=lambda _: None,
            on_visit=self._on_visit,
            on_frame=self._on_frame,
        )
        pipeline.run(takewhile(lambda _: self.zones is zones, frames))

    def _on_visit(self, _: Visit) -> None:
        self._counted += 1

    def _on_frame(self, frame: Frame, tracks: Sequence[Track]) -> None:
        self._views.put(json.dumps(self._describe(frame, tracks)).encode())

    def _describe(self, frame: Frame, tracks: Sequence[Track]) -> dict[str, Any]:
        """The values of one view: places are fractions of the picture."""
        height, width = frame.image.shape[:2]
        return {
            "seq": self._views.next_seq,
            "size": [width, height],
            "smallest_px": smallest_face_px(self._config, width, frame.gray.shape[1]),
            "picture": self._picture(frame),
            "lines": self._lines.update(frame.gray, frame.mono),
            "faces": [_face(track, width, height) for track in tracks],
            "light": round(gauges.light(frame.gray), 1),
            "overexposed": round(gauges.overexposed(frame.gray), 3),
            "sharpness": round(gauges.sharpness(frame.gray), 1),
            "counted": self._counted,
        }

    def _picture(self, frame: Frame) -> str:
        kind, picture = (
            ("jpeg", full_jpeg(frame.image))
            if self.full_picture
            else ("png", degraded_png(frame.image))
        )
        return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def smallest_face_px(config: Config, width: int, searched_width: int) -> int:
    """Side of the smallest face found in a picture `width` pixels wide, in its pixels."""
    return max(config.detector.min_face_px, round(CASCADE_PX * width / searched_width))


def _face(track: Track, width: int, height: int) -> dict[str, Any]:
    box = track.box
    return {
        "box": [
            round(value, 4)
            for value in (box.x / width, box.y / height, box.w / width, box.h / height)
        ],
        "px": round(box.w),
        "state": _state(track),
    }


def _state(track: Track) -> str:
    """What the tracker makes of a face so far, as the page knows it."""
    if track.stationary:
        return "still"
    if not track.is_face:
        return "doubtful"
    return "person" if track.confirmed else "new"
