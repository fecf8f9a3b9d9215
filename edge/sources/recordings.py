"""A source's name to its frames: camera, stream, video, GIF, picture, folder or demo scene."""

import contextlib
import itertools
import time
from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.sources.demo import Scene
from edge.sources.devices import frame_of, open_camera, silence_opencv, upright
from edge.sources.reconnecting import newest_shots
from edge.types import CaptureSettings, Frame, Frames, Image, NoFrame

Recorded = Generator[Frame, None, None]

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
STILL_S = 2.0
"""A single picture is shown for this long: a face must be seen more than once to count."""


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
    if source == "demo":
        return _demo(view, stopped)
    if is_live(source):
        return _live(source, view, fps or (lambda: view.fps), stopped)
    return open_file(Path(source), view)


def is_live(source: str) -> bool:
    """Whether `source` is a camera or stream, which may be lost and come back."""
    return source == "auto" or source.startswith(("picamera2:", "v4l2:")) or "://" in source


def open_file(path: Path, view: CaptureSettings = CaptureSettings()) -> Recorded:
    """The frames of a video, GIF or picture file or of a folder of pictures, on its own clock.

    Their `utc` begins when the file was last modified, so the same file always gives the same
    frames. Raises ConfigError where it is not what it should be.
    """
    if path.is_dir():
        return _folder(path, view)
    if path.suffix.lower() in PICTURES:
        return _picture(path, view)
    return _video(path, view)


# files, each on its own clock


def _video(path: Path, view: CaptureSettings) -> Recorded:
    started = _modified(path)
    capture = cv2.VideoCapture(str(path))
    readable, image = capture.read()
    if not readable:
        capture.release()
        raise ConfigError(f"source {path}: is not a video or picture that OpenCV can read")
    return _video_frames(capture, np.asarray(image, np.uint8), started, view)


def _video_frames(
    capture: cv2.VideoCapture, image: Image, started: float, view: CaptureSettings
) -> Recorded:
    try:
        step = 1 / (capture.get(cv2.CAP_PROP_FPS) or view.fps)
        mono = 0.0
        for seq in itertools.count():
            # a variable frame rate is followed, but time never runs backwards
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            mono = stamp if seq == 0 or stamp > mono else mono + step
            yield frame_of(seq, mono, started + mono, upright(image, view), view)
            readable, following = capture.read()
            if not readable:
                return
            image = np.asarray(following, np.uint8)
    finally:
        capture.release()


def _folder(path: Path, view: CaptureSettings) -> Recorded:
    _modified(path)
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    except OSError as error:
        raise ConfigError(f"source {path}: cannot be read ({error.strerror})") from error
    if not files:
        raise ConfigError(f"source {path}: holds no pictures ({', '.join(sorted(PICTURES))})")
    return _folder_frames(files, view)


def _folder_frames(files: list[Path], view: CaptureSettings) -> Recorded:
    started = _modified(files[0])
    for seq, file in enumerate(files):
        mono = seq / view.fps
        yield frame_of(seq, mono, started + mono, upright(_read(file), view), view)


def _picture(path: Path, view: CaptureSettings) -> Recorded:
    image, started = upright(_read(path), view), _modified(path)
    times = (seq / view.fps for seq in range(round(STILL_S * view.fps) + 1))
    return (frame_of(seq, mono, started + mono, image, view) for seq, mono in enumerate(times))


def _read(file: Path) -> Image:
    _modified(file)
    try:
        # not imread, which crashes on a name that is not UTF-8
        image = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # empty, or a header that speaks of gigabytes
        image = None
    if image is None:
        raise ConfigError(f"source {file}: is not a picture that OpenCV can read")
    return np.asarray(image, np.uint8)


def _modified(path: Path) -> float:
    try:
        return float(int(path.stat().st_mtime))
    except OSError as error:
        raise ConfigError(f"source {path}: cannot be read ({error.strerror})") from error


# live sources, on the machine's clock


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


def _demo(view: CaptureSettings, stopped: Callable[[], bool]) -> Recorded:
    scene = Scene()
    begin = time.monotonic()
    for seq in itertools.count():
        time.sleep(max(0.0, begin + seq / view.fps - time.monotonic()))
        if stopped():
            return
        mono = time.monotonic()
        yield frame_of(seq, mono, time.time(), scene.draw(mono - begin), view)
