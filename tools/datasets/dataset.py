"""Labelled faces for training and evaluation, read from a zip or a folder."""

import argparse
import dataclasses
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge.sources.pictures import PictureError, decode
from edge.types import Box, Image
from edge.vision.preprocessing import Preprocessing
from tools.cli.exit import add_verbose
from tools.cli.options import output_file
from tools.cli.progress import bar
from tools.datasets import face_cache, face_search, readers
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.face_cache import FaceCache
from tools.datasets.readers import LAYOUTS, Entry, recognize, with_splits

REPORTED_AGES = ((0, 11), (12, 19), (20, 39), (40, 59), (60, 120))
"""First and last years of the age bands that accuracies are reported for."""
MAX_BROKEN = 0.05
"""Fraction of unreadable pictures above which a data set is refused."""
NAMED = 10
"""Most unreadable pictures listed on stderr."""

Detect = Literal["auto", "haar", "none"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture, still on disk."""

    name: str
    label: int
    """Index into `edge.types.LABELS`."""
    split: str
    aligned: bool
    """The whole picture is the crop; otherwise its face must be found first."""
    files: DataFiles
    member: str
    age: int | None = None
    ethnicity: str | None = None
    box: Box | None = None
    """Where the detector found the face, pixels; None if it did not run or found none."""

    @property
    def age_group(self) -> str | None:
        """One of `REPORTED_AGES`, such as `20-39` or `60+`; None if the age is unknown."""
        if self.age is None:
            return None
        low, high = next(g for g in REPORTED_AGES if self.age <= g[1])
        return f"{low}+" if high == REPORTED_AGES[-1][1] else f"{low}-{high}"

    def image(self) -> Image:
        """uint8 (h, w, 3), B G R. Raises PictureError."""
        return decode(self.files.read(self.member))

    def face(self, image: Image, preprocessing: Preprocessing) -> Box:
        """The box to crop, pixels: the detected one, or one that covers the whole `image`."""
        if self.box is not None:
            return self.box
        height, width = image.shape[:2]
        return preprocessing.whole(width, height)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set on disk; its pictures are read later."""

    path: Path
    layout: str
    samples: list[Sample]
    has_splits: bool
    """The data set assigns pictures to splits itself; otherwise file names decide."""

    def part(self, split: str) -> list[Sample]:
        """The samples of `train`, `val`, `test` or `all`. Raises DataError if there are none."""
        samples = [sample for sample in self.samples if split in (sample.split, "all")]
        if not samples:
            raise DataError(f"data {self.path}: has no pictures in split {split!r}")
        return samples


def load(path: Path, layout: str = "auto", detect: Detect = "auto") -> DataSet:
    """The data set in a folder or zip file.

    `detect` sets how a face is located: `haar` finds it as the daemon does, `none` takes the whole
    picture, `auto` does what suits the layout.

    Raises DataError.
    """
    if not path.exists():
        raise DataError(f"data {path}: does not exist")
    files = DataFiles(path)
    name = recognize(files) if layout == "auto" else layout
    entries = _without_repeats(readers.read(files, name), path)
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


def _without_repeats(entries: list[Entry], path: Path) -> list[Entry]:
    by_member: dict[str, Entry] = {}
    for entry in entries:
        first = by_member.setdefault(entry.member, entry)
        if first.label != entry.label:
            raise DataError(
                f"data {path}: {first.name} and {entry.name} are one picture, {entry.member}, "
                "with two genders"
            )
    if repeats := len(entries) - len(by_member):
        print(f"{path.name}: pictures listed more than once, used once: {repeats}", file=sys.stderr)
    return list(by_member.values())


def find_faces(
    samples: Sequence[Sample], what: str, cache_file: Path | None = None
) -> tuple[list[Sample], list[Sample]]:
    """Read each picture and find its face; returns (usable samples, samples without a face).

    An aligned picture is its own face; in others the largest face that the daemon's detector finds
    is used, or the one that `cache_file` remembers. A bar named `what` shows the progress if stderr
    is a terminal. Unreadable pictures are named on stderr and left out. Raises DataError if they
    are more than `MAX_BROKEN` of all.
    """
    thread = threading.local()  # a cascade serves one thread at a time

    def find(sample: Sample) -> tuple[Sample, PictureError | None, bytes, Box | None]:
        try:
            data = sample.files.read(sample.member)
            key = face_cache.key(data)
            if key in cache:
                return sample, None, key, cache[key]
            image = decode(data)
        except PictureError as error:
            return sample, error, b"", None
        if sample.aligned:
            return sample, None, b"", None
        if not hasattr(thread, "detect"):
            thread.detect = face_search.detector()
        return sample, None, key, face_search.largest_face(image, thread.detect)

    usable, without_face, broken = [], [], []
    with FaceCache(cache_file) as cache, ThreadPoolExecutor(os.cpu_count()) as pool:
        for sample, reason, key, box in bar(pool.map(find, samples), len(samples), what):
            if reason:
                broken.append((sample, reason))
                continue
            if sample.aligned:
                usable.append(sample)
                continue
            cache.add(key, box)
            if box is None:
                without_face.append(sample)
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
    return usable, without_face


def _missing(broken: Sequence[Sample]) -> str:
    members = [sample.member for sample in broken if sample.member not in sample.files]
    return f"; {len(members)} are not there, such as {members[0]}" if members else ""


def crop_of(sample: Sample, preprocessing: Preprocessing, face_px: int | None = None) -> Image:
    """The sample's face as the daemon would crop it.

    With `face_px` the picture is shrunk first, until the crop covers that many pixels, as if the
    camera were far away. Raises DataError if the picture cannot be read.
    """
    try:
        image = sample.image()
    except PictureError as error:
        raise DataError(f"{sample.name} {error}") from error
    box = sample.face(image, preprocessing)
    if face_px is not None:
        image, box = shrunk(image, box, face_px / preprocessing.crop_scale)
    return preprocessing.crop(image, box)


def shrunk(image: Image, box: Box, side: float) -> tuple[Image, Box]:
    """The picture and a box in it shrunk until the box has this `side`, pixels; never enlarged."""
    scale = side / max(box.w, box.h)
    if scale >= 1:
        return image, box
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image, Box(box.x * scale, box.y * scale, box.w * scale, box.h * scale)


def crops_of(samples: Sequence[Sample], preprocessing: Preprocessing) -> list[Image]:
    """`crop_of` each sample."""
    return [crop_of(sample, preprocessing) for sample in samples]


def make_folder(folder: Path, option: str) -> None:
    """Create an output folder and its parents. Raises DataError, which names the `option`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{option}: cannot be made ({error.strerror})") from error


def add_arguments(
    parser: argparse.ArgumentParser, flag: str, *, several: bool = False, needed: bool = True
) -> None:
    """Add `flag`, which names a data set, and the options that say how to read it."""
    parser.add_argument(
        flag,
        type=Path,
        required=needed,
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
    parser.add_argument(
        "--face-cache",
        type=output_file(".npz"),
        metavar="NPZ",
        help="keep in this file where faces were found, so that the next command knows",
    )
