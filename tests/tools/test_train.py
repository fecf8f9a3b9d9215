"""Training for real, on a few real faces.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import argparse
import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources.demo import PEOPLE
from edge.vision.preprocessing import Preprocessing
from tests.support import preloaded
from tests.support.commands import tool, wait_for
from tests.support.paths import MODEL, ROOT
from tools.datasets.archive import DataError
from tools.training.teacher import Teacher

QUICK = ("--arch", "ann48", "--batch", "16")


def losses(log: Path) -> dict[int, float]:
    """Validation loss by epoch."""
    if not log.exists():
        return {}
    with log.open(newline="") as lines:
        return {int(row["epoch"]): float(row["val_loss"]) for row in csv.DictReader(lines)}


def test_settings_and_charts_are_beside_the_weights(small_model: Path) -> None:
    text = small_model.with_suffix(".training.json").read_text()
    report = json.loads(text)
    assert len(report["history"]["gender"]["val_accuracy"]) == 2
    assert report["preprocessing"]["size"] == 64
    assert report["settings"]["seed"] == 1
    assert report["settings"]["data"] == ["faces"]
    assert report["faces"] == {"train": 80, "val": 40}
    assert report["backend"] == "tensorflow"
    assert str(small_model.parent) not in text
    chart = cv2.imread(str(small_model.with_suffix(".png")))
    assert chart is not None
    assert len(np.unique(chart.reshape(-1, 3), axis=0)) > 10
    for picture in (".confusion.png", ".mistakes.png"):
        assert cv2.imread(str(small_model.with_suffix(picture))) is not None
    assert not small_model.with_suffix(".checkpoint").exists()


def test_a_killed_training_is_resumed(few_faces: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "model.keras", tmp_path / "model.csv"
    # at this rate an early epoch is the best
    args = ["--data", str(few_faces), *QUICK, "--out", str(out), "--patience", "200", "--rate", "1"]
    command = [sys.executable, "tools/train.py", *args, "--epochs", "200"]
    with preloaded.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: len(losses(log)) >= 4, "no epoch ended", 600)
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL
    done = len(losses(log))
    assert not out.exists()

    run = tool("train", *args)
    assert run.returncode == 2
    assert "a training was stopped here after epoch" in run.stderr
    run = tool("train", *args, "--resume", "--batch", "20")
    assert run.returncode == 2
    assert "--batch 20: the stopped training had 16" in run.stderr

    run = tool("train", *args, "--epochs", str(done + 2), "--resume")
    assert run.returncode == 0, run.stderr
    by_epoch = losses(log)
    assert set(by_epoch) == set(range(done + 2))
    assert len(log.read_text().splitlines()) <= done + 4  # one epoch at most is done again
    best = min(by_epoch, key=lambda epoch: by_epoch[epoch])
    assert f"from the end of the best epoch: {best + 1}." in run.stdout
    assert not out.with_suffix(".checkpoint").exists()

    run = tool("train", *args, "--resume")
    assert run.returncode == 2
    assert "model.csv belongs to a completed training" in run.stderr


def test_a_training_without_its_report_is_resumed(few_faces: Path, tmp_path: Path) -> None:
    """As if it was killed while it wrote the report: all epochs are done, and none is repeated."""
    out, report = tmp_path / "model.keras", tmp_path / "model.training.json"
    args = ("--data", few_faces, *QUICK, "--out", out, "--epochs", "2")
    report.mkdir()  # cannot be written
    assert tool("train", *args).returncode != 0
    log = (tmp_path / "model.csv").read_text()
    report.rmdir()
    run = tool("train", *args, "--resume")
    assert run.returncode == 0, run.stderr
    assert "Epoch 1/2" not in run.stdout
    assert (tmp_path / "model.csv").read_text() == log
    history = json.loads(report.read_text())["history"]["gender"]
    assert history["val_loss"] == list(losses(tmp_path / "model.csv").values())
    assert not out.with_suffix(".checkpoint").exists()


def test_a_checkpoint_whose_settings_are_lost(tmp_path: Path) -> None:
    from tools.training.checkpoint import Checkpoint

    folder = tmp_path / "model.checkpoint"
    folder.mkdir()
    (folder / "training_metadata.json").write_text('{"epoch": 3}')
    (folder / "settings.json").write_text("")  # as a power cut leaves it
    with pytest.raises(DataError, match=r"settings\.json: cannot be read .* delete .*checkpoint"):
        Checkpoint(tmp_path / "model.keras", {"arch": "ann48"}, resume=True)


def test_training_stops_early_and_keeps_the_best_epoch(few_faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.keras"
    run = tool(
        "train", "--data", few_faces, *QUICK, "--out", out, "--epochs", "60", "--patience", "2",
        "--rate", "1", "--seed", "3",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    history = json.loads(out.with_suffix(".training.json").read_text())["history"]["gender"]
    assert len(history["val_loss"]) == history["val_loss"].index(min(history["val_loss"])) + 3 < 60
    assert "Restoring model weights from the end of the best epoch" in run.stdout


def test_another_backend_trains_too(few_faces: Path, tmp_path: Path) -> None:
    import keras

    out = tmp_path / "model.keras"
    args = ("--data", few_faces, *QUICK, "--out", out, "--epochs", "1")
    # nothing is gained by code that is fast for one epoch of so few faces
    quick = "--xla_backend_optimization_level=0"
    run = tool("train", *args, KERAS_BACKEND="jax", XLA_FLAGS=quick)
    assert run.returncode == 0, run.stderr
    assert "backend jax" in run.stdout
    assert keras.models.load_model(out, compile=False).output_shape == (None, 2)


def test_a_teacher_replaces_the_labels(few_faces: Path, tmp_path: Path) -> None:
    """Its labels are all male: so are the network's predictions, whatever the data set says."""
    import keras

    files = [file.name for file in few_faces.iterdir()]
    features = np.random.default_rng(1).normal(size=(len(files), 7))
    np.savez(tmp_path / "teacher.npz", files=files, male=np.ones(len(files)), features=features)
    out = tmp_path / "model.keras"
    args = ("--data", few_faces, *QUICK, "--out", out, "--epochs", "8", "--patience", "8")
    run = tool("train", *args, "--teacher", tmp_path / "teacher.npz", "--smoothing", "0")
    assert run.returncode == 0, run.stderr
    report = json.loads(out.with_suffix(".training.json").read_text())
    assert report["history"]["gender"]["accuracy"][-1] > 0.95
    assert 0.4 < report["val_accuracy"]["gender"] < 0.6
    assert keras.models.load_model(out, compile=False).output_shape == (None, 2)


