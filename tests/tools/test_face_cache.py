"""A face is searched once: its box is remembered until anything that decides it changes."""

import io
import os
import shutil
import threading
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.types import Box, Image
from edge.vision.detector import HaarDetector
from tests.support import fairface
from tools.datasets import dataset, face_cache, face_search
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample

PICTURES = 8


class Search:
    """Counts the pictures that are searched; the faces are really found."""

    def __init__(self) -> None:
        self.number = 0
        self.interrupt_after: int | None = None
        self._lock = threading.Lock()

    def __call__(self, image: Image, detect: HaarDetector) -> Box | None:
        with self._lock:
            self.number += 1
            if self.interrupt_after is not None and self.number > self.interrupt_after:
                raise KeyboardInterrupt
        return LARGEST_FACE(image, detect)


LARGEST_FACE = face_search.largest_face


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Search:
    counter = Search()
    monkeypatch.setattr(face_search, "largest_face", counter)
    return counter


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Faces, and a picture without one."""
    folder = tmp_path / "fairface"
    fairface.write(folder, PICTURES - 2, 2, distinct=4)
    cv2.imwrite(str(folder / "train" / "1.jpg"), np.full((224, 224, 3), 90, np.uint8))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "faces.npz"


def faces(data: Path, cache: Path) -> tuple[dict[str, Box | None], list[str]]:
    """The boxes by name, and the names of the pictures without a face."""
    usable, without_face = dataset.find_faces(dataset.load(data).part("all"), "faces", cache)
    return {face.name: face.box for face in usable}, [sample.name for sample in without_face]


def test_faces_are_searched_once(data: Path, cache: Path, search: Search) -> None:
    first = faces(data, cache)
    assert search.number == PICTURES
    assert len(first[0]) == PICTURES - 1
    assert first[1] == ["train/1.jpg"]
    assert None not in first[0].values()
    assert faces(data, cache) == first
    assert search.number == PICTURES
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


def test_without_a_file_they_are_searched_each_time(data: Path, search: Search) -> None:
    samples = dataset.load(data).part("all")
    for times in (1, 2):
        dataset.find_faces(samples, "faces")
        assert search.number == times * PICTURES


def test_a_part_is_enough_for_that_part(data: Path, cache: Path, search: Search) -> None:
    samples = dataset.load(data).part("all")
    dataset.find_faces(samples[:3], "faces", cache)
    dataset.find_faces(samples[2:5], "faces", cache)
    assert search.number == 5
    faces(data, cache)
    assert search.number == PICTURES


def test_only_a_changed_picture_is_searched_again(data: Path, cache: Path, search: Search) -> None:
    before, _ = faces(data, cache)
    file = data / "train" / "2.jpg"
    image = np.asarray(cv2.imread(str(file)), np.uint8)
    stat = file.stat()
    cv2.imwrite(str(file), np.roll(image, 12, axis=1))
    assert file.stat().st_mtime_ns >= stat.st_mtime_ns
    after, _ = faces(data, cache)
    assert search.number == PICTURES + 1
    assert {name for name in before if after[name] != before[name]} == {"train/2.jpg"}


def test_a_copy_and_a_zip_hold_the_same_pictures(data: Path, cache: Path, search: Search) -> None:
    found = faces(data, cache)
    copy = shutil.copytree(data, data.with_name("copy"))
    packed = data.with_name("packed.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(data.rglob("*.*")):
            archive.write(file, file.relative_to(data))
    assert faces(copy, cache) == faces(packed, cache) == found
    assert search.number == PICTURES


def damaged(content: bytes) -> list[bytes]:
    middle = bytes([content[len(content) // 2] ^ 0xFF])
    flipped = content[: len(content) // 2] + middle + content[len(content) // 2 + 1 :]
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    return [b"", b"not an archive", content[: len(content) // 2], flipped, array.getvalue()]


def test_a_damaged_file_is_written_again(
    data: Path, cache: Path, search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    found = faces(data, cache)
    content = cache.read_bytes()
    for number, wrong in enumerate(damaged(content), 1):
        cache.write_bytes(wrong)
        capsys.readouterr()
        assert faces(data, cache) == found
        assert search.number == (number + 1) * PICTURES
        assert f"{cache}: cannot be read (" in capsys.readouterr().err
        assert faces(data, cache) == found  # it is whole again
        assert search.number == (number + 1) * PICTURES


def test_another_search_begins_anew(
    data: Path, cache: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces(data, cache)
    monkeypatch.setattr(cv2, "__version__", "4.99.0")
    faces(data, cache)
    assert search.number == 2 * PICTURES
    faces(data, cache)
    assert search.number == 2 * PICTURES


def test_the_face_model_decides_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = face_search.version()
    other = tmp_path / "face.tflite"
    other.write_bytes(face_search.FACE_MODEL.read_bytes())
    monkeypatch.setattr(face_search, "FACE_MODEL", other)
    assert face_search.version() == before
    other.write_bytes(other.read_bytes()[:-1] + b"!")
    assert face_search.version() != before


def test_a_stopped_search_goes_on(
    data: Path, cache: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    search.interrupt_after = 5
    with pytest.raises(KeyboardInterrupt):
        faces(data, cache)
    search.number, search.interrupt_after = 0, None
    faces(data, cache)
    assert search.number == PICTURES - 5


def test_a_killed_search_goes_on(
    data: Path, cache: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is written while the search still runs."""
    monkeypatch.setattr(face_cache, "SAVE_S", 0.0)
    unfinished = face_cache.FaceCache(cache)
    unfinished.add(face_cache.key((data / "train" / "2.jpg").read_bytes()), None)
    _, without_face = faces(data, cache)
    assert without_face == ["train/1.jpg", "train/2.jpg"]
    assert search.number == PICTURES - 1


def test_another_file_is_not_replaced(data: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.npz"
    np.savez(teacher, files=["1.jpg"], male=[0.5])
    content = teacher.read_bytes()
    with pytest.raises(DataError, match=r"teacher\.npz: is another kind of file"):
        faces(data, teacher)
    assert teacher.read_bytes() == content


def test_a_file_that_cannot_be_written_costs_only_time(
    data: Path, tmp_path: Path, search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    found, _ = faces(data, tmp_path / "file" / "faces.npz")
    assert len(found) == PICTURES - 1
    assert "faces.npz: cannot be written (" in capsys.readouterr().err


def test_aligned_faces_and_broken_pictures_are_not_remembered(
    data: Path, cache: Path, search: Search
) -> None:
    whole = dataset.load(data, detect="none").part("all")
    assert all(isinstance(face, Sample) and face.box is None for face in whole)
    dataset.find_faces(whole, "faces", cache)
    assert search.number == 0
    found, without_face = faces(data, cache)
    assert search.number == PICTURES
    assert len(found) + len(without_face) == PICTURES
