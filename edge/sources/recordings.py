"""Reads recordings: videos, animations, pictures and folders of pictures, each on its own clock."""

import contextlib
import itertools
import re
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from edge.errors import ConfigError
from edge.native_log import silence_opencv
from edge.sources import pictures
from edge.sources.frame import frame_of, upright
from edge.sources.notices import Notices
from edge.sources.pictures import SUFFIXES, PictureError
from edge.sources.timeline import Timeline
from edge.sources.video import announced_frames, read_video
from edge.types import CaptureSettings, Frame, Image

Recorded = Generator[Frame, None, None]
Moment = tuple[Image, float]
"""A picture, and the seconds since the first one."""
Moments = Generator[Moment, None, None]

STILL_S = 2.0
"""Seconds for which a single picture is repeated: a face counts only if seen more than once."""
LATEST_S = 2**32
"""Seconds from 1970 to 2106: a later time of a file is broken."""


def open_file(path: Path, settings: CaptureSettings = CaptureSettings()) -> Recorded:
    """The frames of a video or picture file, or of a folder of pictures, on its own clock.

    `mono` begins with 0 and follows the time stamps of a video or animation (`timeline`), or
    `settings.fps` in a folder. `utc` begins when the file was last modified, so the same file
    always gives the same frames. A single picture lasts for `STILL_S`. Damaged parts are skipped
    and logged.

    Raises ConfigError if not one picture can be read.
    """
    silence_opencv()
    files = _listed(path) if path.is_dir() else [path]
    started = _modified(files[0])
    moments = _moments(path, files, settings)
    first, second = next(moments, None), next(moments, None)
    if first is None:
        raise ConfigError(f"source {path}: is not a video or picture that can be read")
    sequence = (
        _still(first[0], settings) if second is None else itertools.chain([first, second], moments)
    )
    return _frames(sequence, moments, started, settings)


def length(source: str, settings: CaptureSettings = CaptureSettings()) -> int | None:
    """The number of frames that a recording claims to have; None if it does not say.

    A file may be wrong about itself: use this for progress only.
    """
    path = Path(source)
    if path.is_dir():
        with contextlib.suppress(OSError):
            return sum(map(_is_picture, path.iterdir()))
    if not path.is_file():  # a pipe can be read only once
        return None
    silence_opencv()
    frames = announced_frames(path)
    if frames is None and path.suffix.lower() in SUFFIXES:
        return round(STILL_S * settings.fps) + 1
    return frames


def _frames(
    sequence: Iterable[Moment], moments: Moments, started: float, settings: CaptureSettings
) -> Recorded:
    with contextlib.closing(moments):
        for seq, (image, mono) in enumerate(sequence):
            yield frame_of(seq, mono, started + mono, upright(image, settings), settings)


def _still(image: Image, settings: CaptureSettings) -> Iterator[Moment]:
    return ((image, number / settings.fps) for number in range(round(STILL_S * settings.fps) + 1))


def _moments(path: Path, files: list[Path], settings: CaptureSettings) -> Moments:
    """Pictures, each with its seconds since the first."""
    notices = Notices(f"source {path}")
    if path.is_dir():
        return _folder(path, files, settings, notices)
    if path.suffix.lower() in SUFFIXES:
        return _picture(path, settings, notices)
    return _video(path, settings, notices)


def _video(path: Path, settings: CaptureSettings, notices: Notices) -> Moments:
    """A video; or a picture without a picture's suffix, read so that it is turned upright."""
    with contextlib.closing(read_video(path, settings.fps, notices.warn)) as moments:
        first, second = next(moments, None), next(moments, None)
        if second is None and path.is_file():  # a pipe can be read only once
            with contextlib.suppress(PictureError):
                first = (pictures.read(path), 0.0)
        yield from (moment for moment in (first, second) if moment is not None)
        yield from moments


def _picture(path: Path, settings: CaptureSettings, notices: Notices) -> Moments:
    """One picture, or an animation up to where it is broken."""
    timeline = Timeline(settings.fps, settings.fps, notices.warn)
    number = 0
    try:
        for image, stamp_ms in pictures.animation(path):
            yield image, timeline.place(stamp_ms)
            number += 1
    except PictureError as error:
        if not number:
            raise ConfigError(f"source {path}: {error}") from error
        notices.warn(f"ends after frame {number - 1}: it {error}")


def _folder(path: Path, files: list[Path], settings: CaptureSettings, notices: Notices) -> Moments:
    """The pictures of a folder; one that cannot be read is logged and leaves a gap in time."""
    first: int | None = None
    for number, file in enumerate(files):
        try:
            image = pictures.read(file)
        except PictureError as error:
            notices.warn(f"{file.name} {error}; left out")
            continue
        first = number if first is None else first
        yield image, (number - first) / settings.fps
    if first is None:
        raise ConfigError(f"source {path}: none of its {len(files)} pictures can be read")


def _listed(folder: Path) -> list[Path]:
    """A folder's pictures in natural order, 2 before 10, without hidden files (macOS adds some)."""
    try:
        files = [file for file in folder.iterdir() if _is_picture(file)]
    except OSError as error:
        raise ConfigError(f"source {folder}: cannot be read ({error.strerror})") from error
    if not files:
        raise ConfigError(f"source {folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return sorted(files, key=lambda file: (natural(file.name), file.name))


def _is_picture(file: Path) -> bool:
    has_name = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    return has_name and (file.is_file() or not file.exists())  # a broken link is worth a warning


def natural(name: str) -> list[int | str]:
    """A sort key of alternating text and numbers, so that numbers sort by their value."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _modified(path: Path) -> float:
    """When a file was last modified, whole seconds since 1970; 0 if its time is impossible."""
    try:
        modified = int(path.stat().st_mtime)
    except OSError as error:
        raise ConfigError(f"source {path}: cannot be read ({error.strerror})") from error
    return float(modified) if 0 <= modified < LATEST_S else 0.0