def test_a_teacher_of_other_faces(few_faces: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "teacher.npz", files=["other.jpg"], male=[0.5])
    args = ("--data", few_faces, *QUICK, "--out", tmp_path / "x.keras")
    run = tool("train", *args, "--teacher", tmp_path / "teacher.npz")
    assert run.returncode == 2
    assert "knows none of the training faces; it has other.jpg, the data " in run.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--alpha", "0.4"], "--start imagenet: the weights cannot be loaded"),
        (["--start", "nonsense"], "must be imagenet, none, or a .tflite or .keras file"),
        (["--start", "README.md"], "README.md: is not a Keras model"),
        (["--epochs", "0"], "--epochs: 0: must be a whole number, 1 or more"),
        (["--size", "5"], "--size: 5: must be a whole number, 32 or more"),
        (["--start", "none", "--batch", "100"], "80 faces do not fill a batch of 100"),
        (["--out", "README.md/x.keras"], "--out README.md/x.keras: cannot be made (File exists)"),
        (["--out", "x.h5"], "--out: x.h5: must be a file that ends in .keras"),
        (["--rate", "nan"], "--rate: nan: must be a number above 0"),
        (["--smoothing", "3"], "--smoothing: 3: must be a number from 0 to 1"),
        (["--teacher", "README.md"], "must be a .npz file with the arrays files and male"),
    ],
)
def test_training_that_cannot_start(
    few_faces: Path, tmp_path: Path, args: list[str], expected: str
) -> None:
    run = tool("train", "--data", few_faces, "--out", tmp_path / "x.keras", *args)
    assert run.returncode == 2
    assert expected in run.stderr.splitlines()[-1]


def test_imagenet_start_computes_what_the_file_computes(shared: Path) -> None:
    import keras
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from tools.training.init_weights import load_tflite_weights

    path = shared / "pretrained" / "mobilenet_v2_1.0_224_imagenet_int8.tflite"
    large = Preprocessing(size=224)
    files = sorted(PEOPLE.glob("*.jpg"))[::3]
    composites = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    pictures = np.stack([large.crop(c, large.whole(*c.shape[1::-1])) for c in composites])
    values = large.normalize(pictures)
    model = keras.applications.MobileNetV2(
        (224, 224, 3), include_top=False, weights=None, pooling="avg"
    )
    load_tflite_weights(model, path, values)
    ours = model.predict(values, verbose=0)

    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    (pooling,) = (
        operator["outputs"][0]
        for operator in interpreter._get_ops_details()
        if operator["op_name"] in ("AVERAGE_POOL_2D", "MEAN")
    )
    assert entry["dtype"] == np.uint8
    for picture, features in zip(pictures, ours, strict=True):
        interpreter.set_tensor(entry["index"], picture[None])
        interpreter.invoke()
        theirs = interpreter.get_tensor(pooling).astype(np.float32).ravel()
        theirs -= theirs.min()
        assert np.corrcoef(features, theirs)[0, 1] > 0.9


