"""Networks that are asked about each face as the student sees it.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.types import AGE_GROUPS
from edge.vision.preprocessing import Preprocessing
from tests.support.commands import tool
from tools.datasets import dataset
from tools.datasets.ages import smoothed as ages_of
from tools.datasets.archive import DataError
from tools.training.teacher import Teacher


def save(file: Path, *, gain: float, channels: int = 3, softmax: bool = False) -> Path:
    """A network whose log-odds of male are `gain` times the mean input, and of the last age too."""
    import keras

    inputs = keras.Input((24, 24, channels))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = []
    for head, width in (("gender", 2 if softmax else 1), ("age", len(AGE_GROUPS))):
        activation = "sigmoid" if width == 1 else "softmax"
        layer = keras.layers.Dense(width, activation=activation, name=head)
        outputs.append(layer(mean))
        kernel = np.zeros((channels, width))
        kernel[:, -1] = gain / channels
        layer.set_weights([kernel, np.zeros(width)])
    keras.Model(inputs, outputs).save(file)
    return file


def sigmoid(log_odds: Any) -> Any:
    return 1 / (1 + np.exp(-log_odds))


def test_several_are_asked_together(tmp_path: Path) -> None:
    from tools.training.view_teacher import ViewTeacher

    views = np.stack([np.full((32, 32, 3), level, np.float32) for level in (0, 127.5, 255)])
    files = [save(tmp_path / "a.keras", gain=1), save(tmp_path / "b.keras", gain=3, softmax=True)]
    answers = ViewTeacher(files, ["gender", "age"], 3)(views)
    # inputs of -1, 0 and 1; the mean of the log-odds is 2 times as much
    np.testing.assert_allclose(answers["gender"][:, 0], sigmoid(np.array([-2, 0, 2])), rtol=1e-5)
    odds = answers["age"][:, -1] / answers["age"][:, 0]
    np.testing.assert_allclose(odds, np.exp([-2, 0, 2]), rtol=1e-4)
    np.testing.assert_allclose(answers["age"].sum(axis=1), 1)


def test_the_answers_are_blended_with_the_labels(few_faces: Path, tmp_path: Path) -> None:
    from tools.training.batches import Batches
    from tools.training.view_teacher import ViewTeacher

    some = dataset.load(few_faces).samples[:8]
    faces = [
        dataclasses.replace(face, age=30 if n % 2 else None, label=n // 4)
        for n, face in enumerate(some)
    ]
    views: list[Any] = []

    class Spy(ViewTeacher):
        def __call__(self, seen: Any) -> Any:
            views.append(seen)
            return super().__call__(seen)

    spy = Spy([save(tmp_path / "a.keras", gain=2)], ["gender", "age"], 3)

    def batch(training: bool, **options: Any) -> Any:
        settings: dict[str, Any] = {"batch_size": 8, "seed": 5, "infant_weight": 1.0} | options
        return Batches(
            faces, Preprocessing(size=32), training=training, teacher=Teacher({}, {}),
            view_teacher=spy, heads=("gender", "age"), **settings,
        )  # fmt: skip

    for mixup in (0.0, 0.4):
        training = batch(True, mixup=mixup)
        inputs, (male, ages), (_, age_weights) = training[0]
        view = views.pop()
        # it sees the same view, but not the noise, blur and light of a poor camera
        pixels = inputs * 127.5 + 127.5
        distance = np.abs(view - pixels).mean(axis=(1, 2, 3))
        assert distance.min() < 6 < distance.max()
        answers = spy(view)
        views.clear()
        labels = np.array([faces[row].label for row in training.order])[:, None]
        known = np.array([[faces[row].age is not None] for row in training.order])
        if not mixup:
            np.testing.assert_allclose(male, 0.25 * labels + 0.75 * answers["gender"], rtol=1e-5)
            # where no age is known, the teacher's counts whole
            own = known * ages_of(30)
            np.testing.assert_allclose(
                ages, 0.5 * own + (1 - 0.5 * known) * answers["age"], rtol=1e-5
            )
        assert np.all(np.abs(male - 0.75 * answers["gender"]) < 0.2501)
        np.testing.assert_allclose(ages.sum(axis=1), 1, rtol=1e-5)
        assert age_weights.tolist() == [1.0] * 8
    _, (male, _), (_, age_weights) = batch(False)[0]
    assert set(male[:, 0].tolist()) == {0.0, 1.0}
    assert not views
    assert age_weights.tolist() == [0.0, 1.0] * 4


def test_a_network_is_trained_by_another(few_faces: Path, tmp_path: Path) -> None:
    teacher = save(tmp_path / "teacher.keras", gain=1)
    args = ("--data", few_faces, "--arch", "cnn64", "--batch", "16", "--epochs", "1")
    run = tool("train", *args, "--view-teacher", teacher, "--out", tmp_path / "taught.keras")
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "taught.training.json").read_text())
    assert report["settings"]["view_teacher"] == ["teacher.keras"]


def test_unsuitable_ones_are_named(tmp_path: Path) -> None:
    import keras

    from tools.training.view_teacher import ViewTeacher

    grey = save(tmp_path / "grey.keras", gain=1, channels=1)
    with pytest.raises(DataError, match=r"--view-teacher .*grey\.keras: sees grey faces"):
        ViewTeacher([grey], ["gender"], 3)
    inputs = keras.Input((8, 8, 3))
    other = keras.layers.Dense(5, name="gender")(keras.layers.Flatten()(inputs))
    keras.Model(inputs, other).save(tmp_path / "other.keras")
    for heads in (["gender"], ["age"]):
        with pytest.raises(
            DataError, match=rf"--view-teacher .*other\.keras: does not estimate {heads[0]}"
        ):
            ViewTeacher([tmp_path / "other.keras"], heads, 3)
    with pytest.raises(DataError, match=r"none\.keras: does not exist"):
        ViewTeacher([tmp_path / "none.keras"], ["gender"], 3)
    any_size = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(any_size)
    network = keras.Model(any_size, keras.layers.Dense(1, name="gender")(pooled))
    network.save(tmp_path / "any.keras")
    with pytest.raises(DataError, match=r"--view-teacher .*any\.keras: takes pictures of any size"):
        ViewTeacher([tmp_path / "any.keras"], ["gender"], 3)
