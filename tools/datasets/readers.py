"""Read labelled faces: one reader for each layout that data sets come in."""

import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from edge.sources import pictures
from edge.types import LABELS
from tools.datasets import ages, genders, tables
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.genders import Folders
from tools.datasets.tables import Row

SPLITS = ("train", "val", "test")
NAMED = 5
"""Most folders listed in one message."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
CELEBA_MALE = {"1": LABELS.index("male"), **dict.fromkeys(("-1", "0"), LABELS.index("female"))}
CELEBA_SPLITS = {str(number): split for number, split in enumerate(SPLITS)}
UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.\w+(\.chip)?(\.\w+)?$")
UTKFACE_ETHNICITIES = ("white", "black", "asian", "indian", "other")
ADIENCE_FOLD = re.compile(r"fold_(frontal_)?(\d)_data\.txt")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled picture of a data set."""

    name: str
    """The data set's own name for it."""
    member: str
    """Its path in the folder or zip file."""
    label: int
    """Index into `edge.types.LABELS`."""
    split: str | None = None
    """One of `SPLITS`; None if the data set does not say."""
    age: int | None = None
    """Years; the middle if the data set gives a range."""
    ethnicity: str | None = None


def _name(member: str) -> str:
    return PurePosixPath(member).name


def beside(path: Path) -> Path:
    """The table beside `faces.zip` or `faces/`: `faces.csv`."""
    return path.parent / f"{path.stem if path.suffix == '.zip' else path.name}.csv"


def _table(files: DataFiles, member: str, needed: Sequence[str], *more: str) -> list[Row]:
    return tables.read(files.table(member), f"{files.path}: {member}", needed, more)


def read_csv(files: DataFiles) -> list[Entry]:
    """Pictures with a table beside them: columns file, gender; optional split, age, ethnicity."""
    path = beside(files.path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"data {files.path}: {path.name} is missing beside it") from None
    except OSError as error:
        raise DataError(f"data {path}: cannot be read ({error.strerror})") from error
    entries = []
    for row in tables.read(data, str(path), ("file", "gender"), ("split", "age", "ethnicity")):
        where = f"data {path}: line {row.number}"
        cells = row.cells
        split = SPLIT_WORDS.get(cells["split"].lower()) if "split" in cells else None
        if "split" in cells and split is None:
            raise DataError(f"{where}: split {cells['split']!r} must be one of {', '.join(SPLITS)}")
        label = genders.of_label(cells["gender"], where)
        age, ethnicity = ages.parse(cells.get("age", ""), where), cells.get("ethnicity") or None
        member = files.find(cells["file"])
        entries.append(Entry(cells["file"], member, label, split, age, ethnicity))
    return entries


def read_utkface(files: DataFiles) -> list[Entry]:
    """UTKFace: aligned faces named age_gender_ethnicity_date; splits from a table beside, if any.

    Z. Zhang et al.: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.
    """
    entries = []
    for member in files.images():
        name = _name(member)
        match = UTKFACE_NAME.match(name)
        if match is None:  # a few of its files lack a part of their name
            continue
        age, gender, ethnicity = match.group(1, 2, 3)
        label = LABELS.index("male" if gender == "0" else "female")
        group = UTKFACE_ETHNICITIES[int(ethnicity)]
        entries.append(Entry(name, member, label, None, int(age), group))
    table = beside(files.path)
    if not table.is_file():
        return entries
    by_name = {entry.member: entry.label for entry in entries}
    entries = read_csv(files)
    corrected = [
        entry.name for entry in entries if by_name.get(entry.member, entry.label) != entry.label
    ]
    if corrected:
        print(
            f"{table.name}: overrides the gender in file names: {len(corrected)}, such as "
            f"{corrected[0]}",
            file=sys.stderr,
        )
    return entries


def read_folders(files: DataFiles) -> list[Entry]:
    """One folder for each class, `female` and `male`, optionally under `train`, `val`, `test`.

    Pictures in other folders are left out, and counted on stderr.
    """
    where = f"data {files.path}"
    entries, not_pictures, without_gender = [], Counter[str](), Counter[str]()
    images = files.images()
    folders = Folders(images, SPLIT_WORDS)
    readable = frozenset(images)
    for member in files.members:
        label = folders.label(member, where)
        if member not in readable:
            if label is not None:
                not_pictures[PurePosixPath(member).suffix or "no suffix"] += 1
        elif label is None:
            without_gender[str(PurePosixPath(member).parent)] += 1
        else:
            entries.append(Entry(member, member, label, _split(member, where)))
    left_out = ", ".join(
        f"{number} in {folder}" for folder, number in without_gender.most_common(NAMED)
    )
    if {entry.label for entry in entries} != set(range(len(LABELS))):
        raise DataError(
            f"{where}: needs the folders {' and '.join(LABELS)} with pictures "
            f"({', '.join(sorted(pictures.SUFFIXES))})"
            + (f"; not known: {left_out} ({genders.KNOWN})" if left_out else "")
        )
    if without_gender:
        print(f"{files.path.name}: left out, no gender in the path: {left_out}", file=sys.stderr)
    if not_pictures:
        kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(not_pictures.items()))
        print(f"{files.path.name}: ignored, not pictures: {kinds}", file=sys.stderr)
    return entries