def test_a_start_from_the_shipped_file_keeps_its_heads() -> None:
    from edge.vision.classifier import Classifier
    from tools.networks.build import build
    from tools.training.init_weights import load_tflite_weights

    classifier = Classifier(MODEL)
    prepare = classifier.preprocessing
    composites = [
        np.asarray(cv2.imread(str(file)), np.uint8) for file in sorted(PEOPLE.glob("*.jpg"))[::3]
    ]
    crops = [prepare.crop(c, prepare.whole(*c.shape[1::-1])) for c in composites]
    expected = classifier(crops)
    assert expected.gender is not None
    assert expected.age is not None
    model = build("mobilenetv2", size=prepare.size, heads=("gender", "age"))
    values = prepare.normalize(np.stack(crops))
    load_tflite_weights(model, MODEL, values)
    male, ages = model.predict(values, verbose=0)
    assert np.abs(male[:, 0] - expected.gender[:, 1]).max() < 0.1
    assert (ages.argmax(axis=1) == expected.age.argmax(axis=1)).mean() > 0.8


@pytest.mark.parametrize("balance", [False, True])
def test_a_rarer_gender_weighs_more_if_asked(
    few_faces: Path, tmp_path: Path, balance: bool
) -> None:
    from tools.training.training import read_sets

    with few_faces.with_suffix(".csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    men = [row for row in rows if row["gender"] == "male" and row["split"] == "train"]
    left_out = men[: len(men) // 2]
    (tmp_path / "faces").symlink_to(few_faces)
    with (tmp_path / "faces.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"age": ""} for row in rows if row not in left_out)
    args = argparse.Namespace(
        data=[tmp_path / "faces"], layout="csv", detect="none", face_cache=None, batch=16, seed=1,
        infant_weight=1.0, shear=0.0, estimate=["gender"], mixup=0.0, teacher=None, balance=balance,
    )  # fmt: skip
    faces, _ = read_sets(args, Preprocessing(size=32), Teacher({}, {}), None, 0)
    women_weight, men_weight = (
        float(sum(w for w, s in zip(faces.weights, faces.samples, strict=True) if s.label == label))
        for label in (0, 1)
    )
    assert (abs(women_weight - men_weight) < 0.01) == balance


def test_layers_that_are_frozen_stay_as_they_are(few_faces: Path, tmp_path: Path) -> None:
    import keras

    start, out = tmp_path / "start.keras", tmp_path / "out.keras"
    args: tuple[str | Path, ...] = ("--data", few_faces, *QUICK, "--epochs", "1")
    assert tool("train", *args, "--out", start).returncode == 0
    first, last = (keras.models.load_model(start, compile=False).layers[n] for n in (-3, -1))
    run = tool("train", *args, "--start", start, "--freeze", first.name, "--out", out)
    assert run.returncode == 0, run.stderr
    trained = keras.models.load_model(out, compile=False)
    for layer, same in ((first, True), (last, False)):
        before, after = layer.get_weights(), trained.get_layer(layer.name).get_weights()
        assert all(map(np.array_equal, before, after)) == same
    run = tool("train", *args, "--start", start, "--freeze", "x", "--out", tmp_path / "y.keras")
    assert run.returncode == 2
    assert "--freeze x: must be a layer" in run.stderr


def test_a_narrower_network_starts_from_the_channels_that_matter() -> None:
    """A wide network that uses only a few channels computes the same without the others."""
    import keras

    from tools.networks.build import build
    from tools.training.init_weights import load_keras_weights
    from tools.training.recalibrate_bn import recalibrate_batch_norm

    keras.utils.set_random_seed(1)
    narrow, wide = (build("mobilenetv2", size=64, alpha=alpha) for alpha in (0.35, 0.5))
    faces = np.random.default_rng(1).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    recalibrate_batch_norm(narrow, [(faces,)])  # a fresh network says 0.5 to everything
    for small, large in zip(narrow.weights, wide.weights, strict=True):
        values = np.zeros(large.shape, np.float32)
        values[tuple(slice(n) for n in small.shape)] = np.asarray(small)
        if small.path.endswith("moving_variance"):
            values[small.shape[0] :] = 1
        large.assign(values)
    expected = narrow.predict(faces, verbose=0)
    assert len(np.unique(expected)) == 4
    assert np.allclose(wide.predict(faces, verbose=0), expected, atol=1e-5)
    again = build("mobilenetv2", size=64, alpha=0.35)
    load_keras_weights(again, wide)
    assert np.allclose(again.predict(faces, verbose=0), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"broadcast|shape|size"):
        load_keras_weights(wide, narrow)


def test_nothing_that_is_there_is_lost(few_faces: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.symlink_to(few_faces)
    table = tmp_path / "faces.csv"
    table.write_bytes(few_faces.with_suffix(".csv").read_bytes())
    before = table.read_bytes()
    run = tool("train", "--data", faces, *QUICK, "--out", tmp_path / "faces.keras", "--force")
    assert run.returncode == 2
    assert "faces.csv: would replace what is read" in run.stderr
    assert table.read_bytes() == before

    model = tmp_path / "model.keras"
    model.write_bytes(b"mine")
    run = tool("train", "--data", faces, *QUICK, "--out", model)
    assert run.returncode == 2
    assert run.stderr == f"train: --out {model}: is there already; --force replaces it\n"
    assert model.read_bytes() == b"mine"
