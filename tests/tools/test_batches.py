"""The faces and targets that a network is trained on, and those that it is validated on.

Keras is imported by the tests that need it: tflite-runtime fails in a process that has TensorFlow.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.vision.preprocessing import Preprocessing
from tools.datasets import dataset
from tools.datasets.dataset import Sample
from tools.training.balance import balanced_weights
from tools.training.teacher import Teacher

SIZE = Preprocessing(size=32)
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def faces(few_faces: Path) -> list[Sample]:
    """Ten of them: the first four are infants, of the last one the age is not known."""
    some = dataset.load(few_faces).samples[:10]
    ages = [0, 2, 4, 5, 6, 20, 30, 40, 50, None]
    return [dataclasses.replace(face, age=age) for face, age in zip(some, ages, strict=True)]


@pytest.fixture
def make(faces: list[Sample]) -> Make:
    from tools.training.batches import Batches

    def batches(training: bool, **options: Any) -> Any:
        settings: dict[str, Any] = {
            "batch_size": 4, "seed": 1, "infant_weight": 0.3, "teacher": Teacher({}, {}),
        }  # fmt: skip
        return Batches(faces, SIZE, training=training, **settings | options)

    return batches


def test_training_batches_are_full_and_validation_has_all_faces(make: Make) -> None:
    assert [len(make(True)[n][0]) for n in range(len(make(True)))] == [4, 4]
    assert [len(make(False)[n][0]) for n in range(len(make(False)))] == [4, 4, 2]


def test_faces_differ_in_each_epoch_but_not_with_the_same_seed(make: Make) -> None:
    first, again, resumed = make(True), make(True), make(True, epoch=1)
    assert np.array_equal(first[0][0], again[0][0])
    assert sorted(first.order) == list(range(10)) != list(first.order)
    before = list(first.order)
    first.on_epoch_end()
    assert list(first.order) != before
    assert np.array_equal(first[0][0], resumed[0][0])
    assert not np.array_equal(first[0][0], make(True, seed=2, epoch=1)[0][0])


def test_validation_faces_are_not_augmented(make: Make, faces: list[Sample]) -> None:
    batches = make(False)
    batches.on_epoch_end()
    crops = np.stack(dataset.crops_of(faces[:4], SIZE))
    assert np.array_equal(batches[0][0], SIZE.normalize(crops))


def test_infants_weigh_less_only_in_training(make: Make) -> None:
    whole = make(True, batch_size=10)
    (_, _, weights) = whole[0]
    by_face = dict(zip(whole.order, weights.tolist(), strict=True))
    assert [by_face[n] for n in range(10)] == pytest.approx([0.3] * 4 + [1.0] * 6)
    assert make(False, batch_size=10)[0][2].tolist() == [1.0] * 10


def test_women_and_men_weigh_the_same_in_each_age_if_asked(make: Make, faces: list[Sample]) -> None:
    # under 12: two women, three men; 20 to 39: no women; 40 to 59: no men; unknown: one man
    labels = [0, 1, 1, 1, 0, 1, 1, 0, 0, 1]
    some = [dataclasses.replace(f, label=label) for f, label in zip(faces, labels, strict=True)]
    expected = [5 / 4, 5 / 6, 5 / 6, 5 / 6, 5 / 4, 1, 1, 1, 1, 1]
    assert balanced_weights(some) == pytest.approx(expected)
    whole = make(True, batch_size=10, infant_weight=1.0, balance=True)
    (_, _, weights) = whole[0]
    assert weights.tolist() == pytest.approx(np.array(balanced_weights(faces))[whole.order])
    assert make(False, batch_size=10, balance=True)[0][2].tolist() == [1.0] * 10


def test_a_few_faces_are_not_weighted_up_without_limit(faces: list[Sample]) -> None:
    women = [dataclasses.replace(faces[0], age=30, label=0)] * 20
    assert balanced_weights([*women, dataclasses.replace(faces[0], age=30, label=1)]) == (
        pytest.approx([21 / 40] * 20 + [4.0])
    )


def test_a_teacher_is_used_only_in_training(make: Make, faces: list[Sample]) -> None:
    features = {faces[0].name: np.ones(3, np.float32)}
    teacher = Teacher({faces[0].name: 0.25}, features)
    labels = [face.label for face in faces]
    whole = make(True, batch_size=10, teacher=teacher)
    (_, (male, hints), (_, known)) = whole[0]
    place = list(whole.order).index(0)
    assert male[place, 0] == 0.25
    others = np.delete(male[:, 0], place).tolist()
    assert others == [labels[n] for n in whole.order if n != 0]
    assert (hints[place].tolist(), known.sum(), known[place]) == ([1, 1, 1], 1, 1)
    (_, (male, _), (_, known)) = make(False, batch_size=10, teacher=teacher)[0]
    assert male[:, 0].tolist() == labels
    assert known.sum() == 0


def test_unknown_ages_have_no_weight(make: Make) -> None:
    (_, targets, weights) = make(False, batch_size=10, heads=("age",))[0]
    assert weights.tolist() == [1.0] * 9 + [0.0]
    assert targets.argmax(axis=1)[:9].tolist() == [0, 0, 1, 1, 1, 3, 4, 5, 6]
    assert set(np.unique(targets)) == {0.0, 1.0}
    whole = make(True, batch_size=10, heads=("age",))
    assert set(np.unique(whole[0][1])) > {0.0, 1.0}  # near the edge of a group