def _split(member: str, where: str) -> str | None:
    """The split that the folders of a picture name. Raises DataError if they name two."""
    splits: list[str] = []
    for folder in PurePosixPath(member).parts[:-1]:
        matches = {SPLIT_WORDS[word] for word in genders.words(folder) if word in SPLIT_WORDS}
        splits += matches if len(matches) == 1 else []  # a whole data set may be called train-val
    if len(set(splits)) > 1:
        raise DataError(f"{where}: {member} is in folders of two splits, {' and '.join(splits)}")
    return splits[0] if splits else None


def read_celeba(files: DataFiles) -> list[Entry]:
    """CelebA: `list_attr_celeba` and `list_eval_partition` as .txt or .csv beside the pictures.

    Z. Liu et al.: Deep Learning Face Attributes in the Wild, ICCV 2015.
    """
    attributes = _celeba_table(files, "list_attr_celeba", "Male")
    if attributes is None:
        raise DataError(f"data {files.path}: has no list_attr_celeba with the column Male")
    where = f"data {files.path}: list_attr_celeba"
    if {"0", "-1"} <= set(attributes.values()):
        raise DataError(f"{where}: Male is both 0 and -1, one of which may mean unknown")
    splits = _celeba_table(files, "list_eval_partition", "partition") or {}
    return [
        Entry(
            name,
            files.find(name),
            _value_of(CELEBA_MALE, male, f"{where}: {name}: Male"),
            _value_of(CELEBA_SPLITS, splits[name], f"{where}: {name}: partition")
            if name in splits
            else None,
        )
        for name, male in attributes.items()
    ]


def _value_of(codes: dict[str, T], word: str, where: str) -> T:
    try:
        return codes[word.strip()]
    except KeyError:
        raise DataError(f"{where} {word!r} must be one of {', '.join(codes)}") from None


def _celeba_table(files: DataFiles, stem: str, column: str) -> dict[str, str] | None:
    """One column, by picture name; None if there is no such table. Raises DataError."""
    if member := files.named(f"{stem}.csv"):
        rows = _table(files, member, ("file", column))
        return _by_file([(row.cells["file"], row.cells[column]) for row in rows], member)
    if not (member := files.named(f"{stem}.txt")):
        return None
    name = f"{files.path}: {member}"
    lines = [line.split() for line in tables.text_of(files.table(member), name).splitlines()]
    lines = [cells for cells in lines if cells]
    names = [column]
    if stem == "list_attr_celeba":
        # line 1 is the number of pictures; line 2 names the columns, without the file's
        names, lines = (lines[1] if len(lines) > 1 else []), lines[2:]
    if column not in names:
        raise DataError(f"data {name}: cannot be read as a table: no column {column}")
    for cells in lines:
        if len(cells) != len(names) + 1:
            raise DataError(
                f"data {name}: names {len(names)} columns but has {len(cells) - 1} for {cells[0]}"
            )
    index = names.index(column) + 1
    return _by_file([(cells[0], cells[index]) for cells in lines], name)


