"""Models in all formats become the file that the daemon runs."""

import json
import shutil
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.types import LABELS
from edge.vision.classifier import Classifier
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import open_interpreter
from tests.support.commands import tool
from tools.conversion import chance_check
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.evaluation.metrics import HeadResult

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


def io_types(model: Path) -> list[type]:
    interpreter, _ = open_interpreter(model)
    tensors = interpreter.get_input_details() + interpreter.get_output_details()
    return [tensor["dtype"] for tensor in tensors]


def quantized(model: Path, data: Path, out: Path, *args: str) -> str:
    run = tool("quantize", model, "--calibrate", data, "--out", out, "--max-drop", "100", *args)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_full_int8(small_model: Path, few_faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.tflite"
    screen = quantized(small_model, few_faces, out)
    assert io_types(out) == [np.int8, np.int8]
    assert Classifier(out).preprocessing == Preprocessing(size=64)
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["trained"]["settings"]["seed"] == 1
    assert card["metrics"]["quantisation"]["gender"]["faces"] == 40
    lines = screen.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("runs")] == [
        "model", "input", "held", "accuracy", "changed", "changed", "changed", "written",
    ]  # fmt: skip
    # two lines for each runtime; from Python 3.12 on one line says why tflite-runtime is missing
    expected = 4 if sys.version_info < (3, 12) else 3
    assert sum(line.startswith("runs") for line in lines) == expected
    assert len(lines) <= 24  # one screen


