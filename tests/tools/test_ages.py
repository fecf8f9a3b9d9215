"""Networks that estimate age, with gender or alone: from faces to the file the daemon runs.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from edge.types import AGE_GROUPS
from edge.vision.classifier import Classifier
from tests.support.commands import tool
from tools.datasets import ages

FEW = ("--calibration-faces", "40", "--test-faces", "20", "--max-drop", "100")


@pytest.mark.parametrize(
    ("years", "name"),
    [(0, "0-3"), (3, "0-3"), (4, "4-7"), (20, "14-20"), (21, "21-35"), (57, "57+"), (116, "57+")],
)
def test_each_year_has_its_group(years: int, name: str) -> None:
    assert AGE_GROUPS[ages.group(years)] == name
    assert ages.one_hot(years)[ages.group(years)] == 1


@pytest.mark.parametrize("years", range(0, 101, 4))
def test_ages_near_the_edge_of_a_group_belong_to_both(years: int) -> None:
    probabilities = ages.smoothed(years)
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities >= 0).all()
    assert probabilities[ages.group(years)] > 0.3
    # as many ages drawn from that distribution are grouped
    drawn = np.rint(np.random.default_rng(years).normal(years, 0.5 + 0.06 * years, 20_000))
    groups = [ages.group(max(0, int(year))) for year in drawn]
    assert np.allclose(probabilities, np.bincount(groups, minlength=8) / 20_000, atol=0.02)


@pytest.mark.parametrize(
    ("heads", "shapes", "name"),
    [
        (("gender", "age"), [(None, 2), (None, 8)], "gender-age-levi-hassner"),
        (("age",), [(None, 8)], "age-levi-hassner"),
    ],
)
def test_heads_of_a_network(
    heads: tuple[str, ...], shapes: list[tuple[None, int]], name: str
) -> None:
    from tools.networks.build import build

    model = build("levi-hassner", heads=heads)
    assert [output.shape for output in model.outputs] == shapes
    assert model.name == name


def test_from_faces_to_both_heads(few_faces: Path, tmp_path: Path) -> None:
    """A network with one head is trained a second one, quantized and evaluated."""
    start, weights = tmp_path / "start.keras", tmp_path / "both.keras"
    args = ("--arch", "ann48", "--batch", "16", "--epochs", "1", "--data")
    run = tool("train", *args, few_faces, "--start", "none", "--out", start)
    assert run.returncode == 0, run.stderr
    both = ("--estimate", "gender,age", "--only", "age", "--out", weights)
    run = tool("train", *args, few_faces, "--start", start, *both)
    assert run.returncode == 0, run.stderr
    report = json.loads(weights.with_suffix(".training.json").read_text())
    assert set(report["val_accuracy"]) == {"gender", "age"}

    out = tmp_path / "both.tflite"
    run = tool("quantize", weights, "--calibrate", few_faces, "--out", out, *FEW)
    assert run.returncode == 0, run.stderr
    assert "get the same gender" in run.stdout
    assert "get the same age" in run.stdout
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["name"] == "gender-age-ann48"
    assert card["ages"] == list(AGE_GROUPS)
    predictions = Classifier(out)([np.full((48, 48, 1), 90, np.uint8)])
    assert predictions.gender is not None
    assert predictions.age is not None
    assert predictions.gender.shape == (1, 2)
    assert predictions.age.shape == (1, 8)
    assert predictions.age.sum() == pytest.approx(1, abs=0.03)
    picture = [np.full((48, 48, 1), 90, np.uint8)]
    assert Classifier(out, age=False)(picture).age is None
    assert Classifier(out, gender=False)(picture).gender is None

    run = tool("evaluate", out, "--data", few_faces, "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["n"] == result["age"]["n"] == 40
    assert result["age"]["one_off"]["accuracy"] >= result["age"]["accuracy"]
    run = tool("evaluate", out, "--data", few_faces)
    assert "one off" in run.stdout

    # its gender output is unchanged
    import keras

    old, new = (keras.models.load_model(file, compile=False) for file in (start, weights))
    faces = np.random.default_rng(0).normal(0, 0.5, (4, 48, 48, 1)).astype(np.float32)
    assert np.allclose(old.predict(faces, verbose=0), new.predict(faces, verbose=0)[0], atol=1e-6)


def test_age_alone(few_faces: Path, tmp_path: Path) -> None:
    weights, out = tmp_path / "age.keras", tmp_path / "age.tflite"
    data = (
        "--data",
        few_faces,
        "--arch",
        "ann48",
        "--estimate",
        "age",
        "--batch",
        "16",
        "--mixup",
        "0.2",
    )
    run = tool("train", *data, "--epochs", "1", "--out", weights)
    assert run.returncode == 0, run.stderr
    run = tool("quantize", weights, "--calibrate", few_faces, "--out", out, *FEW)
    assert run.returncode == 0, run.stderr
    card = json.loads(out.with_suffix(".json").read_text())
    assert (card["name"], card["labels"]) == ("age-ann48", [])
    assert Classifier(out)([]).gender is None
    run = tool("evaluate", out, "--data", few_faces, "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert set(result["confusion"]) == set(AGE_GROUPS)
    assert "age" not in result


def test_a_data_set_without_ages(few_faces: Path, tmp_path: Path) -> None:
    for gender in ("female", "male"):
        (tmp_path / "own" / gender).mkdir(parents=True)
    for file in few_faces.iterdir():
        gender = "male" if file.name.split("_")[1] == "0" else "female"
        (tmp_path / "own" / gender / file.name).write_bytes(file.read_bytes())
    args = ("--data", tmp_path / "own", "--layout", "folders", "--detect", "none")
    run = tool(
        "train", *args, "--arch", "ann48", "--estimate", "age", "--out", tmp_path / "x.keras"
    )
    assert run.returncode == 2
    assert "own: has no ages to learn" in run.stderr.splitlines()[-1]


def test_the_other_head_must_be_in_the_start(few_faces: Path, tmp_path: Path) -> None:
    from tools.networks.build import build

    build("ann48", heads=["age"]).save(tmp_path / "age.keras")
    args = ("--data", few_faces, "--arch", "ann48", "--start", tmp_path / "age.keras")
    run = tool("train", *args, "--estimate", "gender,age", "--only", "age")
    assert run.returncode == 2
    assert "age.keras does not estimate gender; leave that out" in run.stderr.splitlines()[-1]


def test_mixed_faces_have_mixed_targets() -> None:
    from tools.training.batches import _mixup

    faces = np.arange(6, dtype=np.float32).reshape(6, 1)
    # targets and weights that are linear in the face must stay so
    mix = _mixup(6, 0.5, np.random.default_rng(3))
    mixed, tens, weights = mix(faces), mix(10 * faces), mix(1 + faces[:, 0])
    both = mix(np.hstack([faces, 5 - faces]))
    assert not np.allclose(mixed, faces)
    assert np.allclose(mixed.sum(), faces.sum())
    assert np.allclose(tens, 10 * mixed)
    assert np.allclose(weights, 1 + mixed[:, 0])
    assert np.allclose(both, np.hstack([mixed, 5 - mixed]))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--estimate", "mood"], "--estimate mood: must be gender, age or gender,age"),
        (["--only", "age"], "--only age: needs a .keras file to --start from, and --estimate it"),
    ],
)
def test_heads_that_cannot_be_trained(args: list[str], expected: str, few_faces: Path) -> None:
    run = tool("train", "--data", few_faces, "--start", "none", *args)
    assert run.returncode == 2
    assert expected in run.stderr
