"""A model learns to tell faces from other things, and says all else as before."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.vision.classifier import Classifier
from edge.vision.model_card import read_card
from edge.vision.tflite import RUNTIMES
from tests.conftest import MadeOnce
from tests.support.commands import tool
from tools.conversion.face_output import MAX_LOG_ODDS, with_face_output, with_features
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.dataset import crops_of, load
from tools.datasets.false_finds import false_finds
from tools.training.face_output import Features, fit


@pytest.fixture(scope="session")
def plain_model(small_model: Path, few_faces: Path, made_once: MadeOnce) -> Path:
    """A small int8 model for gender alone."""

    def make(folder: Path) -> None:
        run = tool(
            "quantize", small_model, "--calibrate", few_faces, "--max-drop", "100",
            "--out", folder / "plain.tflite",
        )  # fmt: skip
        assert run.returncode == 0, run.stderr

    return made_once("plain-model", make) / "plain.tflite"


def test_the_new_output_is_a_logistic_regression_on_the_features(
    plain_model: Path, few_faces: Path, tmp_path: Path
) -> None:
    before = Classifier(plain_model)
    crops = crops_of(load(few_faces).part("test"), before.preprocessing)
    data = plain_model.read_bytes()
    features = np.concatenate([*map(Features(data, before.preprocessing), crops)])
    weights = np.asarray(np.random.default_rng(1).normal(0, 1, features.shape[1]), np.float32)
    weights *= 3 / np.std(features @ weights)
    bias = float(-np.mean(features @ weights))
    out = tmp_path / "face.tflite"
    out.write_bytes(with_face_output(data, weights, bias))
    expected = 1 / (1 + np.exp(-np.clip(features @ weights + bias, -MAX_LOG_ODDS, MAX_LOG_ODDS)))
    assert expected.min() < 0.1 and expected.max() > 0.9
    keys = json.loads(plain_model.with_suffix(".json").read_text())
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    out.with_suffix(".json").write_text(json.dumps(keys | {"face": True, "sha256": digest}))
    after = Classifier(out)
    predictions = after(crops)
    assert predictions.face is not None
    assert predictions.face == pytest.approx(expected, abs=0.03)
    assert np.array_equal(after.genders(crops), before.genders(crops))
    if sys.version_info < (3, 12):  # tflite-runtime has no build for later ones
        litert, tflite = (
            Classifier(out, runtime=runtime, xnnpack=False)(crops).face for runtime in RUNTIMES
        )
        assert litert is not None and tflite is not None
        assert np.array_equal(litert, tflite)


def test_a_model_learns_what_a_face_is(
    plain_model: Path, few_faces: Path, clouds: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "face.tflite"
    command = (
        "add_face_output", plain_model, "--data", few_faces, "--without-faces", clouds,
        "--out", out,
    )  # fmt: skip
    run = tool(*command)
    assert run.returncode == 0, run.stderr
    assert [line.split()[0] for line in run.stdout.splitlines()[:3]] == [
        "learned", "faces", "things",
    ]  # fmt: skip
    card, old = read_card(out), json.loads(plain_model.with_suffix(".json").read_text())
    assert card.face and not read_card(plain_model).face
    new = json.loads(out.with_suffix(".json").read_text())
    assert {key: new[key] for key in old if key not in ("sha256", "face")} == {
        key: old[key] for key in old if key not in ("sha256", "face")
    }
    classifier = Classifier(out)
    faces = classifier(crops_of(load(few_faces).part("test"), card.input)).face
    finds = false_finds(DataFiles(clouds), 1, np.random.default_rng(2))
    things = classifier(
        card.input.crop(view, box) for _, view, boxes in finds for box in boxes
    ).face
    assert faces is not None and things is not None
    assert len(things) > 20
    # so small a network sees no more
    assert np.mean(faces > 0.5) > 0.75
    assert np.mean(things < 0.5) > 0.75
    again = tool(*command)
    assert again.returncode == 2
    assert "--force replaces it" in again.stderr
    twice = tool(
        "add_face_output", out, "--data", few_faces, "--without-faces", clouds,
        "--out", tmp_path / "twice.tflite",
    )  # fmt: skip
    assert twice.returncode == 2
    assert twice.stderr == f"add_face_output: model {out}: has an output 'face' already\n"


def test_a_folder_in_which_haar_finds_nothing_teaches_nothing(
    plain_model: Path, few_faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "gray").mkdir()
    cv2.imwrite(str(tmp_path / "gray" / "1.png"), np.full((300, 300, 3), 90, np.uint8))
    (tmp_path / "gray" / "2.png").write_bytes(b"no picture")
    run = tool(
        "add_face_output", plain_model, "--data", few_faces,
        "--without-faces", tmp_path / "gray", "--out", tmp_path / "out.tflite",
    )  # fmt: skip
    assert run.returncode == 2
    assert "Haar takes 0 things there for faces; at least" in run.stderr
    assert not (tmp_path / "out.tflite").exists()


def test_a_card_that_promises_the_output_of_a_model_without_it(
    plain_model: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(plain_model, tmp_path))
    keys = json.loads(plain_model.with_suffix(".json").read_text())
    copy.with_suffix(".json").write_text(json.dumps(keys | {"face": True}))
    with pytest.raises(ModelError, match="it has no output 'face' of one value"):
        Classifier(copy)


def test_only_an_int8_model_gets_the_output(age_models: Path) -> None:
    with pytest.raises(DataError, match="has no last layer in int8"):
        with_features((age_models / "gender.tflite").read_bytes())


def test_both_kinds_weigh_the_same() -> None:
    """However few faces there are; the features lie as far on either side of 1."""
    rng = np.random.default_rng(1)
    faces = rng.normal((2, 0), 1, (500, 2)).astype(np.float32)
    things = rng.normal((0, 0), 1, (5000, 2)).astype(np.float32)
    weights, bias = fit(faces, things)
    assert weights[0] > 1
    assert abs(weights[1]) < 0.3
    assert -bias / weights[0] == pytest.approx(1, abs=0.2)