def _by_file(pairs: Sequence[tuple[str, str]], where: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for file, value in pairs:
        if values.setdefault(file, value) != value:
            raise DataError(f"data {where}: {file} is there twice, as {values[file]} and {value}")
    return values


def read_fairface(files: DataFiles) -> list[Entry]:
    """FairFace: `fairface_label_train.csv` and `fairface_label_val.csv`; its val serves as test.

    K. Karkkainen, J. Joo: FairFace, WACV 2021. A tenth of its train, chosen by file name, is val.
    """
    entries = []
    for part in ("train", "val"):
        table_name = f"fairface_label_{part}.csv"
        table_member = files.named(table_name)
        if table_member is None:
            raise DataError(f"data {files.path}: has no {table_name}")
        folder = table_member.removesuffix(table_name)
        for row in _table(files, table_member, ("file", "gender"), "age", "ethnicity"):
            cells, file = row.cells, row.cells["file"]
            where = f"data {files.path}: {table_name}: {file}"
            # both parts number their files from 1, so only the folder tells them apart
            member = file if file in files else folder + file
            label = genders.of_label(cells["gender"], where)
            split = "test" if part == "val" else _by_name(file, test=False)
            age = ages.parse(cells.get("age", ""), where)
            entries.append(Entry(file, member, label, split, age, cells.get("ethnicity") or None))
    return entries


def read_adience(files: DataFiles) -> list[Entry]:
    """Adience: `fold_0_data.txt` to `fold_4_data.txt`, no person in two of them.

    E. Eidinger, R. Enbar, T. Hassner: Age and Gender Estimation of Unfiltered Faces, 2014. Fold 3
    serves as val, fold 4 as test. Faces of unknown gender are left out. The tables
    `fold_frontal_0_data.txt` and so on list only some of these faces, and are read only if there
    are no others.
    """
    folds = [(m, ADIENCE_FOLD.fullmatch(_name(m))) for m in files.members]
    all_faces = any(match and not match.group(1) for _, match in folds)
    entries = []
    for member, match in folds:
        if match is None or (all_faces and match.group(1)):
            continue
        columns = ("user_id", "original_image", "face_id", "gender")
        split = {"3": "val", "4": "test"}.get(match.group(2), "train")
        for row in _table(files, member, columns, "age"):
            cells, where = row.cells, f"data {files.path}: {member}: line {row.number}"
            if cells["gender"].lower() in ("", "u", "unknown", "none", "nan"):
                continue
            label = genders.of_label(cells["gender"], where)
            tail = f"{cells['face_id']}.{cells['original_image']}"
            names = (f"landmark_aligned_face.{tail}", f"coarse_tilt_aligned_face.{tail}")
            picture = files.named(names[0]) or files.named(names[1]) or names[0]
            age = ages.parse(cells.get("age", ""), where)
            entries.append(Entry(_name(picture), picture, label, split, age))
    return entries


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read one layout."""

    read: Callable[[DataFiles], list[Entry]]
    aligned: bool = False
    """Each picture is already a face, cropped as the daemon crops it."""


LAYOUTS = {
    "utkface": Layout(read_utkface, aligned=True),
    "celeba": Layout(read_celeba),
    "fairface": Layout(read_fairface),
    "adience": Layout(read_adience),
    "folders": Layout(read_folders),
    "csv": Layout(read_csv),
}


def recognize(files: DataFiles) -> str:
    """Key in `LAYOUTS` of a data set, judged by its file names. Raises DataError."""
    bases = files.bases()
    images = files.images()
    if any(name.startswith("list_attr_celeba") for name in bases):
        return "celeba"
    if "fairface_label_train.csv" in bases:
        return "fairface"
    if any(ADIENCE_FOLD.fullmatch(name) for name in bases):
        return "adience"
    if images and sum(UTKFACE_NAME.match(_name(m)) is not None for m in images) > len(images) / 2:
        return "utkface"
    if beside(files.path).is_file():
        return "csv"
    folders = Folders(images, SPLIT_WORDS)
    if any(folders.parts(member, f"data {files.path}") for member in images):
        return "folders"
    parents = sorted({str(PurePosixPath(member).parent) for member in images} - {"."})[:NAMED]
    raise DataError(
        f"data {files.path}: is in no known layout: neither folders named "
        f"{' and '.join(LABELS)}, nor {beside(files.path).name} beside it, nor one of "
        f"{', '.join(LAYOUTS)}; choose one with --layout"
        + (f"; its folders are {', '.join(parents)} ({genders.KNOWN})" if parents else "")
    )


def read(files: DataFiles, layout: str) -> list[Entry]:
    """The labelled pictures of a data set; `layout` is a key of `LAYOUTS`.

    Raises DataError, also if the path of a picture contradicts its label.
    """
    entries = LAYOUTS[layout].read(files)
    folders = Folders((entry.member for entry in entries), SPLIT_WORDS)
    for entry in entries:
        folders.need_agreement(entry.member, entry.label, f"data {files.path}")
    return entries


def with_splits(entries: Sequence[Entry]) -> list[str]:
    """The split of each entry: its own, else by a hash of its name (a tenth val, a tenth test)."""
    return [entry.split or _by_name(_name(entry.name), test=True) for entry in entries]


def _by_name(name: str, *, test: bool) -> str:
    tenth = zlib.crc32(name.encode(errors="surrogateescape")) % 10
    return "val" if tenth == 1 else "test" if tenth == 0 and test else "train"
