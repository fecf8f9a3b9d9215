"""How labelled faces lie on disk: one reader for each layout that data sets come in."""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from edge.records import LABELS

SPLITS = ("train", "val", "test")
PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}

GENDER_WORDS = {
    **dict.fromkeys(("female", "f", "woman", "women"), LABELS.index("female")),
    **dict.fromkeys(("male", "m", "man", "men"), LABELS.index("male")),
}
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.\w+(\.chip)?(\.\w+)?$")
UTKFACE_ETHNICITIES = ("white", "black", "asian", "indian", "other")


class DataError(Exception):
    """A data set that cannot be used; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled picture of a data set."""

    name: str
    """How the data set calls it."""
    member: str
    """Where it lies in the folder or zip file."""
    label: int
    """Index into `edge.records.LABELS`."""
    split: str | None = None
    """None where the data set does not say."""
    age: int | None = None
    """Years; the middle where the data set gives a range."""
    ethnicity: str | None = None


class Pictures:
    """The files of a data set, by their path inside a folder or a zip file."""

    def __init__(self, path: Path) -> None:
        """Raises DataError."""
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            files = (file for file in path.rglob("*") if file.is_file())
            self.members = sorted(file.relative_to(path).as_posix() for file in files)
        else:
            try:
                self._archive = zipfile.ZipFile(path)
            except FileNotFoundError as error:
                raise DataError(f"data {path}: does not exist") from error
            except (OSError, zipfile.BadZipFile) as error:
                raise DataError(
                    f"data {path}: is neither a folder nor a zip file ({error})"
                ) from error
            self.members = sorted(n for n in self._archive.namelist() if not n.endswith("/"))
        self._known = frozenset(self.members)
        self.by_base = {_base(member): member for member in self.members}

    def read(self, member: str) -> bytes:
        """What lies there; b"" where nothing can be read."""
        try:
            if self._archive is not None:
                return self._archive.read(member)
            return (self.path / member).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error):
            return b""

    def __contains__(self, member: object) -> bool:
        return member in self._known

    def images(self) -> list[str]:
        """The members that are pictures by their suffix."""
        return [m for m in self.members if PurePosixPath(m).suffix.lower() in PICTURES]

    def find(self, name: str) -> str:
        """The member that a table calls `name`: by its path, else by its last part."""
        return name if name in self else self.by_base.get(_base(name), name)

    def table(self, member: str, **options: object) -> pd.DataFrame:
        """A CSV or similar file as text cells. Raises DataError."""
        return _table(io.BytesIO(self.read(member)), f"{self.path}: {member}", **options)


def _base(name: str) -> str:
    return PurePosixPath(name).name


