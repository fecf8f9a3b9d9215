"""Recordings: videos, animations, pictures and folders of pictures, each on its own clock."""

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
"""A single picture is shown for this long: a face must be seen more than once to count."""
LATEST = 2**32
"""Seconds since 1970, the year 2106: files of later than that have a broken time."""


def open_file(path: Path, view: CaptureSettings = CaptureSettings()) -> Recorded:
    """The frames of a video or picture file or of a folder of pictures, on its own clock.

    What holds a single picture is shown for `STILL_S`. `mono` begins with 0. A video and an
    animated picture go by their time stamps (`timeline`), a folder by `view.fps`. `utc` begins when
    the file was last modified, so the same file always gives the same frames. What is broken in
    part is read as far as it can be, and logged.

    Raises ConfigError if there is nothing to see in it.
    """
    silence_opencv()
    files = _listed(path) if path.is_dir() else [path]
    started = _modified(files[0])
    moments = _moments(path, files, view)
    first, second = next(moments, None), next(moments, None)
    if first is None:
        raise ConfigError(f"source {path}: is not a video or picture that can be read")
    shown = _still(first[0], view) if second is None else itertools.chain([first, second], moments)
    return _frames(shown, moments, started, view)


def length(source: str, view: CaptureSettings = CaptureSettings()) -> int | None:
    """The number of frames in a recording, by what its file says; None if it does not say.

    A file may be wrong about itself: this is for progress, not for reading.
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
        return round(STILL_S * view.fps) + 1
    return frames


def _frames(
    shown: Iterable[Moment], moments: Moments, started: float, view: CaptureSettings
) -> Recorded:
    with contextlib.closing(moments):
        for seq, (image, mono) in enumerate(shown):
            yield frame_of(seq, mono, started + mono, upright(image, view), view)


def _still(image: Image, view: CaptureSettings) -> Iterator[Moment]:
    return ((image, number / view.fps) for number in range(round(STILL_S * view.fps) + 1))


def _moments(path: Path, files: list[Path], view: CaptureSettings) -> Moments:
    """Pictures, each with its seconds since the first."""
    notices = Notices(f"source {path}")
    if path.is_dir():
        return _folder(path, files, view, notices)
    if path.suffix.lower() in SUFFIXES:
        return _picture(path, view, notices)
    return _video(path, view, notices)


def _video(path: Path, view: CaptureSettings, notices: Notices) -> Moments:
    """A video; or a picture whose name does not say so, which may ask to be turned."""
    with contextlib.closing(read_video(path, view.fps, notices.warn)) as moments:
        first, second = next(moments, None), next(moments, None)
        if second is None and path.is_file():  # a pipe is read but once
            with contextlib.suppress(PictureError):
                first = (pictures.read(path), 0.0)
        yield from (moment for moment in (first, second) if moment is not None)
        yield from moments


def _picture(path: Path, view: CaptureSettings, notices: Notices) -> Moments:
    """One picture, or an animation up to where it is broken."""
    timeline = Timeline(view.fps, view.fps, notices.warn)
    number = 0
    try:
        for image, stamp_ms in pictures.animation(path):
            yield image, timeline.place(stamp_ms)
            number += 1
    except PictureError as error:
        if not number:
            raise ConfigError(f"source {path}: {error}") from error
        notices.warn(f"ends after frame {number - 1}, for it {error}")


def _folder(path: Path, files: list[Path], view: CaptureSettings, notices: Notices) -> Moments:
    """A picture that cannot be read is named, and its moment passes without a frame."""
    begin: int | None = None
    for number, file in enumerate(files):
        try:
            image = pictures.read(file)
        except PictureError as error:
            notices.warn(f"{file.name} {error}; left out")
            continue
        begin = number if begin is None else begin
        yield image, (number - begin) / view.fps
    if begin is None:
        raise ConfigError(f"source {path}: none of its {len(files)} pictures can be read")


def _listed(folder: Path) -> list[Path]:
    """Its pictures as people count: 2 before 10. Hidden files, as macOS adds them, are none."""
    try:
        files = [file for file in folder.iterdir() if _is_picture(file)]
    except OSError as error:
        raise ConfigError(f"source {folder}: cannot be read ({error.strerror})") from error
    if not files:
        raise ConfigError(f"source {folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return sorted(files, key=lambda file: (_natural(file.name), file.name))


def _is_picture(file: Path) -> bool:
    named = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    return named and (file.is_file() or not file.exists())  # a link to nothing is worth a word


def _natural(name: str) -> list[int | str]:
    """A key to sort by, in which numbers count as such: text and number by turns."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def _modified(path: Path) -> float:
    """Whole seconds since 1970; 0 if the file claims a time that no clock shows."""
    try:
        modified = int(path.stat().st_mtime)
    except OSError as error:
        raise ConfigError(f"source {path}: cannot be read ({error.strerror})") from error
    return float(modified) if 0 <= modified < LATEST else 0.0