def onnx_model(path: Path) -> None:
    """Two softmax outputs, male first: the mean red in the picture against the mean blue."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {
        "pick": np.eye(3, dtype=np.float32)[[0, 2]].reshape(2, 3, 1, 1),
        "gain": np.float32(4) * np.eye(2, dtype=np.float32),
        "bias": np.array([0.25, 0], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "pick"], ["channels"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["channels"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "gain", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def test_onnx_with_softmax_and_labels_the_other_way_round(few_faces: Path, tmp_path: Path) -> None:
    onnx_model(tmp_path / "colors.onnx")
    out = tmp_path / "colors.tflite"
    args = ("--ends", "uint8", "--labels", "male,female", "--mean", "0.001", "--std", "255")
    screen = quantized(tmp_path / "colors.onnx", few_faces, out, *args)
    assert "int8, uint8 in and out" in screen
    assert io_types(out) == [np.uint8, np.uint8]
    classifier = Classifier(out)
    assert classifier.preprocessing == Preprocessing(size=32, mean=0.001, std=255)
    red, blue = (np.full((32, 32, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))
    female, male = classifier.genders([red, blue]).T
    assert male[0] > 0.8 > 0.2 > male[1]
    assert np.allclose(female + male, 1, atol=0.02)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.keras", None, "does not exist"),
        ("model.keras", b"nothing", "is not a Keras model"),
        ("model.h5", b"nothing", "is not a Keras model"),
        ("model.onnx", b"nothing", "onnx2tf cannot convert it"),
        ("zipped.keras", EMPTY_ZIP, "is not a Keras model"),
        ("model.pt", b"nothing", "must be a .keras, .h5 or .onnx file, or a SavedModel folder"),
    ],
)
def test_models_that_cannot_be_read(
    name: str, content: bytes | None, expected: str, few_faces: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    run = tool(
        "quantize", tmp_path / name, "--calibrate", few_faces, "--out", tmp_path / "x.tflite"
    )
    assert run.returncode == 2
    last = run.stderr.splitlines()[-1]
    assert last.startswith(f"quantize: {tmp_path / name}: ")
    assert expected in last


def test_networks_that_do_not_fit(few_faces: Path, tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    oblong = keras.Sequential([layers.Input((32, 64, 3)), layers.Flatten(), layers.Dense(1)])
    many = keras.Sequential([layers.Input((32, 32, 3)), layers.Flatten(), layers.Dense(5)])
    logits = keras.Sequential(
        [layers.Input((32, 32, 1)), layers.Flatten(), layers.Dense(1, bias_initializer="ones")]
    )
    for model, expected in (
        (oblong, "takes [1, 32, 64, 3]; one square picture is needed"),
        (many, "gives [1, 5]; one sigmoid value or 2 softmax values for gender are needed"),
        (
            keras.Sequential(
                [
                    layers.Input((None, None, 3)),
                    layers.Conv2D(1, 3),
                    layers.GlobalAveragePooling2D(),
                ]
            ),
            "takes pictures of any size, [None, None, None, 3]",
        ),
        (logits, "which is not a probability: it must end in sigmoid or softmax"),
    ):
        for layer in model.layers[-1:]:
            layer.set_weights([weight * 10 for weight in layer.get_weights()])
        model.save(tmp_path / "x.keras")
        args = ("--calibrate", few_faces, "--out", tmp_path / "x.tflite")
        run = tool("quantize", tmp_path / "x.keras", *args)
        assert run.returncode == 2
        assert expected in run.stderr.splitlines()[-1]


def test_a_model_with_its_labels_swapped_is_refused(few_faces: Path, tmp_path: Path) -> None:
    """A network that knows the faces by heart, with its two outputs exchanged."""
    import keras

    size = Preprocessing(size=32)
    samples = dataset.load(few_faces).samples
    faces = size.normalize(np.stack(dataset.crops_of(samples, size))).reshape(len(samples), -1)
    sides = np.array([2 * sample.label - 1 for sample in samples], np.float32)
    model = keras.Sequential(
        [keras.layers.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
    )
    kernel = np.linalg.pinv(faces) @ sides
    model.layers[-1].set_weights([5 * kernel[:, None], np.zeros(1)])
    model.save(tmp_path / "good.keras")
    out = tmp_path / "x.tflite"
    args = ("--calibrate", few_faces, "--out", out, "--type", "float32")
    assert tool("quantize", tmp_path / "good.keras", *args).returncode == 0
    good = out.read_bytes()
    run = tool("quantize", tmp_path / "good.keras", *args, "--labels", "male,female", "--force")
    assert run.returncode == 1
    assert "is worse than chance: its --labels may be the other way round" in run.stderr
    assert out.read_bytes() == good
    assert {file.name for file in tmp_path.iterdir()} == {"good.keras", "x.tflite", "x.json"}


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in place of faces: women are reddish, men are bluish."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("colors") / "faces"
    for split, label, number in product(("train", "val"), LABELS, range(30)):
        pixels = rng.integers(60, 120, (32, 32, 3))
        pixels[..., 2 if label == "female" else 0] += 60  # B G R
        path = folder / split / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels.astype(np.uint8))
    return folder


def color_model(first: Sequence[Any], path: Path) -> Path:
    """A model that takes much blue for male, in pixels from -1 to 1, after the layers `first`."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            *first,
            layers.Conv2D(2, 1, use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.layers[-3].set_weights([np.eye(3, dtype=np.float32)[:, [0, 2]][None, None]])
    model.layers[-1].set_weights([np.array([[0.0], [18.0]]), np.ones(1)])
    if path.suffix:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


@pytest.mark.parametrize("kind", ["float16", "dynamic"])
def test_other_types_for_comparison(kind: str, colors: Path, tmp_path: Path) -> None:
    model, out = color_model([], tmp_path / "model.keras"), tmp_path / "model.tflite"
    screen = quantized(model, colors, out, "--detect", "none", "--type", kind)
    assert io_types(out) == [np.float32, np.float32]
    assert f"% {kind}" in screen
    metrics = json.loads(out.with_suffix(".json").read_text())["metrics"]
    assert metrics["quantisation"]["gender"]["agreement"] >= 0.95


def test_formats_give_the_same_model(few_faces: Path, tmp_path: Path) -> None:
    from keras import Sequential, layers

    model = Sequential(
        [
            layers.Input((64, 64, 3)),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6),
            layers.DepthwiseConv2D(3),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(1, "sigmoid"),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in model.get_weights()])
    sources = [tmp_path / name for name in ("own.keras", "own.h5", "saved")]
    for source in sources[:2]:
        model.save(source)
    model.export(sources[2], verbose=False)
    outputs = []
    crops = list(rng.integers(0, 256, (8, 64, 64, 3), np.uint8))
    for number, source in enumerate(sources):
        out = tmp_path / f"{number}.tflite"
        quantized(source, few_faces, out, "--type", "float32")
        outputs.append(Classifier(out).genders(crops))
    assert np.ptp(outputs[0]) > 0.1
    assert np.allclose(outputs[0], outputs[1], atol=1e-5)
    assert np.allclose(outputs[0], outputs[2], atol=1e-5)


