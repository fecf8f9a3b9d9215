"""Each layout that data sets come in, with real pictures, as a folder and as a zip file."""

import csv
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources.demo import PEOPLE
from edge.sources.pictures import PictureError
from edge.types import LABELS
from tools.datasets import dataset
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.readers import LAYOUTS, recognize

WOMAN = next(PEOPLE.glob("female-*.jpg")).read_bytes()
MAN = next(PEOPLE.glob("male-*.jpg")).read_bytes()
# a PNG whose header claims 60 000 x 60 000 pixels
HUGE = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
HUGE = HUGE[:16] + struct.pack(">II", 60_000, 60_000) + HUGE[24:]
HUGE = HUGE[:29] + struct.pack(">I", zlib.crc32(HUGE[12:29])) + HUGE[33:]


def write_files(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


CELEBA_NAMES = "5_o_Clock_Shadow Male Young"
ADIENCE_HEAD = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\n"
FILES: dict[str, dict[str, bytes | str]] = {
    "utkface": {
        "UTKFace/27_1_2_20170116174525125.jpg.chip.jpg": WOMAN,
        "UTKFace/61_0_0_20170109142408075.jpg": MAN,
        "UTKFace/61_3_20170109150557335.jpg": MAN,  # as in the original: a part is missing
    },
    "celeba": {
        "img_align_celeba/000001.jpg": WOMAN,
        "img_align_celeba/000002.jpg": MAN,
        "list_attr_celeba.txt": f"2\n{CELEBA_NAMES}\n000001.jpg -1 -1  1\n000002.jpg  1  1 -1\n",
        "list_eval_partition.txt": "000001.jpg 0\n000002.jpg 2\n",
    },
    "fairface": {
        "train/1.jpg": WOMAN,
        "val/1.jpg": MAN,
        "fairface_label_train.csv": "file,age,gender,race,service_test\n"
        "train/1.jpg,20-29,Female,East Asian,True\n",
        "fairface_label_val.csv": "file,age,gender,race,service_test\n"
        "val/1.jpg,more than 70,Male,Black,False\n",
    },
    "adience": {
        "aligned/7@N01/landmark_aligned_face.1.a.jpg": WOMAN,
        "faces/8@N02/coarse_tilt_aligned_face.2.b.jpg": MAN,
        "fold_0_data.txt": f"{ADIENCE_HEAD}7@N01\ta.jpg\t1\t(25, 32)\tf\t0\t0\n",
        "fold_4_data.txt": f"{ADIENCE_HEAD}8@N02\tb.jpg\t2\t45\tm\t0\t0\n"
        "8@N02\tc.jpg\t3\tNone\tu\t0\t0\n",
    },
    "folders": {"train/Female/a.jpg": WOMAN, "test/male/b.png": MAN},
}
EXPECTED = {
    "utkface": {(0, 27, "asian"), (1, 61, "white")},
    "celeba": {(0, None, None), (1, None, None)},
    "fairface": {(0, 24, "East Asian"), (1, 70, "Black")},
    "adience": {(0, 28, None), (1, 45, None)},
    "folders": {(0, None, None), (1, None, None)},
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("layout", FILES)
def test_layout_is_recognized_and_read(layout: str, zipped: bool, tmp_path: Path) -> None:
    path = write_files(tmp_path / "faces", FILES[layout])
    if zipped:
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in FILES[layout].items():
                archive.writestr(f"some folder/{name}", content)
    data = dataset.load(path)
    assert data.layout == layout
    assert {(s.label, s.age, s.ethnicity) for s in data.samples} == EXPECTED[layout]
    assert all(sample.image() is not None for sample in data.samples)
    assert {s.aligned for s in data.samples} == {layout == "utkface"}
    if data.has_splits:
        assert [s.label for s in data.part("test")] == [1]
    else:
        assert layout == "utkface"


def test_celeba_as_csv(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES["celeba"].items() if name.endswith("jpg")}
    files["list_attr_celeba.csv"] = "image_id, Male, Young\n000001.jpg, -1, 1\n000002.jpg,1,-1\n"
    data = dataset.load(write_files(tmp_path / "celeba", files))
    assert [(s.name, s.label) for s in data.samples] == [("000001.jpg", 0), ("000002.jpg", 1)]
    assert not data.has_splits


def test_names_choose_the_split_if_the_data_set_does_not(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"male/{n}.jpg": MAN for n in range(300)}
    data = dataset.load(write_files(tmp_path / "own", files | {"female/x.jpg": WOMAN}))
    splits = Counter(sample.split for sample in data.samples)
    assert not data.has_splits
    assert splits["train"] > 200
    assert min(splits["val"], splits["test"]) > 15
    assert len(data.part("all")) == 301
    again = dataset.load(tmp_path / "own")
    assert [s.split for s in again.samples] == [s.split for s in data.samples]


def test_a_table_beside_gives_the_splits(few_faces: Path) -> None:
    data = dataset.load(few_faces, "csv")
    with few_faces.with_suffix(".csv").open(newline="") as table:
        rows = Counter(row["split"] for row in csv.DictReader(table))
    assert data.layout == "csv"
    assert {split: len(data.part(split)) for split in rows} == rows


@pytest.mark.parametrize(
    ("files", "layout", "message"),
    [
        ({"a.txt": "no pictures"}, "auto", "is in no known layout"),
        ({"male/a.jpg": MAN}, "auto", "needs the folders female and male"),
        ({"a.jpg": MAN}, "csv", r"faces\.csv is missing beside it"),
        ({"a.jpg": MAN}, "celeba", "has no list_attr_celeba"),
        ({"a.jpg": MAN}, "fairface", r"has no fairface_label_train\.csv"),
        ({"a.jpg": MAN}, "adience", "has no labelled pictures"),
        ({"a.jpg": MAN}, "utkface", "has no labelled pictures"),
        (
            {"1.jpg": MAN, "../faces.csv": "file,race\n1.jpg,m\n"},
            "auto",
            "lacks the columns gender",
        ),
        (
            {"1.jpg": MAN, "../faces.csv": "file,gender\n1.jpg,x\n"},
            "auto",
            r"faces\.csv: line 2: gender 'x' must be one of female, male",
        ),
        (
            {"1.jpg": MAN, "../faces.csv": "file,gender,split\n1.jpg,m,mine\n"},
            "auto",
            "split 'mine' must be one of train, val, test",
        ),
        (
            {"1.jpg": MAN, "../faces.csv": "file,gender,age\n1.jpg,m,999\n"},
            "auto",
            "an age of 999 cannot be right",
        ),
        (
            {**FILES["fairface"], "fairface_label_val.csv": "file,gender\nval/1.jpg,\n"},
            "auto",
            "gender '' must be one of",
        ),
        (
            {"a/1.jpg": MAN, "b/1.jpg": MAN, "../faces.csv": "file,gender\n1.jpg,m\n"},
            "auto",
            r"1\.jpg may be a/1\.jpg or b/1\.jpg",
        ),
        (
            {"p/1.jpg": MAN, "../faces.csv": "file,gender\na/1.jpg,m\nb/1.jpg,f\n"},
            "auto",
            r"a/1\.jpg and b/1\.jpg are one picture, p/1\.jpg, with two genders",
        ),
        (
            {"1.jpg": MAN, "list_attr_celeba.csv": "image_id,Male\n1.jpg,True\n"},
            "auto",
            r"1\.jpg: Male 'True' must be one of 1, -1, 0",
        ),
        (
            {**FILES["celeba"], "list_eval_partition.txt": "000001.jpg 3\n"},
            "auto",
            r"000001\.jpg: partition '3' must be one of 0, 1, 2",
        ),
        ({"1.jpg": MAN, "list_attr_celeba.txt": ""}, "auto", "cannot be read as a table"),
        ({"1.jpg": MAN, "list_attr_celeba.txt": "1\nMale\n1.jpg 1 1\n"}, "auto", "names 1 columns"),
    ],
)
def test_data_that_cannot_be_used(
    files: dict[str, bytes | str], layout: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        dataset.load(write_files(tmp_path / "faces", files), layout)


def test_not_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        dataset.load(tmp_path / "none.zip")
    write_files(tmp_path, {"faces.zip": "not a zip"})
    with pytest.raises(DataError, match="is neither a folder nor a zip file"):
        dataset.load(tmp_path / "faces.zip")


@pytest.mark.parametrize(
    ("flags", "method", "how"), [(1, 0, "with a password"), (0, 9, "by an unknown method")]
)
def test_a_zip_that_must_be_unpacked_first(
    flags: int, method: int, how: str, tmp_path: Path
) -> None:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("male/1.jpg", MAN)
    packed = bytearray(path.read_bytes())
    central = packed.rindex(b"PK\x01\x02")
    struct.pack_into("<HH", packed, central + 8, flags, method)
    path.write_bytes(packed)
    with pytest.raises(DataError, match=rf"male/1\.jpg is packed {how}; unpack it first"):
        dataset.load(path)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    data = dataset.load(write_files(tmp_path / "faces", FILES["folders"]))
    with pytest.raises(DataError, match="has no pictures in split 'val'"):
        data.part("val")


def test_a_table_names_pictures_by_path_or_by_last_part(tmp_path: Path) -> None:
    table = "file,gender\ndeep/1.jpg,male\n2.jpg,female\n"
    path = write_files(tmp_path / "f", {"deep/1.jpg": MAN, "deep/2.jpg": WOMAN, "../f.csv": table})
    assert recognize(DataFiles(path)) == "csv"
    data = dataset.load(path)
    assert [s.member for s in data.samples] == ["deep/1.jpg", "deep/2.jpg"]
    assert [s.label for s in data.samples] == [1, 0]


def test_detection_can_be_turned_on_and_off(tmp_path: Path) -> None:
    path = write_files(tmp_path / "faces", FILES["folders"])
    assert {s.aligned for s in dataset.load(path, detect="none").samples} == {True}
    path = write_files(tmp_path / "utk", FILES["utkface"])
    assert {s.aligned for s in dataset.load(path, detect="haar").samples} == {False}


def test_every_layout_is_tested() -> None:
    assert set(FILES) | {"csv"} == set(LAYOUTS)


def labels_of(path: Path) -> dict[str, str]:
    return {s.member: LABELS[s.label] for s in dataset.load(path).samples}


def zipped(path: Path, names: Iterable[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            # ZipInfo's own constructor would turn backslashes round on Windows
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, MAN)
    return path


@pytest.mark.parametrize(
    ("female", "male"),
    [
        ("Female", "Male"),
        ("FEMALE", "MALE"),
        ("females", "males"),
        ("women", "men"),
        ("woman", "man"),
        ("girls", "boys"),
        ("ladies", "gentlemen"),
        ("f", "m"),
        ("F", "M"),
        ("w", "m"),
        ("f_25", "m_31"),
        ("f-train", "m-train"),
        ("female_25", "male_25"),
        ("train-female", "train-male"),
        ("01. Women's faces", "02. Men's faces"),
        ("FemaleFaces", "MaleFaces"),
        ("age 20/female", "age 20/male"),
        ("male-female/female", "male-female/male"),
        ("MenAndWomen/women/f", "MenAndWomen/men/m"),
    ],
)
def test_folders_by_other_names(female: str, male: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "faces.zip", (f"{female}/a.jpg", f"{male}/b.jpg"))
    assert labels_of(path) == {f"{female}/a.jpg": "female", f"{male}/b.jpg": "male"}


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("female/m/mira.jpg", "'female' is female, 'm' is male"),
        ("male/female/a.jpg", "'male' is male, 'female' is female"),
        ("train/Women/old men/a.jpg", "'Women' is female, 'old men' is male"),
        ("f/m/a.jpg", "'f' is female, 'm' is male"),
        ("female/male_001.jpg", "'female' is female, 'male_001.jpg' is male"),
        ("non-female/a.jpg", "'non-female' says what it is not"),
        ("train/female/val/a.jpg", "is in folders of two splits, train and val"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_path_that_contradicts_itself(
    member: str, message: str, packed: bool, tmp_path: Path
) -> None:
    names = (member, "female/a.jpg", "male/b.jpg")
    if packed:
        path = zipped(tmp_path / "faces.zip", names)
    else:
        path = write_files(tmp_path / "faces", dict.fromkeys(names, MAN))
    with pytest.raises(DataError, match=message):
        dataset.load(path)


def test_letters_of_an_index_are_not_genders(tmp_path: Path) -> None:
    names = [f"{letter}/{letter}.jpg" for letter in "abfm"]
    with pytest.raises(DataError, match=r"f/f\.jpg: 'f' may be the initial of a name, .* a, b too"):
        dataset.load(zipped(tmp_path / "faces.zip", names))
    both = zipped(tmp_path / "both.zip", ["f/a.jpg", "m/b.jpg", "u/c.jpg"])
    assert len(labels_of(both)) == 2


def test_folders_that_are_not_known_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zipped(tmp_path / "a.zip", ["herren/a.jpg", "herren/b.jpg", "female/c.jpg"])
    with pytest.raises(DataError, match=r"needs the folders .*; not known: 2 in herren \(female: "):
        dataset.load(path)
    path = zipped(tmp_path / "b.zip", ["herren/a.jpg", "damen/b.jpg"])
    with pytest.raises(DataError, match=r"its folders are damen, herren \(female: female, females"):
        dataset.load(path)
    path = zipped(tmp_path / "c.zip", ["male/a.jpg", "female/b.jpg", "x/c.jpg", "size m/d.jpg"])
    assert labels_of(path) == {"male/a.jpg": "male", "female/b.jpg": "female"}
    assert "c.zip: left out, no gender in the path: 1 in size m, 1 in x" in capsys.readouterr().err


def test_a_zip_made_on_windows(tmp_path: Path) -> None:
    path = zipped(tmp_path / "faces.zip", ["faces\\female\\a.jpg", "faces\\male\\b.jpg"])
    data = dataset.load(path)
    assert {s.member: s.label for s in data.samples} == {
        "faces/female/a.jpg": 0,
        "faces/male/b.jpg": 1,
    }
    assert all(sample.image() is not None for sample in data.samples)


PLAIN = "file,gender,age\na.jpg,female,25\nb.jpg,male,31\n"


@pytest.mark.parametrize(
    "table",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", "\t").encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", ";").encode("utf-8-sig"),
        (PLAIN + "caf\xe9.jpg,male,40\n").encode("cp1252"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("a.jpg", '"a.jpg"').replace("female", '"Female "'),
        PLAIN.replace("file,gender", "File Name,GENDER"),
        PLAIN.replace("file,gender", "image,Sex"),
        PLAIN.replace("file,gender", "filename,label"),
        PLAIN.replace("female", "F").replace("male", "M"),
        PLAIN.replace("female", "Woman").replace("male", "MAN"),
        PLAIN.replace("\nb", "\n\n , ,\n\nb") + "\n,,\n",
        PLAIN + "b.jpg,male,31\n",
        PLAIN.replace(",", ";").replace("25", "25,0"),
        'file,gender,age,"note, in words"\na.jpg,female,25,"so; so"\nb.jpg,male,31,\n',
        "id;file;gender;age;\n1;a.jpg;female;25;\n2;b.jpg;male;31;\n",
    ],
)
def test_tables_as_spreadsheets_write_them(table: str | bytes, tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"a.jpg": WOMAN, "b.jpg": MAN, "../faces.csv": table}
    samples = dataset.load(write_files(tmp_path / "faces", files)).samples[:2]
    assert [(s.member, s.label, s.age) for s in samples] == [("a.jpg", 0, 25), ("b.jpg", 1, 31)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,gender\na.jpg,0\n", "line 2: gender '0' must be .*; a number may mean either"),
        ("file,gender\na.jpg,1.0\n", "a number may mean either"),
        ("file,gender\na.jpg,weiblich\n", "gender 'weiblich' must be one of .*female: female, fem"),
        ("file,gender\n\na.jpg,female\na.jpg,male\n", "are one picture, a.jpg, with two genders"),
        ("file,image,gender\na.jpg,b.jpg,f\n", None),
        ("path,image,gender\na.jpg,b.jpg,f\n", "'path' and 'image' may each be the column file"),
        ("file,gender,Gender\na.jpg,m,f\n", "'gender' and 'Gender' may each be the column gender"),
        ("a.jpg,female\n", "lacks the columns file, gender; its first line has 'a.jpg', 'female'"),
        ("file,gender,age\na.jpg,female,25,5\n", "line 2: has 4 cells, the first line 3"),
        ("file,age,gender\na.jpg,25,5,female\n", "line 2: has 4 cells"),
        ("file,gender\na.jpg\n", "line 2: has 1 cells"),
        ('file,gender\n"a.jpg,female\n', "line 2: cannot be read as a table"),
        ("", "is empty"),
        (b"PK\x03\x04rest", "is an Excel workbook; save it as CSV"),
        ("file;gender;age\na.jpg;f;25,32\n", "line 2: age '25,32' must be in years"),
        ("file,gender,age\na.jpg,f,6 months\n", "age '6 months' must be in years"),
        ("file,gender,age\na.jpg,f,01.05.02\n", "age '01.05.02' must be in years"),
        ("file,gender\nmale/c.jpg,f\n", "male/c.jpg is labelled female, but 'male' in its path"),
        ("file,gender\nm/d.jpg,f\n", "m/d.jpg is labelled female, but 'm' in its path is male"),
        ("file,gender\nmale_1.jpg,f\n", "but 'male_1.jpg' in its path is male"),
    ],
)
def test_wrong_tables(table: str | bytes, message: str | None, tmp_path: Path) -> None:
    names = ("a.jpg", "b.jpg", "male/c.jpg", "m/d.jpg", "male_1.jpg")
    files: dict[str, bytes | str] = {**dict.fromkeys(names, MAN), "../faces.csv": table}
    path = write_files(tmp_path / "faces", files)
    if message is None:
        assert labels_of(path) == {"a.jpg": "female"}
        return
    with pytest.raises(DataError, match=message):
        dataset.load(path)


@pytest.mark.parametrize(
    ("layout", "old", "new"),
    [
        ("utkface", "UTKFace/61_0", "female/61_0"),
        ("celeba", "img_align_celeba/000002", "girls/000002"),
        ("fairface", "val/1.jpg", "val/women/1.jpg"),
        ("adience", "8@N02/", "women/8@N02/"),
    ],
)
def test_a_layout_whose_folders_contradict_it(
    layout: str, old: str, new: str, tmp_path: Path
) -> None:
    files = {
        name.replace(old, new): text.replace(old, new) if isinstance(text, str) else text
        for name, text in FILES[layout].items()
    }
    with pytest.raises(DataError, match=r"is labelled male, but '\w+' in its path is female"):
        dataset.load(write_files(tmp_path / "faces", files))


def test_a_table_may_correct_the_names_of_utkface(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "27_1_2_20170116174525125.jpg"
    files: dict[str, bytes | str] = {name: MAN, "../f.csv": f"file,gender\n{name},male\n"}
    assert labels_of(write_files(tmp_path / "f", files)) == {name: "male"}
    assert (
        f"f.csv: overrides the gender in file names: 1, such as {name}" in capsys.readouterr().err
    )


def test_celeba_with_a_zero_that_may_mean_unknown(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"{n}.jpg": MAN for n in "123"}
    files["list_attr_celeba.csv"] = "image_id,Male\n1.jpg,1\n2.jpg,0\n3.jpg,-1\n"
    with pytest.raises(DataError, match="Male is both 0 and -1, one of which may mean unknown"):
        dataset.load(write_files(tmp_path / "celeba", files))


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("27.0", 27),
        ("27,5", 27),
        ("60+", 60),
        ("20 to 29", 24),
        ("31 years", 31),
        ("27.5", 27),
        ("20-29", 24),
        ("(25, 32)", 28),
        ("more than 70", 70),
    ]
    + [(unknown, None) for unknown in ("", "-1", "-1.0", "None", "nan")],
)
def test_ages_as_tables_write_them(age: str, years: int | None, tmp_path: Path) -> None:
    table = f'file,gender,age\n1.jpg,male,"{age}"\n'
    data = dataset.load(write_files(tmp_path / "f", {"1.jpg": MAN, "../f.csv": table}))
    assert [s.age for s in data.samples] == [years]


def test_a_table_that_leaves_out_a_folder_or_names_one_more(tmp_path: Path) -> None:
    table = "file,gender\na/1.jpg,male\nb/1.jpg,female\nold\\c\\2.jpg,male\n"
    files: dict[str, bytes | str] = {
        "pics/a/1.jpg": MAN,
        "pics/b/1.jpg": WOMAN,
        "c/2.jpg": MAN,
        "../f.csv": table,
    }
    data = dataset.load(write_files(tmp_path / "f", files))
    assert [s.member for s in data.samples] == ["pics/a/1.jpg", "pics/b/1.jpg", "c/2.jpg"]


def test_a_picture_that_is_listed_twice_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "file,gender\n1.jpg,male\n1.jpg,male\n"
    data = dataset.load(write_files(tmp_path / "f", {"1.jpg": MAN, "../f.csv": table}))
    assert len(data.samples) == 1
    assert capsys.readouterr().err == "f: pictures listed more than once, used once: 1\n"


def test_files_that_a_mac_adds_are_not_pictures(tmp_path: Path) -> None:
    pictures = {"female/a.jpg": WOMAN, "male/b.jpg": MAN}
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
            archive.writestr(f"__MACOSX/{name.replace('/', '/._')}", b"resources")
    assert [s.member for s in dataset.load(path).samples] == sorted(pictures)


def test_folders_that_are_links(tmp_path: Path) -> None:
    write_files(tmp_path / "real", {"w/a.jpg": WOMAN, "m/b.jpg": MAN})
    (tmp_path / "faces").mkdir()
    for link, folder in (("female", "w"), ("male", "m")):
        (tmp_path / "faces" / link).symlink_to(tmp_path / "real" / folder)
    (tmp_path / "real" / "m" / "round").symlink_to(tmp_path / "real" / "m")
    data = dataset.load(tmp_path / "faces")
    assert [s.member for s in data.samples] == ["female/a.jpg", "male/b.jpg"]


def test_files_of_other_kinds_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: dict[str, bytes | str] = {"female/a.jfif": WOMAN, "male/b.jpg": MAN}
    files |= {"male/c.heic": b"", "male/d.heic": b""}
    assert len(dataset.load(write_files(tmp_path / "own", files)).samples) == 2
    assert capsys.readouterr().err == "own: ignored, not pictures: 2 .heic\n"


def test_adience_takes_one_kind_of_table(tmp_path: Path) -> None:
    files = dict(FILES["adience"])
    files["fold_frontal_0_data.txt"] = files["fold_0_data.txt"]
    files["fold_0_data.txt"] = str(files["fold_0_data.txt"]).replace("\tf\t", "\tF\t")
    data = dataset.load(write_files(tmp_path / "adience", files))
    assert [(s.label, s.split) for s in data.samples] == [(0, "train"), (1, "test")]


def test_a_picture_that_claims_to_be_huge_is_broken(tmp_path: Path) -> None:
    data = dataset.load(write_files(tmp_path / "own", {"female/a.png": HUGE, "male/b.jpg": MAN}))
    huge, man = data.samples
    with pytest.raises(PictureError, match=r"^has more than 80 million pixels$"):
        huge.image()
    assert man.image().ndim == 3


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write_files(tmp_path / "own", FILES["folders"])
    (path / "test" / "male" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(MAN)
    assert len(dataset.load(path).part("all")) == 3
