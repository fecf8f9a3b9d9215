"""How labelled faces lie on disk: one reader for each layout that data sets come in."""

import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import pandas as pd

from edge.types import LABELS
from tools.datasets.archive import PICTURES, DataError, Pictures, read_table

SPLITS = ("train", "val", "test")

GENDER_WORDS = {
    **dict.fromkeys(("female", "f", "woman", "women"), LABELS.index("female")),
    **dict.fromkeys(("male", "m", "man", "men"), LABELS.index("male")),
}
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
    """How the data set calls it."""
    member: str
    """Where it lies in the folder or zip file."""
    label: int
    """Index into `edge.types.LABELS`."""
    split: str | None = None
    """None where the data set does not say."""
    age: int | None = None
    """Years; the middle where the data set gives a range."""
    ethnicity: str | None = None


def _name(member: str) -> str:
    return PurePosixPath(member).name


def beside(path: Path) -> Path:
    """The table beside `faces.zip` or `faces/`: `faces.csv`."""
    return path.parent / f"{path.stem if path.suffix == '.zip' else path.name}.csv"


def _columns(table: pd.DataFrame, needed: set[str], name: str) -> None:
    missing = needed - set(table.columns)
    if missing:
        raise DataError(f"data {name}: lacks the columns {', '.join(sorted(missing))}")


def _gender(word: str, where: str) -> int:
    try:
        return GENDER_WORDS[word.strip().lower()]
    except KeyError:
        raise DataError(f"{where}: gender {word!r} must be one of {', '.join(LABELS)}") from None


def _years(text: str) -> int | None:
    """`27`, `27.0`, `20-29`, `(25, 32)` or `more than 70` in years, the middle of a range."""
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]
    if not numbers or text.strip().startswith("-"):  # some write -1 for what they do not know
        return None
    return int(sum(numbers) / len(numbers))


def read_csv(pictures: Pictures) -> list[Entry]:
    """Pictures with a table beside them: columns file, gender and maybe split, age, ethnicity."""
    path = beside(pictures.path)
    if not path.is_file():
        raise DataError(f"data {pictures.path}: {path.name} is missing beside it")
    table = read_table(path, str(path))
    _columns(table, {"file", "gender"}, str(path))
    entries = []
    for number, row in enumerate(table.to_dict("records"), start=2):
        where = f"data {path}: line {number}"
        split = SPLIT_WORDS.get(row["split"].strip().lower()) if "split" in row else None
        if "split" in row and split is None:
            raise DataError(f"{where}: split {row['split']!r} must be one of {', '.join(SPLITS)}")
        label = _gender(row["gender"], where)
        age, ethnicity = _years(row.get("age", "")), row.get("ethnicity") or None
        member = pictures.find(row["file"])
        entries.append(Entry(row["file"], member, label, split, age, ethnicity))
    return entries


def read_utkface(pictures: Pictures) -> list[Entry]:
    """UTKFace: aligned faces named age_gender_ethnicity_date; splits from a table beside, if any.

    Z. Zhang et al.: Age Progression/Regression by Conditional Adversarial Autoencoder, CVPR 2017.
    """
    if beside(pictures.path).is_file():
        return read_csv(pictures)
    entries = []
    for member in pictures.images():
        name = _name(member)
        match = UTKFACE_NAME.match(name)
        if match is None:  # a few of its files lack a part of their name
            continue
        age, gender, ethnicity = match.group(1, 2, 3)
        label = LABELS.index("male" if gender == "0" else "female")
        group = UTKFACE_ETHNICITIES[int(ethnicity)]
        entries.append(Entry(name, member, label, None, int(age), group))
    return entries


def read_folders(pictures: Pictures) -> list[Entry]:
    """One folder for each class, `female` and `male`, perhaps under `train`, `val`, `test`."""
    entries, others = [], Counter[str]()
    images = frozenset(pictures.images())
    for member in pictures.members:
        folders = [part.lower() for part in PurePosixPath(member).parts[:-1]]
        labels = [GENDER_WORDS[part] for part in folders if part in GENDER_WORDS]
        splits = [SPLIT_WORDS[part] for part in folders if part in SPLIT_WORDS]
        if not labels:
            continue
        if member in images:
            entries.append(Entry(member, member, labels[-1], splits[-1] if splits else None))
        else:
            others[PurePosixPath(member).suffix or "no suffix"] += 1
    if {entry.label for entry in entries} != set(range(len(LABELS))):
        raise DataError(
            f"data {pictures.path}: needs the folders {' and '.join(LABELS)} with pictures "
            f"({', '.join(sorted(PICTURES))})"
        )
    if others:
        kinds = ", ".join(f"{number} {suffix}" for suffix, number in sorted(others.items()))
        print(f"{pictures.path.name}: files not looked at: {kinds}", file=sys.stderr)
    return entries


def read_celeba(pictures: Pictures) -> list[Entry]:
    """CelebA: `list_attr_celeba` and `list_eval_partition` as .txt or .csv beside the pictures.

    Z. Liu et al.: Deep Learning Face Attributes in the Wild, ICCV 2015.
    """
    attributes = _celeba_table(pictures, "list_attr_celeba")
    if attributes is None or "Male" not in attributes:
        raise DataError(f"data {pictures.path}: has no list_attr_celeba with the column Male")
    partition = _celeba_table(pictures, "list_eval_partition")
    splits = {} if partition is None or partition.empty else partition.iloc[:, 0].to_dict()
    where = f"data {pictures.path}: list_attr_celeba"
    return [
        Entry(
            name,
            pictures.find(name),
            _chosen(CELEBA_MALE, male, f"{where}: {name}: Male"),
            _chosen(CELEBA_SPLITS, splits[name], f"{where}: {name}: partition")
            if name in splits
            else None,
        )
        for name, male in attributes["Male"].items()
    ]