def test_a_model_that_scales_and_flips_its_pictures_itself(colors: Path, tmp_path: Path) -> None:
    from keras import layers

    flips = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomContrast(0.1),
    ]
    model = color_model([*flips, layers.Rescaling(1 / 127.5, -1)], tmp_path / "own.keras")
    args = ("--calibrate", colors, "--detect", "none")
    run = tool("quantize", model, *args)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "every face: with --mean 0 --std 1 it is right for 100.0%" in line
    assert "own.tflite was not changed" in line
    assert {file.name for file in tmp_path.iterdir()} == {"own.keras"}

    run = tool("quantize", model, *args, "--mean", "0", "--std", "1")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert "100.00% float, 100.00% int8" in run.stdout
    out = tmp_path / "own.tflite"  # beside the model, because there is no --out
    assert io_types(out) == [np.int8, np.int8]

    before = out.read_bytes()
    run = tool("quantize", model, *args)
    assert run.returncode == 2
    assert run.stderr == f"quantize: --out {out}: is there already; --force replaces it\n"
    assert out.read_bytes() == before


def test_mixed_precision(colors: Path, tmp_path: Path) -> None:
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = color_model([], tmp_path / "mixed.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    quantized(model, colors, tmp_path / "mixed.tflite", "--detect", "none", "--max-drop", "1")


def test_a_good_file_is_not_replaced_by_one_that_lost_too_much(
    colors: Path, tmp_path: Path
) -> None:
    model, out = color_model([], tmp_path / "model.keras"), tmp_path / "model.tflite"
    out.write_bytes(b"a good file")
    args = ("--calibrate", colors, "--detect", "none", "--max-drop", "-100", "--force")
    run = tool("quantize", model, *args)
    assert run.returncode == 1
    assert "was not changed" in run.stderr
    assert out.read_bytes() == b"a good file"


def test_what_cannot_be_converted_is_one_line(colors: Path, tmp_path: Path) -> None:
    import keras
    from keras import layers

    from tools.conversion import model_files

    @keras.saving.register_keras_serializable("tests")
    class Own(layers.Layer):  # type: ignore[misc]  # Keras carries no types
        def call(self, values: Any) -> Any:
            return keras.ops.arctan2(values, values + 1)

    rows = layers.Reshape((32, 96)), layers.LSTM(4), layers.Reshape((2, 2, 1))
    cases = {
        "lstm.keras": ([*rows, layers.Conv2D(3, 1)], "LSTM and GRU layers with unroll=True"),
        "saved": ([Own()], "Atan2; leave out or replace their layers"),
    }
    for name, (first, expected) in cases.items():
        model = color_model(first, tmp_path / name)
        run = tool("quantize", model, "--calibrate", colors, "--detect", "none")
        assert run.returncode == 2
        (line,) = run.stderr.splitlines()
        assert line.startswith(f"quantize: {model}: ")
        assert expected in line

    for name, first, expected in (
        ("lambda.keras", layers.Lambda(lambda x: x / 2), "has a Lambda layer"),
        ("own.keras", Own(), "it needs your own Own; export it where it was made"),
    ):
        model = color_model([first], tmp_path / name)
        keras.saving.get_custom_objects().clear()  # as in another program
        with pytest.raises(DataError, match=rf"{name}: .*{expected}"):
            model_files.load_keras(model)
    odd = "error: 'tf.AsString' op is neither a custom op nor a flex op\nloc(...) 'tf.Lgamma' op"
    assert model_files.failure(odd).startswith("TFLite has no AsString, Lgamma; leave out")


def test_guesses_are_distinguished_from_knowledge(few_faces: Path) -> None:
    faces = dataset.load(few_faces).samples * 3
    truth = np.array([sample.label for sample in faces])

    def guess(male: Any, *, lenient: bool = False) -> str | None:
        answers = np.stack([1 - np.asarray(male), male], axis=1).astype(np.float32)
        return chance_check.guessing_reason(
            HeadResult(faces, truth, answers, LABELS), lenient=lenient
        )

    noise = np.random.default_rng(0).random(len(faces))
    assert guess(0.6 + 0.001 * noise, lenient=True) == "says the same for every face"
    assert guess(0.6 + 0.1 * noise) == "says male for every face"
    assert str(guess(noise)).startswith("is no better than chance (")
    assert guess(noise, lenient=True) is None
    assert guess(np.where(noise < 0.7, truth, noise)) is None


def test_an_input_with_which_a_model_is_better() -> None:
    """It expects men's bright red in the blue channel, in pixels from 0 to 1."""
    rng = np.random.default_rng(0)
    truth = [number % 2 for number in range(100)]
    crops = [rng.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in truth]
    for crop, label in zip(crops, truth, strict=True):
        crop[..., 0] = 100 + 50 * label

    def genders(entry: Preprocessing, faces: Sequence[Any]) -> Any:
        male = (entry.normalize(np.stack(faces))[..., 2].mean(axis=(1, 2)) > 125 / 255) * 1.0
        return np.stack([1 - male, male], axis=1)

    better = chance_check.better_input(genders, crops, truth, Preprocessing(size=8))
    assert better == chance_check.InputFormat(0, 255, blue_first=True, accuracy=1.0)
    assert "--mean 0 --std 255 and blue before red" in chance_check.advice(better)
    assert (
        chance_check.better_input(lambda *_: genders(*_) * 0, crops, truth, Preprocessing(size=8))
        is None
    )


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--out", "models"], "--out: models: must be a file that ends in .tflite"),
        (["--out", "README.md/x.tflite"], "--out README.md/x.tflite: cannot be made (File exists)"),
        (["--name", "my model"], "--name: 'my model': use only letters, digits"),
        (["--test-faces", "0"], "--test-faces: 0: must be a whole number, 2 or more"),
        (["--std", "0"], "--std: 0: must be a number other than 0"),
        (["--mean", "1,x"], "--mean: x: must be a number"),
        (["--mean", "1,2"], "--mean: 2 numbers; needs one, or three for a .caffemodel"),
        (["--seed", "-1"], "--seed: -1: must be a whole number, 0 or more"),
    ],
)
def test_mistakes_of_use(args: list[str], expected: str, few_faces: Path) -> None:
    run = tool("quantize", "x.keras", "--calibrate", few_faces, *args)
    assert run.returncode == 2
    assert expected in run.stderr.splitlines()[-1]


