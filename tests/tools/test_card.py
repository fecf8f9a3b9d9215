"""The JSON that the tools write beside a model is the one that the daemon reads."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.types import AGE_GROUPS
from edge.vision.model_card import ModelCard, read_card
from tests.support.commands import tool
from tests.support.paths import MODEL
from tools.conversion.card import describe, training_of
from tools.datasets.archive import DataError

PREPROCESSING = {"size": 112, "colour": "rgb", "mean": 127.5, "std": 127.5}


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(
        model=tmp_path / "gender.keras", prototxt=None, mean=[], std=None, name=None,
        labels="female,male",
    )  # fmt: skip


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 model that takes and gives what the shipped one does."""
    return converted(tmp_path_factory.mktemp("card") / "float.tflite", "float32")


def converted(file: Path, dtype: str, size: int | None = 128) -> Path:
    import tensorflow as tf

    weights = tf.constant(np.linspace(-1, 1, 3 * len(AGE_GROUPS)).reshape(3, -1), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, size, size, 3), dtype)])  # type: ignore[untyped-decorator]
    def network(faces: Any) -> Any:
        mean = tf.reduce_mean(tf.cast(faces, tf.float32), (1, 2))
        return tf.sigmoid(mean[:, :1]), tf.nn.softmax(mean @ weights)

    functions = [network.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, tf.Module())
    file.write_bytes(converter.convert())
    return file


def report(args: argparse.Namespace, **keys: Any) -> None:
    """Write what tools/train.py would have written beside the model, with other keys."""
    training = {"preprocessing": PREPROCESSING, "settings": {"arch": "cnn64"}, "keras": "3.8"}
    args.model.with_suffix(".training.json").write_text(json.dumps(training | keys))


def test_the_daemon_reads_what_the_tools_write(
    args: argparse.Namespace, float_model: Path, tmp_path: Path
) -> None:
    report(args)
    card = describe(float_model, args, training_of(args.model))
    file = card.write(MODEL.read_bytes(), tmp_path / "model.tflite")
    read = read_card(file)
    assert read == ModelCard(**card.model_dump() | {"sha256": read.sha256})
    assert (read.name, read.output, read.input.size) == ("gender-age-cnn64", "sigmoid", 128)
    written = json.loads(file.with_suffix(".json").read_text())
    shipped = json.loads(MODEL.with_suffix(".json").read_text())
    later = ("metrics", "calibrated", "confusion")
    assert list(written) == [key for key in shipped if key not in later]
    assert list(written["input"]) == list(shipped["input"])
    assert written["sha256"] == shipped["sha256"]
    assert written["trained"]["settings"] == {"arch": "cnn64"}


def test_the_digest_is_that_of_the_model_written(
    args: argparse.Namespace, float_model: Path, tmp_path: Path
) -> None:
    data = MODEL.read_bytes() + b"another"
    file = describe(float_model, args, {}).write(data, tmp_path / "model.tflite")
    assert json.loads(file.with_suffix(".json").read_text())["sha256"] != read_card(MODEL).sha256
    assert read_card(file).name == "gender-age-mobilenetv2"


@pytest.mark.parametrize(
    ("dtype", "size", "reason"),
    [("uint8", 128, "uint8; float32 is needed"), ("float32", None, "pictures of any size")],
)
def test_an_input_that_no_face_fits(
    dtype: str, size: int | None, reason: str, args: argparse.Namespace, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"gender\.keras: takes {reason}"):
        describe(converted(tmp_path / "other.tflite", dtype, size), args, {})


def test_a_name_that_no_window_may_carry(args: argparse.Namespace, float_model: Path) -> None:
    report(args, settings={"arch": "my net!"})
    with pytest.raises(DataError, match=r"gender\.keras: name 'gender-age-my net!': String"):
        describe(float_model, args, training_of(args.model))


@pytest.mark.parametrize("key", [{"mean": "dark"}, {"colour": "blue"}, {"crop": 1}])
def test_preprocessing_that_is_not_one(args: argparse.Namespace, key: dict[str, Any]) -> None:
    report(args, preprocessing=PREPROCESSING | key)
    (name,) = key
    with pytest.raises(DataError, match=rf"is not what tools/train\.py writes \(.*{name}"):
        training_of(args.model)


def test_a_model_is_not_evaluated_on_its_training_faces(few_faces: Path, tmp_path: Path) -> None:
    """The folder has no splits of its own; its name is in the model's card."""
    shutil.copytree(few_faces, tmp_path / "faces")
    network = tmp_path / "small.keras"
    run = tool(
        "train", "--data", few_faces, "--arch", "ann48", "--epochs", "1", "--batch", "16",
        "--out", network,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    run = tool(
        "quantize", network, "--calibrate", few_faces, "--out", tmp_path / "x.tflite",
        "--type", "float32", "--max-drop", "100",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for model, split in ((tmp_path / "x.tflite", "test"), (MODEL, "all")):
        run = tool("evaluate", model, "--data", tmp_path / "faces", "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["split"] == split
