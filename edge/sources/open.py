"""Opens any source by its name: camera, stream, recording or demo scene."""

import contextlib
import itertools
import time
from collections.abc import Callable, Generator
from pathlib import Path

from edge.native_log import silence_opencv
from edge.sources.demo import Scene
from edge.sources.devices import open_camera
from edge.sources.frame import frame_of
from edge.sources.name import DEMO, is_live
from edge.sources.reconnecting import newest_shots
from edge.sources.recordings import open_file
from edge.types import CaptureSettings, Frame, Frames, NoFrame


def open_frames(
    source: str,
    settings: CaptureSettings = CaptureSettings(),
    *,
    fps: Callable[[], float] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Frames:
    """The frames of `source`, a name that `config` accepts.

    A live source ends soon after `stopped()` is true. It gives the newest frame at most `fps()`
    times per second, which may change; `settings.fps` times by default.

    Raises ConfigError if a file cannot be read as a recording, SourceError if a camera is missing
    or lost for `settings.give_up` seconds.
    """
    silence_opencv()
    if source == DEMO:
        return _demo(settings, stopped)
    if is_live(source):
        return _live(source, settings, fps or (lambda: settings.fps), stopped)
    return open_file(Path(source), settings)


def _live(
    source: str, settings: CaptureSettings, fps: Callable[[], float], stopped: Callable[[], bool]
) -> Frames:
    shots = newest_shots(
        lambda: open_camera(source, settings),
        fps=fps,
        timeout=settings.timeout,
        give_up=settings.give_up,
        stopped=stopped,
    )
    with contextlib.closing(shots):
        for seq, shot in enumerate(shots):
            if isinstance(shot, NoFrame):
                yield shot
            else:
                yield frame_of(seq, shot.mono, shot.utc, shot.image, settings, shot.gray)


def _demo(settings: CaptureSettings, stopped: Callable[[], bool]) -> Generator[Frame, None, None]:
    scene = Scene()
    started = time.monotonic()
    for seq in itertools.count():
        time.sleep(max(0.0, started + seq / settings.fps - time.monotonic()))
        if stopped():
            return
        mono = time.monotonic()
        yield frame_of(seq, mono, time.time(), scene.draw(mono - started), settings)
