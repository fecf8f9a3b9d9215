"""Labelled faces in batches, augmented differently in each epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from edge.sources.pictures import PictureError
from edge.types import AGE_GROUPS
from edge.vision.preprocessing import Preprocessing
from tools.datasets import ages
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.training.augmentation import degraded, random_view
from tools.training.balance import balanced_weights
from tools.training.teacher import Teacher
from tools.training.view_teacher import LABEL_SHARE, ViewTeacher

INFANT_YEARS = 6
"""Below this age gender labels are little better than chance, so these faces weigh less."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras carries no types
    """Batches of prepared faces; a training set is augmented and shuffled in each epoch."""

    def __init__(
        self,
        samples: list[Sample],
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        training: bool,
        seed: int,
        infant_weight: float,
        teacher: Teacher,
        view_teacher: ViewTeacher | None = None,
        heads: Sequence[str] = ("gender",),
        shear: float = 0.0,
        mixup: float = 0.0,
        balance: bool = False,
        epoch: int = 0,
    ) -> None:
        """`teacher` replaces the labels of a training set; `epoch` is the number of the first one.

        `view_teacher` is asked about each training face as augmented and mixed, but before it is
        degraded, and its answers are blended with the targets.

        There is one target for each of `heads` (see `networks.names`), and one more if the teacher
        has features. `shear` is the standard deviation of the augmentation's slant, degrees;
        `mixup` is the strength with which the faces of a training batch are mixed; with `balance`
        the women and the men of a training set weigh the same, see `balanced_weights`.
        """
        super().__init__(workers=2, max_queue_size=16)
        self.samples, self.preprocessing = samples, preprocessing
        self.teacher, self.heads = teacher, heads
        self.view_teacher = view_teacher if training else None
        self.batch_size, self.training, self.seed = batch_size, training, seed
        self.shear, self.mixup = shear, mixup
        self.epoch = epoch
        self.weights = np.ones(len(samples), np.float32)
        if training:
            infants = [s.age is not None and s.age < INFANT_YEARS for s in samples]
            self.weights[np.array(infants, bool)] = infant_weight
            if balance:
                self.weights *= np.array(balanced_weights(samples), np.float32)
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.arange(len(self.samples))
        if self.training:
            np.random.default_rng((self.seed, self.epoch)).shuffle(self.order)

    def __len__(self) -> int:
        # only full batches in training: batch normalization suffers from a small one
        full, rest = divmod(len(self.samples), self.batch_size)
        return full if self.training else full + (rest > 0)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        samples = [self.samples[row] for row in rows]
        views, crops = zip(*(self._view_and_crop(sample, rng) for sample in samples), strict=True)
        inputs = self.preprocessing.normalize(np.stack(crops))
        outputs = [getattr(self, f"_{head}")(rows) for head in self.heads]
        if self.teacher.width:
            outputs.append(self._hints(rows))
        mix = _mixup(len(rows), self.mixup if self.training else 0.0, rng)
        inputs = mix(inputs)
        outputs = [(mix(targets), mix(weights)) for targets, weights in outputs]
        if self.view_teacher:
            answers = self.view_teacher(mix(np.stack(views).astype(np.float32)))
            for place, head in enumerate(self.heads):
                targets, weights = outputs[place]
                outputs[place] = _blended(head, targets, weights, answers[head])
        if len(outputs) == 1:
            return inputs, *outputs[0]
        targets, weights = zip(*outputs, strict=True)
        return inputs, targets, weights

    def _gender(self, rows: Any) -> tuple[Any, Any]:
        """p(male) (n, 1) and the weight of each face (n), float32."""
        labels = np.array([[self._target(self.samples[row])] for row in rows], np.float32)
        return labels, self.weights[rows]

    def _age(self, rows: Any) -> tuple[Any, Any]:
        """Distribution over the age groups (n, 8) and weights (n), 0 for an unknown age."""
        samples = [self.samples[row] for row in rows]
        targets = np.zeros((len(samples), len(AGE_GROUPS)), np.float32)
        for row, sample in zip(targets, samples, strict=True):
            if sample.age is not None:
                row[:] = ages.smoothed(sample.age) if self.training else ages.one_hot(sample.age)
        return targets, targets.sum(axis=1)

    def _hints(self, rows: Any) -> tuple[Any, Any]:
        """The teacher's features (n, width) and weights (n), 0 for a face that it does not have."""
        zeros = np.zeros(self.teacher.width)
        features = [self.teacher.features.get(self.samples[row].name) for row in rows]
        hints = np.array([zeros if v is None else v for v in features], np.float32)
        return hints, np.array([v is not None and self.training for v in features], np.float32)

    def _view_and_crop(self, sample: Sample, rng: np.random.Generator) -> tuple[Any, Any]:
        """The face as a teacher sees it and as the network sees it."""
        try:
            image = sample.image()
        except PictureError as error:
            raise DataError(f"{sample.name} {error}") from error
        box = sample.face(image, self.preprocessing)
        if self.training:
            view = random_view(image, box, self.preprocessing, rng, self.shear)
            return view, degraded(view, rng)
        crop = self.preprocessing.crop(image, box)
        return crop, crop

    def _target(self, sample: Sample) -> float:
        return self.teacher.male.get(sample.name, sample.label) if self.training else sample.label

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()


def _mixup(faces: int, strength: float, rng: np.random.Generator) -> Callable[[Any], Any]:
    """What blends each row of an array with another one; with a strength of 0 nothing.

    H. Zhang et al.: mixup: Beyond Empirical Risk Minimization, ICLR 2018; `strength` is its alpha.
    """
    if not strength:
        return lambda values: values
    weight = np.float32(rng.beta(strength, strength))
    other = rng.permutation(faces)
    return lambda values: weight * values + (1 - weight) * values[other]


def _blended(head: str, targets: Any, weights: Any, answers: Any) -> tuple[Any, Any]:
    """Targets and weights of a head with a teacher's answers, which also count without a label."""
    share = LABEL_SHARE[head]
    if head == "gender":
        return (share * targets + (1 - share) * answers).astype(np.float32), weights
    # a weight of 0 is an unknown age, whose target is 0 too
    blended = share * targets + (1 - share * weights[:, None]) * answers
    return blended.astype(np.float32), np.ones_like(weights)