def _chosen(known: dict[str, T], word: str, where: str) -> T:
    try:
        return known[word.strip()]
    except KeyError:
        raise DataError(f"{where} {word!r} must be one of {', '.join(known)}") from None


def _celeba_table(pictures: Pictures, stem: str) -> pd.DataFrame | None:
    if member := pictures.named(f"{stem}.csv"):
        return pictures.table(member, index_col=0)
    if not (member := pictures.named(f"{stem}.txt")):
        return None
    if stem == "list_eval_partition":
        return pictures.table(member, sep=r"\s+", header=None, index_col=0)
    # the first line counts the pictures, the second names the columns but for the file's
    table = pictures.table(member, sep=r"\s+", skiprows=2, header=None, index_col=0)
    names = pictures.read(member).decode(errors="replace").splitlines()[1].split()
    if len(names) != len(table.columns):
        raise DataError(
            f"data {pictures.path}: {member}: names {len(names)} columns but has "
            f"{len(table.columns)}"
        )
    table.columns = pd.Index(names)
    return table


def read_fairface(pictures: Pictures) -> list[Entry]:
    """FairFace: `fairface_label_train.csv` and `fairface_label_val.csv`; its val serves as test.

    K. Karkkainen, J. Joo: FairFace, WACV 2021. A tenth of its train, by file name, serves as val.
    """
    entries = []
    for part in ("train", "val"):
        table_name = f"fairface_label_{part}.csv"
        table_member = pictures.named(table_name)
        if table_member is None:
            raise DataError(f"data {pictures.path}: has no {table_name}")
        folder = table_member.removesuffix(table_name)
        table = pictures.table(table_member)
        _columns(table, {"file", "gender"}, f"{pictures.path}: {table_name}")
        for row in table.to_dict("records"):
            file = row["file"]
            # both parts count from 1, so a file is known by its folder too
            member = file if file in pictures else folder + file
            label = _gender(row["gender"], f"data {pictures.path}: {table_name}: {file}")
            split = "test" if part == "val" else _by_name(file, test=False)
            age = _years(row.get("age", ""))
            entries.append(Entry(file, member, label, split, age, row.get("race") or None))
    return entries


def read_adience(pictures: Pictures) -> list[Entry]:
    """Adience: `fold_0_data.txt` to `fold_4_data.txt`, no person in two of them.

    E. Eidinger, R. Enbar, T. Hassner: Age and Gender Estimation of Unfiltered Faces, 2014. Fold 3
    serves as val, fold 4 as test. Faces of unknown gender are left out. The tables
    `fold_frontal_0_data.txt` and so on, which list a part of these faces, serve where they are
    alone.
    """
    folds = [(m, ADIENCE_FOLD.fullmatch(_name(m))) for m in pictures.members]
    all_faces = any(match and not match.group(1) for _, match in folds)
    entries = []
    for member, match in folds:
        if match is None or (all_faces and match.group(1)):
            continue
        table = pictures.table(member, sep="\t")
        _columns(table, {"user_id", "original_image", "face_id", "gender"}, member)
        split = {"3": "val", "4": "test"}.get(match.group(2), "train")
        for row in table.to_dict("records"):
            label = GENDER_WORDS.get(row["gender"].strip().lower())
            if label is None:
                continue
            tail = f"{row['face_id']}.{row['original_image']}"
            names = (f"landmark_aligned_face.{tail}", f"coarse_tilt_aligned_face.{tail}")
            found = pictures.named(names[0]) or pictures.named(names[1]) or names[0]
            age = _years(row.get("age", ""))
            entries.append(Entry(_name(found), found, label, split, age))
    return entries


@dataclass(frozen=True, slots=True)
class Layout:
    read: Callable[[Pictures], list[Entry]]
    aligned: bool = False
    """Each picture is a face already, cut as the daemon would cut it."""


LAYOUTS = {
    "utkface": Layout(read_utkface, aligned=True),
    "celeba": Layout(read_celeba),
    "fairface": Layout(read_fairface),
    "adience": Layout(read_adience),
    "folders": Layout(read_folders),
    "csv": Layout(read_csv),
}


def recognize(pictures: Pictures) -> str:
    """The layout of a data set, from the names of its files. Raises DataError."""
    bases = pictures.bases()
    images = pictures.images()
    if any(name.startswith("list_attr_celeba") for name in bases):
        return "celeba"
    if "fairface_label_train.csv" in bases:
        return "fairface"
    if any(ADIENCE_FOLD.fullmatch(name) for name in bases):
        return "adience"
    if images and sum(UTKFACE_NAME.match(_name(m)) is not None for m in images) > len(images) / 2:
        return "utkface"
    if beside(pictures.path).is_file():
        return "csv"
    folders = {part.lower() for m in images for part in PurePosixPath(m).parts[:-1]}
    if folders & GENDER_WORDS.keys():
        return "folders"
    raise DataError(
        f"data {pictures.path}: is in no known layout: neither folders named "
        f"{' and '.join(LABELS)}, nor {beside(pictures.path).name} beside it, nor one of "
        f"{', '.join(LAYOUTS)}; name one with --layout"
    )


def with_splits(entries: Sequence[Entry]) -> list[str]:
    """The split of each entry: its own, or a tenth val and a tenth test by its name."""
    return [entry.split or _by_name(_name(entry.name), test=True) for entry in entries]


def _by_name(name: str, *, test: bool) -> str:
    tenth = zlib.crc32(name.encode(errors="surrogateescape")) % 10
    return "val" if tenth == 1 else "test" if tenth == 0 and test else "train"
