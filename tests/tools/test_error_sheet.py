"""The pictures of what a model gets wrong, for real faces and answers that are known."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.sources.pictures import read as read_picture
from edge.types import Image
from edge.vision.classifier import Predictions
from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.datasets.dataset import Sample
from tools.evaluation.metrics import HeadResult, by_head
from tools.plotting.error_sheet import save_error_sheets

FACE_PX = 120
"""A face on the sheet is a little larger than this."""


@pytest.fixture
def faces(few_faces: Path) -> list[Sample]:
    return dataset.load(few_faces).part("val")


def genders(faces: list[Sample], male: npt.NDArray[np.float64]) -> dict[str, HeadResult]:
    return by_head(faces, Predictions(np.column_stack([1 - male, male]).astype(np.float32), None))


def is_drawn(face: Image, cell: Image) -> bool:
    """Whether a cell of the sheet, B G R, holds this R G B face at any size near its own."""
    gray = np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)
    sheet = np.asarray(cv2.cvtColor(cell, cv2.COLOR_BGR2GRAY), np.uint8)
    return any(
        cv2.matchTemplate(sheet, cv2.resize(gray, (px, px)), cv2.TM_CCOEFF_NORMED).max() > 0.95
        for px in range(FACE_PX, FACE_PX + 36, 2)
    )


def test_a_page_of_mistakes_has_the_surest_first(faces: list[Sample], tmp_path: Path) -> None:
    preprocessing = Preprocessing(size=64)
    male = np.array([0.9 if face.label else 0.1 for face in faces])
    for number, wrongly in ((5, 0.2), (30, 0.01), (17, 0.4)):
        male[number] = 1 - wrongly if male[number] < 0.5 else wrongly
    save_error_sheets(genders(faces, male), preprocessing, tmp_path / "gender.keras")
    assert {file.name for file in tmp_path.iterdir()} == {
        "gender.confusion.png", "gender.mistakes.png",
    }  # fmt: skip
    sheet = read_picture(tmp_path / "gender.mistakes.png")
    width = sheet.shape[1] // 8
    cells = [sheet[:, column * width : (column + 1) * width] for column in range(3)]
    crops = dataset.crops_of([faces[number] for number in (30, 5, 17)], preprocessing)
    assert all(map(is_drawn, crops, cells))
    assert not is_drawn(crops[0], cells[1])
    assert sheet[60:, 3 * width :].std() < 1  # nobody else


def test_a_model_without_mistakes_has_an_empty_page(faces: list[Sample], tmp_path: Path) -> None:
    """So that the page of the training before it goes."""
    male = np.array([float(face.label) for face in faces])
    save_error_sheets(genders(faces, male), Preprocessing(size=64), tmp_path / "gender.keras")
    sheet = read_picture(tmp_path / "gender.mistakes.png")
    assert sheet[60:].std() < 1
    assert sheet[:60].std() > 1  # the title, which says so


def test_the_confusion_is_darkest_where_most_faces_are(faces: list[Sample], tmp_path: Path) -> None:
    save_error_sheets(
        genders(faces, np.full(len(faces), 0.9)),
        Preprocessing(size=64),
        tmp_path / "all-male.keras",
    )
    drawn = read_picture(tmp_path / "all-male.confusion.png").astype(int)
    height, width = drawn.shape[:2]
    middle = drawn[height // 2 - 60, width // 2 - 80 : width // 2 + 160 : 140].sum(axis=1)
    female, male = middle
    assert female > male + 300  # nobody is called female, everybody male