def _table(source: io.BytesIO | Path, name: str, **options: object) -> pd.DataFrame:
    try:
        return pd.read_csv(source, dtype=str, keep_default_na=False, **options)
    except (OSError, ValueError) as error:
        raise DataError(f"data {name}: cannot be read as a table ({error})") from error


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
    """`27`, `20-29`, `(25, 32)` or `more than 70` in years, the middle of a range."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return sum(numbers) // len(numbers) if numbers else None


def read_csv(pictures: Pictures) -> list[Entry]:
    """Pictures with a table beside them: columns file, gender and maybe split, age, ethnicity."""
    path = beside(pictures.path)
    if not path.is_file():
        raise DataError(f"data {pictures.path}: {path.name} is missing beside it")
    table = _table(path, str(path))
    _columns(table, {"file", "gender"}, str(path))
    entries = []
    for number, row in enumerate(table.to_dict("records"), start=2):
        where = f"data {path}: line {number}"
        split = SPLIT_WORDS.get(row["split"].lower()) if "split" in row else None
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
        name = _base(member)
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
    entries = []
    for member in pictures.images():
        folders = [part.lower() for part in PurePosixPath(member).parts[:-1]]
        labels = [GENDER_WORDS[part] for part in folders if part in GENDER_WORDS]
        splits = [SPLIT_WORDS[part] for part in folders if part in SPLIT_WORDS]
        if labels:
            entries.append(Entry(member, member, labels[-1], splits[-1] if splits else None))
    if {entry.label for entry in entries} != set(range(len(LABELS))):
        raise DataError(
            f"data {pictures.path}: needs the folders {' and '.join(LABELS)} with pictures"
        )
    return entries


def read_celeba(pictures: Pictures) -> list[Entry]:
    """CelebA: `list_attr_celeba` and `list_eval_partition` as .txt or .csv beside the pictures.

    Z. Liu et al.: Deep Learning Face Attributes in the Wild, ICCV 2015.
    """
    attributes = _celeba_table(pictures, "list_attr_celeba")
    if attributes is None or "Male" not in attributes:
        raise DataError(f"data {pictures.path}: has no list_attr_celeba with the column Male")
    partition = _celeba_table(pictures, "list_eval_partition")
    splits = {} if partition is None else partition.iloc[:, 0].to_dict()
    return [
        Entry(
            name,
            pictures.find(name),
            LABELS.index("male" if male == "1" else "female"),
            SPLITS[int(splits[name])] if name in splits else None,
        )
        for name, male in attributes["Male"].items()
    ]


def _celeba_table(pictures: Pictures, stem: str) -> pd.DataFrame | None:
    if f"{stem}.csv" in pictures.by_base:
        return pictures.table(pictures.by_base[f"{stem}.csv"], index_col=0)
    if f"{stem}.txt" not in pictures.by_base:
        return None
    member = pictures.by_base[f"{stem}.txt"]
    if stem == "list_eval_partition":
        return pictures.table(member, sep=r"\s+", header=None, index_col=0)
    # the first line counts the pictures, the second names the columns but for the file's
    names = pictures.read(member).decode().splitlines()[1].split()
    table = pictures.table(member, sep=r"\s+", skiprows=2, header=None, index_col=0)
    table.columns = pd.Index(names)
    return table


def read_fairface(pictures: Pictures) -> list[Entry]:
    """FairFace: `fairface_label_train.csv` and `fairface_label_val.csv`; its val serves as test.

    K. Karkkainen, J. Joo: FairFace, WACV 2021. A tenth of its train, by file name, serves as val.
    """
    entries = []
    for part in ("train", "val"):
        table_name = f"fairface_label_{part}.csv"
        if table_name not in pictures.by_base:
            raise DataError(f"data {pictures.path}: has no {table_name}")
        table_member = pictures.by_base[table_name]
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
    """Adience: `fold_0_data.txt` to `fold_4_data.txt` (or `fold_frontal_...`), no person in two.

    E. Eidinger, R. Enbar, T. Hassner: Age and Gender Estimation of Unfiltered Faces, 2014. Fold 3
    serves as val, fold 4 as test. Faces of unknown gender are left out.
    """
    entries = []
    for member in pictures.members:
        match = re.fullmatch(r"fold_(?:frontal_)?(\d)_data\.txt", _base(member))
        if match is None:
            continue
        table = pictures.table(member, sep="\t")
        _columns(table, {"user_id", "original_image", "face_id", "gender"}, member)
        split = {"3": "val", "4": "test"}.get(match.group(1), "train")
        for row in table.to_dict("records"):
            if row["gender"] not in ("f", "m"):
                continue
            tail = f"{row['face_id']}.{row['original_image']}"
            names = (f"landmark_aligned_face.{tail}", f"coarse_tilt_aligned_face.{tail}")
            found = next((pictures.by_base[n] for n in names if n in pictures.by_base), names[0])
            label, age = GENDER_WORDS[row["gender"]], _years(row.get("age", ""))
            entries.append(Entry(_base(found), found, label, split, age))
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


def recognise(pictures: Pictures) -> str:
    """The layout of a data set, from the names of its files. Raises DataError."""
    bases = pictures.by_base
    images = pictures.images()
    if any(name.startswith("list_attr_celeba") for name in bases):
        return "celeba"
    if "fairface_label_train.csv" in bases:
        return "fairface"
    if any(re.fullmatch(r"fold_(frontal_)?\d_data\.txt", name) for name in bases):
        return "adience"
    if images and sum(UTKFACE_NAME.match(_base(m)) is not None for m in images) > len(images) / 2:
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
    return [entry.split or _by_name(_base(entry.name), test=True) for entry in entries]


def _by_name(name: str, *, test: bool) -> str:
    tenth = zlib.crc32(name.encode()) % 10
    return "val" if tenth == 1 else "test" if tenth == 0 and test else "train"
