"""Larger networks teach a smaller one.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import tool
from tools.datasets.archive import DataError
from tools.training import teacher


def test_wrong_labels_are_overruled_by_the_other_faces() -> None:
    from tools.training.distillation import combine_with_labels, cross_fitted_log_odds

    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 600).astype(float)
    features = rng.normal(0, 1, (600, 6)).astype(np.float32)
    features[:, 0] += 8 * truth - 4
    wrong = rng.random(600) < 0.05
    labels = np.where(wrong, 1 - truth, truth)
    log_odds = cross_fitted_log_odds(features, labels, seed=1)
    assert np.mean((log_odds > 0) == truth) > 0.98
    # calibrated
    confidence = 1 / (1 + np.exp(-np.abs(log_odds)))
    assert confidence.mean() == pytest.approx(np.mean((log_odds > 0) == labels), abs=0.05)
    male = combine_with_labels(log_odds, labels, wrong=0.3)
    assert np.mean((male > 0.5)[wrong] == truth[wrong]) > 0.9
    assert np.mean((male > 0.5)[~wrong] == truth[~wrong]) > 0.98


def test_networks_teach_another(few_faces: Path, tmp_path: Path) -> None:
    from keras import Sequential, layers

    from tools.networks.build import build
    from tools.training.distillation import feature_extractor

    ours, other, saved = (tmp_path / name for name in ("ours.keras", "other.keras", "saved"))
    build("ann48").save(ours)
    network = Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    network.save(other)
    network.export(saved, verbose=False)
    extract, input_size = feature_extractor(saved)
    assert input_size == network.input_shape[2:]
    faces = np.random.default_rng(1).random((3, *network.input_shape[1:]), np.float32)
    np.testing.assert_allclose(extract(faces), network.predict(faces, verbose=0), rtol=1e-4)

    out = tmp_path / "teacher.npz"
    run = tool("distill", ours, other, saved, "--data", few_faces, "--out", out)
    assert run.returncode == 0, run.stderr
    assert "80 faces, 512 features" in run.stdout
    with np.load(out) as arrays:
        assert arrays["features"].shape == (80, 512)
        assert arrays["male"].shape == (80,)
        assert len(set(arrays["files"])) == 80
    weights = tmp_path / "taught.keras"
    quick = ("--arch", "ann48", "--batch", "16", "--epochs", "1")
    run = tool("train", "--data", few_faces, *quick, "--teacher", out, "--out", weights)
    assert run.returncode == 0, run.stderr


def test_faces_of_two_data_sets_with_one_name(few_faces: Path, tmp_path: Path) -> None:
    files = [file.name for file in few_faces.iterdir()]
    np.savez(tmp_path / "f.npz", files=files, features=np.ones((len(files), 2)))
    args = ("--data", few_faces, "--data", few_faces, "--out", tmp_path / "teacher.npz")
    run = tool("distill", tmp_path / "f.npz", *args)
    assert run.returncode == 2
    assert "each face needs a name of its own" in run.stderr.splitlines()[-1]
    np.savez(tmp_path / "f.npz", files=[files[0]] * 2, features=np.ones((2, 2)))
    with pytest.raises(DataError, match=f"files has two faces named {files[0]}"):
        teacher.read_features(tmp_path / "f.npz")


def test_several_teachers_are_better_than_one(few_faces: Path, tmp_path: Path) -> None:
    """Each of three has the truth with noise of its own."""
    files = [file.name for file in sorted(few_faces.rglob("*.jpg"))]
    labels = np.array([float(name.split("_")[1]) for name in files])
    rng = np.random.default_rng(3)
    sources = []
    for number in range(3):
        sources.append(tmp_path / f"{number}.npz")
        blurred = rng.normal(0, 1, (len(files), 12)) - labels[:, None]
        np.savez(sources[-1], files=files, features=blurred)

    out = tmp_path / "teacher.npz"

    def right(*sources: Path) -> float:
        run = tool("distill", *sources, "--data", few_faces, "--out", out, "--force")
        assert run.returncode == 0, run.stderr
        summary = re.search(r"80 faces, (\d+) features; .* right for (.*)%", run.stdout)
        assert summary, run.stdout
        assert int(summary[1]) == 12 * len(sources)
        return float(summary[2])

    assert right(*sources) > right(sources[0])


def test_wide_features_are_reduced() -> None:
    from tools.training.distillation import MAX_FEATURES, combined

    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(900, 20))
    wide = (hidden @ rng.normal(size=(20, 700))).astype(np.float32)
    other = rng.normal(size=(900, 9)).astype(np.float32)
    short = combined([wide, other])
    assert short.shape == (900, MAX_FEATURES)
    # the similarity of any two faces stays the same
    whole = np.hstack([wide / np.sqrt(700), other / 3])
    np.testing.assert_allclose(short @ short.T, whole @ whole.T, atol=1e-3)
    assert combined([other]).shape == (900, 9)


def test_faces_that_a_teacher_lacks(few_faces: Path, tmp_path: Path) -> None:
    view = tmp_path / "view.npz"
    np.savez(view, files=["a.jpg"], features=np.ones((1, 3)))
    run = tool("distill", view, "--data", few_faces)
    assert run.returncode == 2
    assert f"{view}: has no features of 80 of 80 faces, such as" in run.stderr


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"files": ["a.jpg"], "male": np.ones(1)}, "with the arrays files and features"),
        ({"files": ["a.jpg"], "features": np.ones((2, 3))}, "one vector for each of files"),
        ({"files": ["a.jpg"], "features": np.ones(1)}, "one vector for each of files"),
        ({"files": ["a.jpg"], "features": ["x"]}, "could not convert"),
    ],
)
def test_features_that_cannot_be_read(
    arrays: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "view.npz", **arrays)
    with pytest.raises(DataError, match=expected) as caught:
        teacher.read_features(tmp_path / "view.npz")
    assert str(caught.value).startswith(f"{tmp_path / 'view.npz'}: ")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["none.keras"], "none.keras: does not exist"),
        (["README.md"], "is not a Keras model"),
        (["docs"], "docs: is not a SavedModel"),
        (["x.keras", "--out", "x.npy"], "--out: x.npy: must be a file that ends in .npz"),
        (["x.keras", "--out", "README.md/x.npz"], "--out README.md/x.npz: cannot be made"),
        (["x.keras", "--wrong", "0.5"], "--wrong 0.5: must lie between 0 and 0.5"),
    ],
)
def test_what_cannot_teach(args: list[str], expected: str, few_faces: Path) -> None:
    run = tool("distill", *args, "--data", few_faces)
    assert run.returncode == 2
    assert expected in run.stderr


def test_a_network_that_takes_no_pictures(few_faces: Path, tmp_path: Path) -> None:
    import keras

    flat = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
    flat.save(tmp_path / "flat.keras")
    flat.export(tmp_path / "flat", verbose=False)
    for source in ("flat.keras", "flat"):
        run = tool("distill", tmp_path / source, "--data", few_faces)
        assert run.returncode == 2
        assert "one square picture is needed" in run.stderr.splitlines()[-1]
