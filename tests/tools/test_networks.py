"""Each network that can be trained: its shape, a few steps of training, and the way to the daemon.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import json
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.sources.demo import PEOPLE
from edge.types import Box
from edge.vision.classifier import Classifier
from tests.support.commands import tool
from tests.support.paths import ROOT
from tools.datasets.archive import DataError
from tools.networks.names import IMAGENET, NETWORKS


@pytest.mark.parametrize(
    ("name", "parameters", "entry", "outputs"),
    [
        ("mobilenetv2", 2_225_153, (112, 112, 3), 1),
        ("ann48", 1_102_902, (48, 48, 1), 2),
        ("cnn64", 1_336_289, (64, 64, 3), 1),
        ("levi-hassner", 11_411_970, (227, 227, 3), 2),
        ("vgg16", 14_715_201, (224, 224, 3), 1),
        ("vgg19", 20_024_897, (224, 224, 3), 1),
        ("resnet50", 23_536_641, (224, 224, 3), 1),
        ("resnet101", 42_554_881, (224, 224, 3), 1),
        ("googlenet", 5_981_857, (224, 224, 3), 1),
    ],
)
def test_shapes_and_trainable_parameters(
    name: str, parameters: int, entry: tuple[int, ...], outputs: int
) -> None:
    from tools.networks.build import build

    model = build(name)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert model.input_shape == (None, *entry)
    assert model.output_shape == (None, outputs)
    assert model.name == f"gender-{name}"


def test_the_names_are_those_of_the_functions() -> None:
    """The names are listed apart from the functions, which need Keras."""
    from tools.networks.build import BUILDERS

    assert tuple(BUILDERS) == NETWORKS
    assert {
        name for name, function in BUILDERS.items() if "weights" in signature(function).parameters
    } == IMAGENET


@pytest.mark.parametrize("name", ["ann48", "cnn64"])
def test_from_faces_to_the_daemon(name: str, few_faces: Path, tmp_path: Path) -> None:
    """Trained, quantized, and run on a picture."""
    weights = tmp_path / "network.keras"
    run = tool(
        "train", "--arch", name, "--data", few_faces, "--out", weights, "--epochs", "2",
        "--batch", "16",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report = json.loads(weights.with_suffix(".training.json").read_text())
    grey, size, output = (True, 48, "softmax") if name == "ann48" else (False, 64, "sigmoid")
    assert report["settings"]["start"] == "none"
    assert report["settings"]["shear"] == (0 if grey else 8)
    assert report["settings"]["size"] == size

    out = tmp_path / "network.tflite"
    few = ("--calibration-faces", "40", "--test-faces", "20", "--max-drop", "100")
    run = tool("quantize", weights, "--calibrate", few_faces, "--out", out, *few)
    assert run.returncode == 0, run.stderr
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["name"] == f"gender-{name}"
    assert card["output"] == output
    assert card["input"]["colour"] == ("grey" if grey else "rgb")
    assert card["metrics"]["quantisation"]["gender"]["mean_difference"] < 0.05

    # latency.py says so if tflite-runtime, available up to Python 3.11, runs it too
    assert sys.version_info >= (3, 12) or "outputs equal the others'" in run.stdout
    picture = np.asarray(cv2.imread(str(sorted(PEOPLE.glob("*.jpg"))[0])), np.uint8)
    classifier = Classifier(out)
    crop = classifier.preprocessing.crop(picture, Box(0, 0, *picture.shape[1::-1]))
    assert crop.shape == (size, size, 1 if grey else 3)
    assert classifier.genders([crop])[0].sum() == pytest.approx(1, abs=0.01)


def test_softmax_learns_as_the_sigmoid_of_the_same_answer_does() -> None:
    import keras

    from tools.training.losses import two_class_cross_entropy

    truth = np.array([[1.0], [0.0], [0.3]], np.float32)
    male = np.array([[0.9], [0.4], [0.7]], np.float32)
    expected = keras.losses.binary_crossentropy(truth, male, label_smoothing=0.1)
    ours = two_class_cross_entropy(0.1)(truth, np.hstack([1 - male, male]))
    assert np.allclose(ours, expected, atol=1e-5)


def test_a_backbone_with_weights_keeps_all_but_its_last_stage(
    few_faces: Path, tmp_path: Path
) -> None:
    """Here the start weights are random: only what changes matters."""
    import keras

    from tools.networks.build import FROZEN, build

    small = build("vgg16", size=32)
    small.save(tmp_path / "start.keras")
    args = ("--arch", "vgg16", "--size", "32", "--batch", "40", "--epochs", "1")
    out = tmp_path / "trained.keras"
    run = tool(
        "train", *args, "--data", few_faces, "--start", tmp_path / "start.keras", "--out", out
    )
    assert run.returncode == 0, run.stderr
    trained = keras.models.load_model(out, compile=False)
    names = [layer.name for layer in small.layers]
    last = names.index(FROZEN["vgg16"])
    changed = {
        name: any(
            not np.array_equal(old, new)
            for old, new in zip(
                small.get_layer(name).get_weights(),
                trained.get_layer(name).get_weights(),
                strict=True,
            )
        )
        for name in names
        if small.get_layer(name).weights
    }
    assert not any(changed.get(name) for name in names[: last + 1])
    assert all(changed[name] for name in names[last + 1 :] if name in changed)


def test_response_normalization_is_the_usual_one() -> None:
    import keras
    import tensorflow as tf

    from tools.networks.lrn import response_norm

    values = np.random.default_rng(0).uniform(0, 300, (2, 5, 5, 12)).astype(np.float32)
    entry = keras.layers.Input((5, 5, 12))
    ours = keras.Model(entry, response_norm(entry, "norm")).predict(values, verbose=0)
    theirs = tf.nn.local_response_normalization(values, 2, 1.0, 1e-4 / 5, 0.75)
    assert np.allclose(ours, theirs, rtol=1e-4)
    assert ours.max() < 0.8 * values.max()


def test_images_reach_a_backbone_as_it_learnt_them() -> None:
    import keras

    from tools.networks.lrn import IMAGENET_MEAN, pixels

    picture = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    entry = keras.layers.Input((4, 4, 3))
    ours = keras.Model(entry, pixels(entry, IMAGENET_MEAN)).predict(
        (picture - 127.5) / 127.5, verbose=0
    )
    theirs = keras.applications.resnet50.preprocess_input(picture.copy())
    assert np.allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("ann48", {"size": 64}, "--size: ann48 has only one size"),
        ("vgg16", {"alpha": 0.5}, "--alpha: vgg16 has only one alpha"),
        ("googlenet", {"start": "imagenet"}, "no such weights of googlenet"),
    ],
)
def test_what_a_network_cannot_be(name: str, options: dict[str, Any], expected: str) -> None:
    from tools.networks.build import build

    with pytest.raises(DataError, match=expected):
        build(name, **options)


def test_a_tflite_file_starts_no_other_network(few_faces: Path, tmp_path: Path) -> None:
    start = ("--arch", "cnn64", "--start", ROOT / "models/gender.tflite")
    run = tool("train", "--data", few_faces, "--out", tmp_path / "x.keras", *start)
    assert run.returncode == 2
    assert "cnn64 starts from imagenet, none or a .keras file" in run.stderr.splitlines()[-1]