def test_the_current_folder_is_named_when_it_is_no_model(few_faces: Path) -> None:
    run = tool("quantize", ".", "--calibrate", few_faces)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].endswith("is not a SavedModel, it has no saved_model.pb")


def test_a_report_that_is_not_one(small_model: Path, few_faces: Path, tmp_path: Path) -> None:
    for text in ("{", "[]", '{"preprocessing": {"sized": 3}, "settings": {}}'):
        (tmp_path / "x.training.json").write_text(text)
        args = ("--calibrate", few_faces, "--out", tmp_path / "x.tflite")
        run = tool("quantize", shutil.copy(small_model, tmp_path / "x.keras"), *args)
        assert run.returncode == 2
        assert "x.training.json: is not what tools/train.py writes" in run.stderr.splitlines()[-1]


def test_biases_compensate_for_rounding(tmp_path: Path) -> None:
    """A kernel with a small sum on an input with a large mean: rounding harms this case most."""
    import keras
    from keras import layers

    from tools.conversion import bias_correction

    rng = np.random.default_rng(0)
    network = keras.Sequential(
        [
            layers.Input((24, 24, 3)),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(max_value=6),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.Conv2D(4, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    for layer in network.layers:
        layer.set_weights([rng.normal(0.5, 1, w.shape) ** 2 for w in layer.get_weights()])
    deep = network.layers[3]
    kernel, bias = deep.get_weights()
    deep.set_weights([kernel - kernel.mean((0, 1), keepdims=True), bias])
    pictures = rng.uniform(0.5, 1, (100, 24, 24, 3)).astype(np.float32)
    pictures[64:] *= 2  # the second batch is smaller, and not like the first

    folded = bias_correction.fold_batch_norm(network)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    expected = network.predict(pictures, verbose=0)
    assert np.allclose(folded.predict(pictures, verbose=0), expected, atol=1e-4)

    def means(model: Any, rounded: bool) -> Any:
        """Of each channel after each of the three convolutions."""
        copy = keras.models.clone_model(model)
        for layer, twin in zip(model.layers, copy.layers, strict=True):
            weights = layer.get_weights()
            if rounded and weights:
                weights[0] = bias_correction.rounded(weights[0], layer)
            twin.set_weights(weights)
        outputs = [twin.output for twin in copy.layers if "conv" in twin.name]
        probe = keras.Model(copy.inputs, outputs)
        return [values.mean((0, 1, 2)) for values in probe.predict(pictures, verbose=0)]

    true = means(folded, rounded=False)
    before = means(folded, rounded=True)
    bias_correction.correct(folded, pictures)
    after = means(folded, rounded=True)
    assert len(true) == 3
    for exact, spoiled, corrected in zip(true, before, after, strict=True):
        assert np.abs(corrected - exact).mean() < 0.01 * np.abs(spoiled - exact).mean()


def test_layers_that_cannot_be_folded_stay() -> None:
    """A convolution that another layer reads too, and one with an activation before its norm."""
    import keras
    from keras import layers

    from tools.conversion import bias_correction

    picture = keras.Input((8, 8, 3))
    read_twice = layers.Conv2D(4, 3)(picture)
    activated = layers.Conv2D(4, 3, activation="relu")(picture)
    norms = layers.BatchNormalization(), layers.BatchNormalization()
    whole = layers.Add()([read_twice, norms[0](read_twice), norms[1](activated)])
    network = keras.Model(picture, layers.GlobalAveragePooling2D()(whole))
    rng = np.random.default_rng(0)
    for norm in norms:
        norm.set_weights([rng.uniform(1, 2, w.shape) for w in norm.get_weights()])
    pictures = rng.uniform(-1, 1, (4, 8, 8, 3)).astype(np.float32)
    folded = bias_correction.fold_batch_norm(network)
    expected = network.predict(pictures, verbose=0)
    assert np.allclose(folded.predict(pictures, verbose=0), expected, atol=1e-4)


def test_calibration_has_as_many_women_as_men(few_faces: Path) -> None:
    from tools.conversion.quantization import draw_balanced

    train = dataset.load(few_faces).part("train")
    first, again, other = (draw_balanced(train, 30, seed) for seed in (1, 1, 2))
    for drawn in (first, other):
        assert len({sample.name for sample in drawn}) == 30
        assert sum(sample.label for sample in drawn) == 15
    assert first == again != other
    few = [sample for sample in train if sample.label == 0] + draw_balanced(train, 6, 1)[3:]
    assert sum(sample.label for sample in draw_balanced(few, 30, 1)) == 3


def test_losses_are_reported_for_each_head(few_faces: Path) -> None:
    from tools.conversion.accuracy_drop import compare, excess_drop

    faces = dataset.load(few_faces).samples[:4]

    def result(*male: float) -> HeadResult:
        probabilities = np.array([(1 - p, p) for p in male], np.float32)
        return HeadResult(faces, np.array([0, 0, 1, 1]), probabilities, LABELS)

    was = {"gender": result(0.1, 0.4, 0.6, 0.9), "age": result(0.1, 0.2, 0.8, 0.9)}
    now = {"gender": result(0.1, 0.7, 0.7, 0.9), "age": result(0.1, 0.1, 0.9, 0.9)}
    figures, changes = compare(was, now)
    assert figures["gender"] == {
        "faces": 4, "float_accuracy": 1, "accuracy": 0.75, "agreement": 0.75,
        "mean_difference": 0.1,
    }  # fmt: skip
    assert figures["age"]["accuracy"] == figures["age"]["agreement"] == 1
    assert len(changes) == 3
    assert changes[0] == f"{faces[1].name}: p(female) 0.60 became 0.30"
    assert excess_drop(figures, 24) == "loses 25.00 points, more than --max-drop 24"
    assert excess_drop({"age": figures["age"]}, 24) is None
