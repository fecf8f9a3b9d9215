"""Labelled faces for training and evaluation, read from a zip or a folder."""

import csv
import dataclasses
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.classify import Preprocessing
from edge.faces import HaarDetector
from edge.records import LABELS, Box, Frame, Image

SPLITS = ("train", "val", "test")
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
AGE_GROUPS = ((0, 11), (12, 19), (20, 39), (40, 59), (60, 120))
LAYOUTS = "aligned:X.zip or pictures:X.zip (X.csv beside it), or folders:DIR"
MAX_BROKEN = 0.05
"""Share of unreadable pictures above which a data set is refused rather than used in part."""


class DataError(Exception):
    """A data set that cannot be used; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture, still compressed."""

    name: str
    data: bytes
    label: int
    """Index into `edge.records.LABELS`."""
    aligned: bool
    """The whole picture is the crop; otherwise the face must be found in it first."""
    age: int | None = None
    ethnicity: str | None = None
    box: Box | None = None
    """Where the detector saw the face; None where it was not asked or saw none."""

    @property
    def age_group(self) -> str:
        if self.age is None:
            return "not given"
        low, high = next(g for g in AGE_GROUPS if g[0] <= self.age <= g[1])
        return f"{low}+" if high == AGE_GROUPS[-1][1] else f"{low}-{high}"

    def image(self) -> Image | None:
        """B G R uint8, or None where the picture is broken."""
        image = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR)
        return None if image is None else np.asarray(image, np.uint8)

    def face(self, image: Image, preprocessing: Preprocessing) -> Box:
        """The box to crop: the one found, or the one that covers an aligned picture."""
        if self.box is not None:
            return self.box
        height, width = image.shape[:2]
        return preprocessing.whole(width, height)


def load(source: str, split: str) -> list[Sample]:
    """The samples of one split of `LAYOUT:PATH`.

    `aligned:X.zip` and `pictures:X.zip` (or `:X/`, a folder) are pictures with `X.csv` beside them,
    which has the columns file, split, gender and may have age and ethnicity. In `aligned` data the
    whole picture is the face; in `pictures` the face is found as the daemon finds it.
    `folders:DIR` has pictures under `female/` and `male/`, the face to be found; a tenth of them,
    chosen by file name, is `val`, another tenth `test`.

    Raises DataError.
    """
    layout, _, name = source.partition(":")
    path = Path(name)
    if split not in SPLITS:
        raise DataError(f"split {split!r}: must be one of {', '.join(SPLITS)}")
    if not name or layout not in ("aligned", "pictures", "folders"):
        raise DataError(f"data {source!r}: must be aligned:PATH, pictures:PATH or folders:PATH")
    if not path.exists():
        raise DataError(f"data {source!r}: {path} does not exist")
    samples = _folders(path, split) if layout == "folders" else _table(path, split, layout)
    if not samples:
        raise DataError(f"data {source!r}: has no pictures in split {split!r}")
    return samples


def _table(path: Path, split: str, layout: str) -> list[Sample]:
    table = path.with_suffix(".csv")
    if not table.is_file():
        raise DataError(f"data {path}: {table.name} is missing beside it")
    read = _reader(path)
    samples = []
    with table.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        missing = {"file", "split", "gender"} - set(rows.fieldnames or ())
        if missing:
            raise DataError(f"{table}: lacks the columns {', '.join(sorted(missing))}")
        for row in rows:
            if row["gender"] not in LABELS or row["split"] not in SPLITS:
                raise DataError(
                    f"{table}: line {rows.line_num}: gender {row['gender']!r}, "
                    f"split {row['split']!r}; allowed are {LABELS} and {SPLITS}"
                )
            if row["split"] != split:
                continue
            samples.append(
                Sample(
                    name=row["file"],
                    data=read(row["file"]),
                    label=LABELS.index(row["gender"]),
                    aligned=layout == "aligned",
                    age=int(row["age"]) if row.get("age") else None,
                    ethnicity=row.get("ethnicity") or None,
                )
            )
    return samples


def _reader(path: Path) -> Callable[[str], bytes]:
    """How to read a picture by name from a zip or a folder; b"" where it is missing."""
    if path.is_dir():

        def from_folder(name: str) -> bytes:
            file = path / name
            return file.read_bytes() if file.is_file() else b""

        return from_folder
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"data {path}: is neither a folder nor a zip file ({error})") from error
    # a zip may hold its pictures in a folder of its own
    members = {member.rsplit("/", 1)[-1]: member for member in archive.namelist()}

    def from_zip(name: str) -> bytes:
        return archive.read(members[name]) if name in members else b""

    return from_zip


def _folders(path: Path, split: str) -> list[Sample]:
    samples = []
    for label, gender in enumerate(LABELS):
        if not (path / gender).is_dir():
            raise DataError(f"data {path}: needs the folders {' and '.join(LABELS)}")
        for file in sorted((path / gender).rglob("*")):
            if file.suffix.lower() not in PICTURES:
                continue
            tenth = zlib.crc32(file.name.encode()) % 10
            if {0: "test", 1: "val"}.get(tenth, "train") == split:
                samples.append(Sample(file.name, file.read_bytes(), label, aligned=False))
    return samples


def find_faces(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Check that each picture can be read and find its face: (usable samples, faces not found).

    An aligned picture is its own face. Elsewhere the largest face that the daemon's detector sees
    is taken. Broken pictures are named on stderr and left out; more than `MAX_BROKEN` of them
    raise DataError.
    """
    detect = HaarDetector(min_face_px=24)
    usable, unseen, broken = [], [], []
    for sample in samples:
        image = sample.image()
        if image is None:
            broken.append(sample.name)
        elif sample.aligned:
            usable.append(sample)
        else:
            box = _largest_face(image, detect)
            if box is None:
                unseen.append(sample)
            else:
                usable.append(dataclasses.replace(sample, box=box))
    for name in broken:
        print(f"left out, cannot be read: {name}", file=sys.stderr)
    if len(broken) > MAX_BROKEN * len(samples):
        raise DataError(f"{len(broken)} of {len(samples)} pictures cannot be read")
    return usable, unseen


def _largest_face(image: Image, detect: HaarDetector) -> Box | None:
    # Haar needs some room around a face, which pictures cut close to it lack
    edge = max(image.shape[:2]) // 4
    padded = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    gray = cv2.cvtColor(padded, cv2.COLOR_BGR2GRAY)
    faces = detect(Frame(0, 0.0, 0.0, np.asarray(padded, np.uint8), np.asarray(gray, np.uint8)))
    if not faces:
        return None
    box = max(faces, key=lambda face: face.box.w).box
    return dataclasses.replace(box, x=box.x - edge, y=box.y - edge)


def crops_of(samples: Sequence[Sample], preprocessing: Preprocessing) -> list[Image]:
    """Each sample's face as the daemon would crop it."""
    crops = []
    for sample in samples:
        image = sample.image()
        if image is None:
            raise DataError(f"{sample.name} cannot be read")
        crops.append(preprocessing.crop(image, sample.face(image, preprocessing)))
    return crops
