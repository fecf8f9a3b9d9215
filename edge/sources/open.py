"""Open any source by its name: camera, stream, recording or demo scene."""

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
    view: CaptureSettings = CaptureSettings(),
    *,
    fps: Callable[[], float] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Frames:
    """The frames of `source`, which is one that `config` let through.

    A live source ends soon after `stopped()` is true; from a camera the newest frame wins, and at
    most `fps()` are taken per second, which may change; `view.fps` where it is not given.

    Raises ConfigError where a file is not what it should be, SourceError where a camera is missing
    or lost for `view.give_up` seconds.
    """
    silence_opencv()
    if source == DEMO:
        return _demo(view, stopped)
    if is_live(source):
        return _live(source, view, fps or (lambda: view.fps), stopped)
    return open_file(Path(source), view)


def _live(
    source: str, view: CaptureSettings, fps: Callable[[], float], stopped: Callable[[], bool]
) -> Frames:
    shots = newest_shots(
        lambda: open_camera(source, view),
        fps=fps,
        timeout=view.timeout,
        give_up=view.give_up,
        stopped=stopped,
    )
    with contextlib.closing(shots):
        for seq, shot in enumerate(shots):
            if isinstance(shot, NoFrame):
                yield shot
            else:
                yield frame_of(seq, shot.mono, shot.utc, shot.image, view, shot.gray)


def _demo(view: CaptureSettings, stopped: Callable[[], bool]) -> Generator[Frame, None, None]:
    scene = Scene()
    begin = time.monotonic()
    for seq in itertools.count():
        time.sleep(max(0.0, begin + seq / view.fps - time.monotonic()))
        if stopped():
            return
        mono = time.monotonic()
        yield frame_of(seq, mono, time.time(), scene.draw(mono - begin), view)
