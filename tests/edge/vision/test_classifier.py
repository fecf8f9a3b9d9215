"""Crops, model files and runtimes, on the shipped model."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.sources.demo import PEOPLE
from edge.types import Box, Image
from edge.vision.classifier import Classifier
from edge.vision.model_card import read_card
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import RUNTIMES, Tensor
from tests.support.paths import FREE_MODEL, MODEL
from tools.datasets.dataset import crops_of, load


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped model and its JSON, to be spoiled."""
    for suffix in (".tflite", ".json"):
        shutil.copy(MODEL.with_suffix(suffix), tmp_path)
    return tmp_path / MODEL.name


def change(model: Path, **keys: Any) -> None:
    card = model.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | keys))


@pytest.fixture(scope="module", params=["made", pytest.param("real", marks=pytest.mark.shared)])
def faces(request: pytest.FixtureRequest, few_faces: Path) -> list[Image]:
    """Faces that no training or choice of model used; the made ones are of nobody."""
    if request.param == "made":
        return crops_of(load(few_faces).samples, read_card(MODEL).input)
    shared: Path = request.getfixturevalue("shared")
    samples = load(shared / "datasets" / "utkface.zip").part("test")
    adults = [sample for sample in samples if sample.age is not None and sample.age >= 12]
    return crops_of(adults[::6], read_card(MODEL).input)


def test_crop_of_a_whole_aligned_picture_is_that_picture() -> None:
    preprocessing = Preprocessing(size=96)
    picture = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    crop = preprocessing.crop(picture, preprocessing.whole(96, 96))
    assert np.array_equal(crop, picture[:, :, ::-1])


def test_crop_repeats_the_edge_outside_the_picture() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, -1] = (10, 20, 30)
    crop = Preprocessing(size=32, crop_scale=1, crop_down=0).crop(picture, Box(50, 0, 40, 40))
    assert tuple(crop[0, -1]) == (30, 20, 10)
    assert tuple(crop[0, 0]) == (0, 0, 0)


@pytest.mark.parametrize("roll", [-40.0, 25.0])
def test_crop_turns_a_tilted_head_upright(roll: float) -> None:
    picture = np.full((300, 300, 3), 40, np.uint8)
    cv2.circle(picture, (125, 130), 9, (255, 0, 0), -1)
    cv2.circle(picture, (175, 130), 9, (0, 255, 0), -1)
    cv2.ellipse(picture, (150, 185), (22, 8), 0, 0, 360, (0, 0, 255), -1)
    box = Box(100, 100, 100, 100)
    turn = cv2.getRotationMatrix2D((box.cx, box.cy), -roll, 1)
    tilted = np.asarray(cv2.warpAffine(picture, turn, (300, 300), borderValue=(40,) * 3), np.uint8)
    preprocessing = Preprocessing(size=112)
    upright = preprocessing.crop(picture, box).astype(int)
    assert np.abs(preprocessing.crop(tilted, box, roll) - upright).mean() < 4
    assert np.abs(preprocessing.crop(tilted, box) - upright).mean() > 15


def test_crop_far_outside_the_picture_is_its_edge() -> None:
    picture = np.full((40, 60, 3), 7, np.uint8)
    assert (Preprocessing(size=8).crop(picture, Box(500, 500, 30, 30)) == 7).all()


def test_grey_input_has_one_channel() -> None:
    picture = np.full((40, 60, 3), 200, np.uint8)
    crop = Preprocessing(size=48, colour="grey").crop(picture, Box(5, 5, 30, 30))
    assert crop.shape == (48, 48, 1)


def test_quantising_is_undone_within_half_a_step() -> None:
    tensor = Tensor(0, "gender", (1, 1), np.int8, scale=0.02, zero_point=-3)
    values = np.linspace(-2, 2, 101, dtype=np.float32)
    assert np.abs(tensor.dequantize(tensor.quantize(values)) - values).max() <= 0.0101
    # beyond the ends of int8 values stay at the end
    assert list(tensor.quantize(np.array([-99, 99], np.float32))) == [-128, 127]


def test_composite_faces_get_their_own_label_with_confidence() -> None:
    import cv2

    classifier = Classifier(MODEL)
    for file in sorted(PEOPLE.glob("*.jpg")):
        picture = np.asarray(cv2.imread(str(file)), np.uint8)
        box = classifier.preprocessing.whole(*picture.shape[1::-1])
        (female, male) = classifier.genders([classifier.preprocessing.crop(picture, box)])[0]
        assert female + male == pytest.approx(1, abs=1e-6)
        assert (female if file.name.startswith("female") else male) > 0.8, file.name


