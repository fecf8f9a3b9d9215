"""Each layout that data sets come in, with real pictures, as a folder and as a zip file."""

import csv
import os
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import cv2
import facedata
import numpy as np
import pytest
from files import DataError, Pictures
from layouts import LAYOUTS, recognise

from edge.pictures import PictureError
from edge.scene import PEOPLE

WOMAN = next(PEOPLE.glob("female-*.jpg")).read_bytes()
MAN = next(PEOPLE.glob("male-*.jpg")).read_bytes()
# a PNG whose header tells of 60 000 x 60 000 pixels
HUGE = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
HUGE = HUGE[:16] + struct.pack(">II", 60_000, 60_000) + HUGE[24:]
HUGE = HUGE[:29] + struct.pack(">I", zlib.crc32(HUGE[12:29])) + HUGE[33:]


def lay(folder: Path, files: dict[str, bytes | str]) -> Path:
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
def test_layout_is_recognised_and_read(layout: str, zipped: bool, tmp_path: Path) -> None:
    path = lay(tmp_path / "faces", FILES[layout])
    if zipped:
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in FILES[layout].items():
                archive.writestr(f"some folder/{name}", content)
    data = facedata.load(path)
    assert data.layout == layout
    found = {(s.label, s.age, s.ethnicity) for s in data.samples}
    assert found == EXPECTED[layout]
    assert all(sample.image() is not None for sample in data.samples)
    assert {s.aligned for s in data.samples} == {layout == "utkface"}
    if data.has_splits:
        assert [s.label for s in data.part("test")] == [1]
    else:
        assert layout == "utkface"


def test_celeba_as_csv(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES["celeba"].items() if name.endswith("jpg")}
    files["list_attr_celeba.csv"] = "image_id, Male, Young\n000001.jpg, -1, 1\n000002.jpg,1,-1\n"
    data = facedata.load(lay(tmp_path / "celeba", files))
    assert [(s.name, s.label) for s in data.samples] == [("000001.jpg", 0), ("000002.jpg", 1)]
    assert not data.has_splits


def test_names_choose_the_split_where_the_data_set_does_not(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"male/{n}.jpg": MAN for n in range(300)}
    data = facedata.load(lay(tmp_path / "own", files | {"female/x.jpg": WOMAN}))
    splits = Counter(sample.split for sample in data.samples)
    assert not data.has_splits
    assert splits["train"] > 200
    assert min(splits["val"], splits["test"]) > 15
    assert len(data.part("all")) == 301
    again = facedata.load(tmp_path / "own")
    assert [s.split for s in again.samples] == [s.split for s in data.samples]


def test_a_table_beside_gives_the_splits(shared: Path) -> None:
    data = facedata.load(shared / "datasets" / "webfaces.zip")
    with (shared / "datasets" / "webfaces.csv").open(newline="") as table:
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
        ({"1.jpg": MAN, "../faces.csv": "file,sex\n1.jpg,m\n"}, "auto", "lacks the columns gender"),
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
        facedata.load(lay(tmp_path / "faces", files), layout)


def test_not_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        facedata.load(tmp_path / "none.zip")
    lay(tmp_path, {"faces.zip": "not a zip"})
    with pytest.raises(DataError, match="is neither a folder nor a zip file"):
        facedata.load(tmp_path / "faces.zip")


