"""A source's name to its frames: camera, stream, video, GIF, picture, folder or demo scene."""

import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge import cameras
from edge.cameras import Frames, View, find_camera, frame_of, silence_opencv
from edge.errors import ConfigError
from edge.records import Image
from edge.scene import Scene

log = logging.getLogger(__name__)

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}
STILL_S = 2.0
"""A single picture is shown for this long: a face must be seen more than once to count."""


def open_frames(
    source: str, view: View = View(), *, stopped: Callable[[], bool] = lambda: False
) -> Frames:
    """The frames of `source`, which is one that `config` let through.

    Files are read frame by frame on their own clock, and their `utc` begins when the file was last
    modified, so the same file always gives the same frames. From a camera the newest frame wins.
    A live source ends soon after `stopped()` is true.

    Raises ConfigError where a file is not what it should be, SourceError where a camera is missing
    or gives no frame for `view.timeout` seconds.
    """
    silence_opencv()
    if source == "auto":
        source = find_camera()
        log.info("camera: %s", source)
    if source == "demo":
        return _demo(view, stopped)
    if source.startswith("picamera2:"):
        return cameras.picamera2(int(source.removeprefix("picamera2:")), view, stopped)
    if source.startswith("v4l2:"):
        return cameras.v4l2(source.removeprefix("v4l2:"), view, stopped)
    if "://" in source:
        return cameras.stream(source, view, stopped)
    path = Path(source)
    if path.is_dir():
        return _folder(path, view)
    if path.suffix.lower() in PICTURES:
        return _picture(path, view)
    return _video(path, view)


# files, each on its own clock


def _video(path: Path, view: View) -> Frames:
    started = _modified(path)
    capture = cv2.VideoCapture(str(path))
    readable, image = capture.read()
    if not readable:
        capture.release()
        raise ConfigError(f"source {path}: is not a video or picture that OpenCV can read")
    return _video_frames(capture, np.asarray(image, np.uint8), started, view)


def _video_frames(capture: cv2.VideoCapture, image: Image, started: float, view: View) -> Frames:
    try:
        step = 1 / (capture.get(cv2.CAP_PROP_FPS) or view.fps)
        mono = 0.0
        for seq in itertools.count():
            # a variable frame rate is followed, but time never runs backwards
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            mono = stamp if seq == 0 or stamp > mono else mono + step
            yield frame_of(seq, mono, started + mono, image, view)
            readable, following = capture.read()
            if not readable:
                return
            image = np.asarray(following, np.uint8)
    finally:
        capture.release()


def _folder(path: Path, view: View) -> Frames:
    _modified(path)
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
    except OSError as error:
        raise ConfigError(f"source {path}: cannot be read ({error.strerror})") from error
    if not files:
        raise ConfigError(f"source {path}: holds no pictures ({', '.join(sorted(PICTURES))})")
    return _folder_frames(files, view)


def _folder_frames(files: list[Path], view: View) -> Frames:
    started = _modified(files[0])
    for seq, file in enumerate(files):
        mono = seq / view.fps
        yield frame_of(seq, mono, started + mono, _read(file), view)


def _picture(path: Path, view: View) -> Frames:
    image, started = _read(path), _modified(path)
    times = (seq / view.fps for seq in range(round(STILL_S * view.fps) + 1))
    return (frame_of(seq, mono, started + mono, image, view) for seq, mono in enumerate(times))


def _read(file: Path) -> Image:
    _modified(file)
    try:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    except cv2.error:  # a header that speaks of gigabytes
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


def _demo(view: View, stopped: Callable[[], bool]) -> Frames:
    scene = Scene()
    begin = time.monotonic()
    for seq in itertools.count():
        time.sleep(max(0.0, begin + seq / view.fps - time.monotonic()))
        if stopped():
            return
        mono = time.monotonic()
        yield frame_of(seq, mono, time.time(), scene.draw(mono - begin), view)
