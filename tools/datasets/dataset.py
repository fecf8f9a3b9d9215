"""Labelled faces for training and evaluation, read from a zip or a folder."""

import argparse
import dataclasses
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge.sources.frame import frame_of
from edge.sources.pictures import PictureError, decode
from edge.types import Box, CaptureSettings, Face, Image
from edge.vision.blazeface import BlazeFace
from edge.vision.detector import HaarDetector
from edge.vision.preprocessing import Preprocessing
from tools.cli.exit import add_verbose
from tools.cli.progress import bar
from tools.datasets import readers
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.readers import LAYOUTS, Entry, recognize, with_splits

REPORTED_AGES = ((0, 11), (12, 19), (20, 39), (40, 59), (60, 120))
"""Years; accuracies are reported for each of these."""
FACE_MODEL = Path(__file__).parents[2] / "models/face.tflite"
MAX_BROKEN = 0.05
"""Share of unreadable pictures above which a data set is refused rather than used in part."""
SEARCHED_PIXELS = 2_000_000
"""Of a picture and its margin, at most; the daemon searches about half a million."""
NAMED = 10
"""So many of them are named."""

Detect = Literal["auto", "haar", "none"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture, still on disk."""

    name: str
    label: int
    """Index into `edge.types.LABELS`."""
    split: str
    aligned: bool
    """The whole picture is the crop; otherwise the face must be found in it first."""
    files: DataFiles
    member: str
    age: int | None = None
    ethnicity: str | None = None
    box: Box | None = None
    """Where the detector saw the face; None where it was not asked or saw none."""

    @property
    def age_group(self) -> str | None:
        if self.age is None:
            return None
        low, high = next(g for g in REPORTED_AGES if self.age <= g[1])
        return f"{low}+" if high == REPORTED_AGES[-1][1] else f"{low}-{high}"

    def image(self) -> Image:
        """B G R uint8. Raises PictureError."""
        return decode(self.files.read(self.member))

    def face(self, image: Image, preprocessing: Preprocessing) -> Box:
        """The box to crop: the one found, or the one that covers an aligned picture."""
        if self.box is not None:
            return self.box
        height, width = image.shape[:2]
        return preprocessing.whole(width, height)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set on disk, its pictures not read yet."""

    path: Path
    layout: str
    samples: list[Sample]
    has_splits: bool
    """The data set itself says which picture is for what; otherwise file names decide."""

    def part(self, split: str) -> list[Sample]:
        """The samples of `train`, `val`, `test` or `all`. Raises DataError where there are none."""
        chosen = [sample for sample in self.samples if split in (sample.split, "all")]
        if not chosen:
            raise DataError(f"data {self.path}: has no pictures in split {split!r}")
        return chosen


def load(path: Path, layout: str = "auto", detect: Detect = "auto") -> DataSet:
    """The data set in a folder or zip file.

    `detect` says where a picture's face is: `haar` finds it as the daemon does, `none` takes the
    whole picture, `auto` does what suits the layout.

    Raises DataError.
    """
    if not path.exists():
        raise DataError(f"data {path}: does not exist")
    files = DataFiles(path)
    name = recognize(files) if layout == "auto" else layout
    entries = _each_once(readers.read(files, name), path)
    if not entries:
        raise DataError(f"data {path}: has no labelled pictures (layout {name})")
    aligned = LAYOUTS[name].aligned if detect == "auto" else detect == "none"
    samples = []
    for entry, split in zip(entries, with_splits(entries), strict=True):
        if entry.age is not None and entry.age > REPORTED_AGES[-1][1]:
            raise DataError(f"data {path}: {entry.name}: an age of {entry.age} cannot be right")
        samples.append(
            Sample(
                entry.name,
                entry.label,
                split,
                aligned,
                files,
                entry.member,
                entry.age,
                entry.ethnicity,
            )
        )
    return DataSet(path, name, samples, any(entry.split for entry in entries))


def _each_once(entries: list[Entry], path: Path) -> list[Entry]:
    kept: dict[str, Entry] = {}
    for entry in entries:
        first = kept.setdefault(entry.member, entry)
        if first.label != entry.label:
            raise DataError(
                f"data {path}: {first.name} and {entry.name} are one picture, {entry.member}, "
                "with two genders"
            )
    if more := len(entries) - len(kept):
        print(f"{path.name}: listed more than once and taken once: {more}", file=sys.stderr)
    return list(kept.values())


def find_faces(samples: Sequence[Sample], what: str) -> tuple[list[Sample], list[Sample]]:
    """Check that each picture can be read and find its face: (usable samples, faces not found).

    An aligned picture is its own face. Elsewhere the largest face that the daemon's detector sees
    is taken. A bar named `what` shows the progress on stderr where that is a screen. Broken
    pictures are named on stderr and left out; more than `MAX_BROKEN` of them raise DataError.
    """
    own = threading.local()  # a cascade serves one thread at a time

    def look(sample: Sample) -> tuple[Sample, PictureError | None, Box | None]:
        try:
            image = sample.image()
        except PictureError as error:
            return sample, error, None
        if sample.aligned:
            return sample, None, None
        if not hasattr(own, "detect"):
            own.detect = HaarDetector(BlazeFace(FACE_MODEL), min_face_px=24)
        return sample, None, _largest_face(image, own.detect)

    usable, unseen, broken = [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for sample, reason, box in bar(pool.map(look, samples), len(samples), what):
            if reason:
                broken.append((sample, reason))
            elif sample.aligned:
                usable.append(sample)
            elif box is None:
                unseen.append(sample)
            else:
                usable.append(dataclasses.replace(sample, box=box))
    for sample, reason in broken[:NAMED]:
        print(f"left out: {sample.name} {reason}", file=sys.stderr)
    if len(broken) > NAMED:
        print(f"left out, and {len(broken) - NAMED} more", file=sys.stderr)
    if len(broken) > MAX_BROKEN * len(samples):
        first, _ = broken[0]
        raise DataError(
            f"data {first.files.path}: {len(broken)} of {len(samples)} pictures cannot be "
            f"read{_missing([sample for sample, _ in broken])}"
        )
    return usable, unseen


def _missing(broken: Sequence[Sample]) -> str:
    members = [sample.member for sample in broken if sample.member not in sample.files]
    return f"; {len(members)} are not there, such as {members[0]}" if members else ""


def _largest_face(image: Image, detect: HaarDetector) -> Box | None:
    def search(padded: Image) -> list[Face]:
        return detect(frame_of(0, 0.0, 0.0, padded, CaptureSettings(gray_width=padded.shape[1])))

    faces = with_margin(image, search)
    return max((face.box for face in faces), key=lambda box: box.w, default=None)


def with_margin(image: Image, search: Callable[[Image], list[Face]]) -> list[Face]:
    """What `search` finds in the picture with a margin around it, in pixels of the picture.

    Haar needs some room around a face, which pictures cut close to it lack. The margin is no wider
    than the picture's shorter side, and what is searched has `SEARCHED_PIXELS` at most, so that
    no shape and no size takes long.
    """
    height, width = image.shape[:2]
    room = min(max(height, width) // 4, min(height, width))
    padded = (height + 2 * room) * (width + 2 * room)
    scale = min(1.0, math.sqrt(SEARCHED_PIXELS / padded))
    if scale < 1:
        room = round(room * scale)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    image = np.asarray(
        cv2.copyMakeBorder(image, room, room, room, room, cv2.BORDER_REPLICATE), np.uint8
    )

    def placed(box: Box) -> Box:
        return Box((box.x - room) / scale, (box.y - room) / scale, box.w / scale, box.h / scale)

    return [dataclasses.replace(face, box=placed(face.box)) for face in search(image)]


def crop_of(sample: Sample, preprocessing: Preprocessing, face_px: int | None = None) -> Image:
    """The sample's face as the daemon would crop it.

    With `face_px` the picture is shrunk first, so that the crop covers as many of its pixels: what
    a camera gives that is far away. Raises DataError where the picture cannot be read.
    """
    try:
        image = sample.image()
    except PictureError as error:
        raise DataError(f"{sample.name} {error}") from error
    box = sample.face(image, preprocessing)
    scale = 1.0 if face_px is None else face_px / (max(box.w, box.h) * preprocessing.crop_scale)
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        box = Box(box.x * scale, box.y * scale, box.w * scale, box.h * scale)
    return preprocessing.crop(image, box)


def crops_of(samples: Sequence[Sample], preprocessing: Preprocessing) -> list[Image]:
    """`crop_of` each sample."""
    return [crop_of(sample, preprocessing) for sample in samples]


def make_folder(folder: Path, option: str) -> None:
    """Before the work whose results go there. Raises DataError, naming the `option`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{option}: cannot be made ({error.strerror})") from error


def add_arguments(parser: argparse.ArgumentParser, flag: str, *, several: bool = False) -> None:
    """The options that say which data set to read."""
    parser.add_argument(
        flag,
        type=Path,
        required=True,
        metavar="PATH",
        action="append" if several else "store",
        help="labelled faces, a folder or zip file" + ("; may be repeated" if several else ""),
    )
    add_verbose(parser)
    parser.add_argument(
        "--layout",
        choices=("auto", *LAYOUTS),
        default="auto",
        help="how the labels are given; auto looks at the files",
    )
    parser.add_argument(
        "--detect",
        choices=("auto", "haar", "none"),
        default="auto",
        help="haar: find the face as the daemon does; none: the whole picture is the face; "
        "auto: none for utkface, haar elsewhere",
    )