@pytest.mark.parametrize(
    ("flags", "method", "how"), [(1, 0, "with a password"), (0, 9, "in a way not known here")]
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
        facedata.load(path)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    data = facedata.load(lay(tmp_path / "faces", FILES["folders"]))
    with pytest.raises(DataError, match="has no pictures in split 'val'"):
        data.part("val")


def test_a_table_names_pictures_by_path_or_by_last_part(tmp_path: Path) -> None:
    table = "file,gender\ndeep/1.jpg,male\n2.jpg,female\n"
    path = lay(tmp_path / "f", {"deep/1.jpg": MAN, "deep/2.jpg": WOMAN, "../f.csv": table})
    assert recognise(Pictures(path)) == "csv"
    data = facedata.load(path)
    assert [s.member for s in data.samples] == ["deep/1.jpg", "deep/2.jpg"]
    assert [s.label for s in data.samples] == [1, 0]


def test_detection_can_be_asked_for_and_refused(tmp_path: Path) -> None:
    path = lay(tmp_path / "faces", FILES["folders"])
    assert {s.aligned for s in facedata.load(path, detect="none").samples} == {True}
    path = lay(tmp_path / "utk", FILES["utkface"])
    assert {s.aligned for s in facedata.load(path, detect="haar").samples} == {False}


def test_every_layout_is_tested() -> None:
    assert set(FILES) | {"csv"} == set(LAYOUTS)


@pytest.mark.parametrize(
    ("age", "years"),
    [("27.0", 27), ("27.5", 27), ("20-29", 24), ("(25, 32)", 28), ("more than 70", 70)]
    + [(unknown, None) for unknown in ("", "-1", "-1.0", "None", "nan")],
)
def test_ages_as_tables_write_them(age: str, years: int | None, tmp_path: Path) -> None:
    table = f'file,gender,age\n1.jpg,male,"{age}"\n'
    data = facedata.load(lay(tmp_path / "f", {"1.jpg": MAN, "../f.csv": table}))
    assert [s.age for s in data.samples] == [years]


def test_a_table_that_leaves_out_a_folder_or_names_one_more(tmp_path: Path) -> None:
    table = "file,gender\na/1.jpg,male\nb/1.jpg,female\nold\\c\\2.jpg,male\n"
    files: dict[str, bytes | str] = {
        "pics/a/1.jpg": MAN,
        "pics/b/1.jpg": WOMAN,
        "c/2.jpg": MAN,
        "../f.csv": table,
    }
    data = facedata.load(lay(tmp_path / "f", files))
    assert [s.member for s in data.samples] == ["pics/a/1.jpg", "pics/b/1.jpg", "c/2.jpg"]


def test_a_picture_that_is_listed_twice_counts_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "file,gender\n1.jpg,male\n1.jpg,male\n"
    data = facedata.load(lay(tmp_path / "f", {"1.jpg": MAN, "../f.csv": table}))
    assert len(data.samples) == 1
    assert capsys.readouterr().err == "f: listed more than once and taken once: 1\n"


def test_what_a_mac_adds_is_no_picture(tmp_path: Path) -> None:
    pictures = {"female/a.jpg": WOMAN, "male/b.jpg": MAN}
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
            archive.writestr(f"__MACOSX/{name.replace('/', '/._')}", b"resources")
    assert [s.member for s in facedata.load(path).samples] == sorted(pictures)


def test_folders_that_are_links(tmp_path: Path) -> None:
    lay(tmp_path / "real", {"w/a.jpg": WOMAN, "m/b.jpg": MAN})
    (tmp_path / "faces").mkdir()
    for link, folder in (("female", "w"), ("male", "m")):
        (tmp_path / "faces" / link).symlink_to(tmp_path / "real" / folder)
    (tmp_path / "real" / "m" / "round").symlink_to(tmp_path / "real" / "m")
    data = facedata.load(tmp_path / "faces")
    assert [s.member for s in data.samples] == ["female/a.jpg", "male/b.jpg"]


def test_files_of_other_kinds_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files: dict[str, bytes | str] = {"female/a.jfif": WOMAN, "male/b.jpg": MAN}
    files |= {"male/c.heic": b"", "male/d.heic": b""}
    assert len(facedata.load(lay(tmp_path / "own", files)).samples) == 2
    assert capsys.readouterr().err == "own: files not looked at: 2 .heic\n"


def test_adience_takes_one_kind_of_table(tmp_path: Path) -> None:
    files = dict(FILES["adience"])
    files["fold_frontal_0_data.txt"] = files["fold_0_data.txt"]
    files["fold_0_data.txt"] = str(files["fold_0_data.txt"]).replace("\tf\t", "\tF\t")
    data = facedata.load(lay(tmp_path / "adience", files))
    assert [(s.label, s.split) for s in data.samples] == [(0, "train"), (1, "test")]


def test_a_picture_that_claims_to_be_huge_is_broken(tmp_path: Path) -> None:
    data = facedata.load(lay(tmp_path / "own", {"female/a.png": HUGE, "male/b.jpg": MAN}))
    huge, man = data.samples
    with pytest.raises(PictureError, match=r"^has more than 80 million pixels$"):
        huge.image()
    assert man.image().ndim == 3


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    path = lay(tmp_path / "own", FILES["folders"])
    (path / "test" / "male" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(MAN)
    assert len(facedata.load(path).part("all")) == 3
