"""Every program sees the same faces in the same picture, and none works long on any."""

import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from edge.config import load_config
from edge.sources import pictures
from edge.sources.demo import PEOPLE
from edge.sources.pictures import PictureError, decode
from edge.sources.recordings import open_file
from edge.types import Box, Face, Image
from edge.vision.classifier import Classifier
from tests.edge.sources.test_pictures import STORED, encoded, scene, turned
from tests.support.paths import MODEL, ROOT
from tools import predict, probabilities, web
from tools.datasets import dataset, face_search
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.dataset import Sample
from tools.evaluation.inference import FaceAnalyzer, open_model

KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}
LOSSY = ("jpg", "webp")
Boxes = Sequence[Box]
STRIPS = ((3, 40_000), (40_000, 3), (1, 65_000), (64, 40_000), (40_000, 64), (1, 1), (2, 2))


@pytest.fixture(scope="module")
def classify() -> Classifier:
    return open_model(load_config(ROOT / "config.yaml"), MODEL)


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(load_config(ROOT / "config.yaml"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One view with three people, in every format and stored in every orientation."""
    folder = tmp_path_factory.mktemp("photographs")
    for suffix, kind in KINDS.items():
        for orientation in STORED:
            file = folder / f"{orientation}.{suffix}"
            file.write_bytes(turned(scene(), kind, orientation))
    return folder


def samples(path: Path, *, aligned: bool = False) -> list[Sample]:
    """All pictures in a folder or zip file."""
    files = DataFiles(path)
    return [Sample(member, 0, "test", aligned, files, member) for member in files.images()]


def assert_alike(seen: Mapping[str, Boxes], number: int) -> None:
    """The same faces by the files' names; what a lossy format changes moves a box a little."""
    assert len(seen) == len(KINDS) * len(STORED)
    expected = seen["1.png"]
    assert len(expected) == number
    for name, boxes in seen.items():
        assert len(boxes) == number, name
        slack = 0.1 if name.endswith(LOSSY) else 0.0
        for box, other in zip(boxes, expected, strict=True):
            near = pytest.approx((other.x, other.y, other.w), abs=slack * other.w)
            assert (box.x, box.y, box.w) == near, name


def test_predict_and_the_page_see_the_same_faces(
    photographs: Path, classify: Classifier, analyzer: FaceAnalyzer
) -> None:
    analyze = partial(analyzer, classify=classify)
    inputs = predict.inputs(str(photographs), 1)
    results = predict.analyze_all(inputs, analyze, lambda *_: None)
    assert_alike({Path(r.file).name: [face.box for face in r.faces] for r in results}, 3)
    for result in results:
        faces = analyze(web.read(Path(result.file)))
        assert [face.box for face in faces] == [face.box for face in result.faces]


def test_the_daemon_sees_the_same_picture(photographs: Path) -> None:
    view = decode(encoded(scene(), "PNG"))
    for file in sorted(photographs.iterdir()):
        frames = list(open_file(file))
        assert len(frames) == 21  # two seconds
        assert frames[0].image.shape == view.shape
        assert np.array_equal(frames[0].image, pictures.read(file))


def packed(folder: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return out


@pytest.mark.parametrize("zipped", [False, True])
def test_data_sets_hold_the_same_faces(
    photographs: Path, tmp_path: Path, classify: Classifier, zipped: bool
) -> None:
    path = packed(photographs, tmp_path / "a.zip") if zipped else photographs
    faces, unseen = dataset.find_faces(samples(path), "faces")
    assert not unseen
    boxes = {face.name.rpartition("/")[2]: [face.box] for face in faces if face.box is not None}
    assert_alike(boxes, 1)
    crops = [crop.astype(int) for crop in dataset.crops_of(faces, classify.preprocessing)]
    assert max(np.abs(crop - crops[0]).mean() for crop in crops) < 8


def test_aligned_faces_are_upright(tmp_path: Path, classify: Classifier) -> None:
    face = PIL.Image.open(sorted(PEOPLE.glob("female*.jpg"))[0])
    for orientation in STORED:
        (tmp_path / f"{orientation}.png").write_bytes(turned(face, "PNG", orientation))
    assert len(set(probabilities.probabilities(tmp_path, classify).values())) == 1


def within(seconds: float, work: Callable[[], object]) -> object:
    """Hold work to its processor time, of all threads, whatever else the machine does."""
    begin = time.process_time()
    result = work()
    assert time.process_time() - begin < seconds
    return result


@pytest.mark.parametrize("size", STRIPS)
def test_no_shape_takes_long(
    size: tuple[int, int], tmp_path: Path, classify: Classifier, analyzer: FaceAnalyzer
) -> None:
    file = tmp_path / "strip.png"
    file.write_bytes(encoded(PIL.Image.effect_noise(size, 50), "PNG"))
    image = pictures.read(file)
    assert within(5, lambda: analyzer(image, classify)) == []
    (sample,) = samples(tmp_path)
    assert within(5, lambda: dataset.find_faces([sample], "faces")) == ([], [sample])
    within(5, lambda: dataset.crop_of(sample, classify.preprocessing))
    drawn = web.annotated(image, [])
    assert max(drawn.size) <= web.MAX_PICTURE_PX
    assert encoded(drawn, "JPEG")


def test_a_large_picture_is_shrunk_before_the_search(analyzer: FaceAnalyzer) -> None:
    """As one that is cut close to the faces is, with a margin around it."""
    view = scene()
    sizes = []

    def search(padded: Image) -> list[Face]:
        sizes.append(padded.shape[0] * padded.shape[1])
        return analyzer._detect(padded)

    def boxes(times: int) -> list[tuple[float, float, float]]:
        large = view.resize((view.width * times, view.height * times))
        image = np.ascontiguousarray(np.asarray(large)[:, :, ::-1])
        faces = face_search.with_margin(image, search)
        return [(f.box.x / times, f.box.y / times, f.box.w / times) for f in faces]

    for box, other in zip(boxes(8), boxes(1), strict=True):
        assert box == pytest.approx(other, abs=0.15 * other[2])
    assert sizes[0] <= 1.01 * face_search.MAX_SEARCHED_PX < sizes[0] * 1.1
    assert sizes[1] == (view.width + 320) * (view.height + 320)


def zip_of(data: bytes, method: int) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("female/a.png", data)
    return bytearray(file.getvalue())


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@pytest.mark.parametrize("method", METHODS)
def test_damage_in_a_zip_file_costs_one_picture(method: int, tmp_path: Path) -> None:
    data = encoded(scene(), "PNG")
    whole = zip_of(data, method)
    begin = whole.index(b"a.png") + 16  # behind what LZMA says of its version
    for at in range(begin, begin + 200, 7):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        (tmp_path / "a.zip").write_bytes(broken)
        with pytest.raises(PictureError, match=r"^is damaged in the zip file \("):
            DataFiles(tmp_path / "a.zip").read("female/a.png")


def test_a_member_that_is_cut_short(tmp_path: Path) -> None:
    """The directory of the zip file says that more is there."""
    whole = zip_of(encoded(scene(), "PNG"), zipfile.ZIP_DEFLATED)
    at = whole.rindex(b"PK\x01\x02") + 20
    whole[at : at + 4] = (100).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(whole)
    with pytest.raises(PictureError, match=r"^is damaged in the zip file \("):
        DataFiles(tmp_path / "a.zip").read("female/a.png")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("female/a.png", "w", force_zip64=True) as file:
            for _ in range(pictures.MAX_BYTES // 2**20 + 1):
                file.write(bytes(2**20))
        archive.writestr("labels.csv", "file,gender\n")
    files = DataFiles(tmp_path / "a.zip")
    with pytest.raises(PictureError, match=r"^has more than 250 million bytes$"):
        within(5, lambda: files.read("female/a.png"))
    with pytest.raises(DataError, match=r"a\.zip: female/a\.png has more than 250 million bytes$"):
        files.table("female/a.png")
    with pytest.raises(PictureError, match=r"^is not there$"):
        files.read("female/b.png")


def test_each_broken_picture_is_named_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(40):
        (tmp_path / f"{number}.png").write_bytes(encoded(scene(), "PNG"))
    (tmp_path / "0.png").write_bytes(encoded(scene(), "PNG")[:-500])
    (tmp_path / "1.png").write_bytes(b"")
    dataset.find_faces(samples(tmp_path, aligned=True), "faces")
    assert capsys.readouterr().err.splitlines() == [
        "left out: 0.png is a broken picture",
        "left out: 1.png is empty",
    ]