@pytest.mark.parametrize("model", [MODEL, FREE_MODEL])
def test_shipped_models_tell_faces_from_other_things(model: Path, faces: list[Image]) -> None:
    classifier = Classifier(model)
    size = classifier.preprocessing.size
    crops = [np.asarray(cv2.resize(face, (size, size)), np.uint8) for face in faces]
    shown = classifier(crops).face
    assert shown is not None
    assert np.mean(shown > 0.5) > 0.95
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(10)]
    stripes = [np.roll(crop // 64 % 2 * 255, n, 0) for n, crop in enumerate(noise)]
    things = classifier([*noise, *stripes, *(np.full_like(noise[0], 25 * n) for n in range(10))])
    assert things.face is not None
    assert np.mean(things.face < 0.5) > 0.9


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no build from 3.12 on")
def test_both_runtimes_give_the_same_outputs(faces: list[Image]) -> None:
    litert, tflite = (
        Classifier(MODEL, runtime=name, xnnpack=False).genders(faces) for name in RUNTIMES
    )
    assert np.array_equal(litert, tflite)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no build from 3.12 on")
def test_both_runtimes_give_the_same_labels_as_the_daemon_runs_them(faces: list[Image]) -> None:
    male = {name: Classifier(MODEL, runtime=name).genders(faces)[:, 1] for name in RUNTIMES}
    litert, tflite = male["ai-edge-litert"], male["tflite-runtime"]
    sure = np.maximum(litert, 1 - litert) > 0.7
    assert np.array_equal(litert[sure] > 0.5, tflite[sure] > 0.5)
    assert np.mean((litert > 0.5) == (tflite > 0.5)) >= 0.98


def test_weights_are_in_memory_once(copy: Path) -> None:
    """XNNPACK runs on a copy of its own."""
    classify = Classifier(copy)
    mapped, sizes = False, []
    for line in Path("/proc/self/smaps").read_text().splitlines():
        mapped = str(copy) in line if "-" in line.split()[0] else mapped
        if mapped and line.startswith("Rss:"):
            sizes.append(int(line.split()[1]))
    assert sizes, "the model is not mapped"
    assert 1024 * sum(sizes) < copy.stat().st_size / 10
    side = classify.preprocessing.size
    assert classify([np.zeros((side, side, 3), np.uint8)]).gender is not None


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite: cannot be read"):
        Classifier(tmp_path / "none.tflite")


def test_not_a_tflite_file(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04 a zip", bytes(5000)):
        (tmp_path / "model.tflite").write_bytes(content)
        with pytest.raises(ModelError, match="is not a TFLite file"):
            Classifier(tmp_path / "model.tflite")


def test_missing_json(copy: Path) -> None:
    copy.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"its gender\.json cannot be read"):
        Classifier(copy)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"labels": ["male", "nobody"]}, "labels are"),
        ({"sha256": "0" * 64}, "is not the file that gender.json describes"),
        ({"sha256": "x"}, "gender.json: sha256"),
        ({"output": "logits"}, "gender.json: output"),
        (
            {"output": "softmax"},
            r"\[1, 1\] and \[1, 8\], but its JSON says \[1, 2\] and",
        ),
        ({"ages": ["young", "old"]}, "ages are"),
        ({"ages": []}, r"its JSON says \[1, 1\]$"),
        ({"face": False}, r"gives output \[1, 1\] and \[1, 1\] and \[1, 8\], but its JSON says"),
        ({"input": {"size": 96}}, r"its JSON says \[1, 96, 96, 3\]"),
        ({"input": {"colour": "grey", "size": 112}}, r"its JSON says \[1, 112, 112, 1\]"),
        ({"input": 5}, "gender.json: input"),
        ({"confusion": [{"model": "m"}]}, "gender.json: confusion.0.data: Field required"),
        ({"confusion": {}}, "gender.json: confusion"),
    ],
)
def test_json_that_does_not_fit(copy: Path, keys: dict[str, Any], expected: str) -> None:
    change(copy, **keys)
    with pytest.raises(ModelError, match=expected):
        Classifier(copy)


def test_truncated_model(copy: Path) -> None:
    import hashlib

    data = copy.read_bytes()[:200]
    copy.write_bytes(data)
    change(copy, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ModelError, match="no TFLite runtime can run it"):
        Classifier(copy)


def test_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(ModelError, match="tflite-runtime is not installed"):
        Classifier(MODEL, runtime="tflite-runtime")
    # auto goes on to the next one
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ModelError, match=r"ai-edge-litert is not installed.*tflite-runtime is not"):
        Classifier(MODEL)
