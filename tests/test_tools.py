"""The workstation's tools, run as a data scientist runs them, on real faces."""

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import MODEL, ROOT

from edge.classify import Classifier, Preprocessing, open_interpreter
from edge.scene import PEOPLE


def tool(name: str, *args: str | Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"tools/{name}.py", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s)


@pytest.fixture(scope="module")
def few_faces(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few real faces with its table beside it."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    folder.mkdir()
    archive = zipfile.ZipFile(shared / "datasets" / "utkface.zip")
    wanted = {"train": 80, "val": 40, "test": 40}
    chosen: list[dict[str, str]] = []
    with (shared / "datasets" / "utkface.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            key = (row["split"], row["gender"])
            if sum((r["split"], r["gender"]) == key for r in chosen) < wanted[row["split"]] / 2:
                chosen.append(row)
                (folder / row["file"]).write_bytes(archive.read(f"utkface/{row['file']}"))
    with folder.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, chosen[0])
        writer.writeheader()
        writer.writerows(chosen)
    return folder


def test_train_then_quantise_then_evaluate(few_faces: Path, tmp_path: Path) -> None:
    data = f"aligned:{few_faces}"
    keras_file = tmp_path / "small.keras"
    run = tool(
        "train", "--data", data, "--start", "none", "--size", "64", "--alpha", "0.35",
        "--epochs", "2", "--batch", "16", "--out", keras_file,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    report = json.loads(keras_file.with_suffix(".training.json").read_text())
    assert len(report["history"]["val_accuracy"]) == 2
    assert report["preprocessing"]["size"] == 64
    assert report["settings"]["seed"] == 1
    assert report["settings"]["data"] == ["aligned:faces"]
    assert str(tmp_path) not in json.dumps(report)

    out = tmp_path / "small.tflite"
    run = tool("quantize", keras_file, "--calibrate", data, "--out", out, "--max-drop", "100")
    assert run.returncode == 0, run.stderr
    assert "accuracy" in run.stdout
    interpreter, _ = open_interpreter(out)
    ends = interpreter.get_input_details() + interpreter.get_output_details()
    assert [end["dtype"] for end in ends] == [np.int8, np.int8]
    assert Classifier(out).preprocessing == Preprocessing(size=64)

    run = tool("evaluate", out, "--data", data, "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["n"] == 40
    assert set(result["groups"]) == {"gender", "age", "ethnicity"}
    assert sum(sum(said.values()) for said in result["confusion"].values()) == 40
    low, high = result["interval"]
    assert low <= result["accuracy"] <= high
    assert tool("evaluate", out, "--data", data, "--min-accuracy", "1.0").returncode == 1

    # a good file is not replaced by one that lost too much
    before = out.read_bytes()
    run = tool("quantize", keras_file, "--calibrate", data, "--out", out, "--max-drop", "-100")
    assert run.returncode == 1
    assert "was left as it was" in run.stderr
    assert out.read_bytes() == before


def test_shipped_model_keeps_its_promise(shared: Path) -> None:
    data = f"aligned:{shared}/datasets/utkface.zip"
    run = tool("evaluate", MODEL, "--data", data, "--min-age", "12", "--min-accuracy", "0.92")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "faces     1833 (100.0% found)" in run.stdout


def test_imagenet_start_computes_what_the_file_computes(shared: Path) -> None:
    import keras
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    from imagenet import start_from_tflite

    path = shared / "pretrained" / "mobilenet_v2_1.0_224_imagenet_int8.tflite"
    large = Preprocessing(size=224)
    files = sorted(PEOPLE.glob("*.jpg"))[::3]
    composites = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    pictures = np.stack([large.crop(c, large.whole(*c.shape[1::-1])) for c in composites])
    values = large.normalise(pictures)
    model = keras.applications.MobileNetV2(
        (224, 224, 3), include_top=False, weights=None, pooling="avg"
    )
    start_from_tflite(model, path, values)
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


def test_composites(shared: Path, few_faces: Path, tmp_path: Path) -> None:
    run = tool(
        "composites", "--data", f"aligned:{shared}/datasets/utkface.zip", "--out", tmp_path / "out"
    )
    assert run.returncode == 0, run.stderr
    made = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert made == {file.name: file.read_bytes() for file in PEOPLE.iterdir()}
    run = tool("composites", "--data", f"aligned:{few_faces}", "--out", tmp_path / "few")
    assert run.returncode == 2
    assert "40 are needed for one composite" in run.stderr
    run = tool("composites", "--data", f"aligned:{few_faces}", "--number", "3")
    assert run.returncode == 2
    assert "may still resemble somebody" in run.stderr


def test_replay_and_bench_tell_about_a_clip(clips: Path) -> None:
    clip = clips / "face-demographics-walking.gif"
    run = tool("replay", clip, "--truth", clips)
    assert run.returncode == 0, run.stderr
    assert "counted   2 (1 female, 1 male, 0 unknown)" in run.stdout
    assert "error     +0.0%" in run.stdout
    run = tool("bench", clip, "--memory", "3")
    assert run.returncode == 0, run.stderr
    assert {line.split()[0] for line in run.stdout.splitlines()} >= {
        "machine", "speed", "detect", "classify", "rest", "model", "memory",
    }  # fmt: skip
    assert tool("replay", "none.mp4").returncode == 2


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--data", "faces.zip"], "must be aligned:PATH"),
        (["--data", "aligned:none.zip"], "none.zip does not exist"),
        (["--data", "aligned:README.md"], "README.csv is missing"),
        (["--data", "folders:models"], "needs the folders female and male"),
    ],
)
def test_data_that_cannot_be_used(args: list[str], expected: str) -> None:
    run = tool("evaluate", MODEL, *args)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1].startswith("evaluate: ")
    assert expected in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--start", "nonsense"], "must be imagenet, none, or a .tflite or .keras file"),
        (["--start", "README.md"], "--start README.md: does not fit"),
        (["--epochs", "0"], "--epochs must be 1 or more"),
        (["--size", "5"], "--size must be 32 or more"),
    ],
)
def test_training_that_cannot_start(
    few_faces: Path, tmp_path: Path, args: list[str], expected: str
) -> None:
    run = tool("train", "--data", f"aligned:{few_faces}", "--out", tmp_path / "x.keras", *args)
    assert run.returncode == 2
    assert expected in run.stderr.splitlines()[-1]


def test_broken_pictures_are_named_and_too_many_refused(few_faces: Path, tmp_path: Path) -> None:
    for gender in ("female", "male"):
        (tmp_path / "own" / gender).mkdir(parents=True)
    for number, file in enumerate(sorted(few_faces.glob("*"))[:60]):
        gender = "male" if file.name.split("_")[1] == "0" else "female"
        (tmp_path / "own" / gender / f"{number:03}.jpg").write_bytes(file.read_bytes())
    broken = tmp_path / "own" / "male" / "broken-7.jpg"  # its name puts it into split `train`
    broken.write_bytes(b"not a picture")
    data = f"folders:{tmp_path / 'own'}"
    run = tool("evaluate", MODEL, "--data", data, "--split", "train", "--json")
    assert run.returncode == 0, run.stderr
    assert "left out, cannot be read: broken-7.jpg" in run.stderr
    assert 0.5 < json.loads(run.stdout)["detection_rate"] <= 1
    for number in range(10):
        broken.with_name(f"broken-{number}.jpg").write_bytes(b"not a picture")
    run = tool("evaluate", MODEL, "--data", data, "--split", "train")
    assert run.returncode == 2
    assert "pictures cannot be read" in run.stderr
