"""A larger network's view of the training faces.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

from pathlib import Path

import numpy as np
import pytest
from conftest import tool


def test_wrong_labels_are_overruled_by_what_the_others_teach() -> None:
    from teach import joined, log_odds

    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 600).astype(float)
    features = rng.normal(0, 1, (600, 6)).astype(np.float32)
    features[:, 0] += 8 * truth - 4
    wrong = rng.random(600) < 0.05
    labels = np.where(wrong, 1 - truth, truth)
    said = log_odds(features, labels, seed=1)
    assert np.mean((said > 0) == truth) > 0.98
    # as sure as it is right
    confidence = 1 / (1 + np.exp(-np.abs(said)))
    assert confidence.mean() == pytest.approx(np.mean((said > 0) == labels), abs=0.05)
    male = joined(said, labels, wrong=0.3)
    assert np.mean((male > 0.5)[wrong] == truth[wrong]) > 0.9
    assert np.mean((male > 0.5)[~wrong] == truth[~wrong]) > 0.98


@pytest.mark.parametrize("saved", [False, True])
def test_a_network_teaches_another(
    small_model: Path, few_faces: Path, tmp_path: Path, *, saved: bool
) -> None:
    import keras

    source, width = small_model, 1280
    if saved:
        source, width = tmp_path / "saved", 1
        keras.models.load_model(small_model, compile=False).export(source, verbose=False)
    out = tmp_path / "teacher.npz"
    run = tool("teach", source, "--data", few_faces, "--out", out)
    assert run.returncode == 0, run.stderr
    assert f"80 faces, {width} features" in run.stdout
    with np.load(out) as arrays:
        assert arrays["features"].shape == (80, width)
        assert arrays["male"].shape == (80,)
        assert len(set(arrays["files"])) == 80
    weights = tmp_path / "taught.keras"
    quick = ("--start", "none", "--size", "32", "--alpha", "0.35", "--batch", "16", "--epochs", "1")
    run = tool("train", "--data", few_faces, *quick, "--teacher", out, "--out", weights)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["none.keras"], "none.keras: does not exist"),
        (["README.md"], "is not a Keras model"),
        (["docs"], "docs: is not a SavedModel"),
        (["x.keras", "--out", "x.npy"], "--out x.npy: must end in .npz"),
        (["x.keras", "--out", "README.md/x.npz"], "--out README.md/x.npz: cannot be made"),
        (["x.keras", "--wrong", "0.5"], "--wrong 0.5: must lie between 0 and 0.5"),
    ],
)
def test_what_cannot_teach(args: list[str], expected: str, few_faces: Path) -> None:
    run = tool("teach", *args, "--data", few_faces)
    assert run.returncode == 2
    assert expected in run.stderr


def test_a_network_that_takes_no_pictures(few_faces: Path, tmp_path: Path) -> None:
    import keras

    flat = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
    flat.save(tmp_path / "flat.keras")
    flat.export(tmp_path / "flat", verbose=False)
    for source in ("flat.keras", "flat"):
        run = tool("teach", tmp_path / source, "--data", few_faces)
        assert run.returncode == 2
        assert "one square picture is needed" in run.stderr.splitlines()[-1]
