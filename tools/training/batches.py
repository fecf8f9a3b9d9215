"""Training faces in batches, seen anew in every epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edge.types import AGE_GROUPS
from edge.vision.preprocessing import Preprocessing
from tools.datasets import ages
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.training.augmentation import augment
from tools.training.teacher import Teacher

INFANT_YEARS = 6
"""Below this age, people label gender little better than by chance, so such faces weigh less."""


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras carries no types
    """Batches of prepared faces; a training set is augmented and shuffled anew each epoch."""

    def __init__(
        self,
        samples: list[Sample],
        preprocessing: Preprocessing,
        *,
        batch: int,
        training: bool,
        seed: int,
        infant_weight: float,
        taught: Teacher,
        heads: Sequence[str] = ("gender",),
        shear: float = 0.0,
        mixup: float = 0.0,
        epoch: int = 0,
    ) -> None:
        """`taught` replaces the labels of a training set, `epoch` is the first one's number.

        There is a target for each of `heads` (of `networks.HEADS`), and one more where `taught` has
        features. `shear` is how much augmentation slants a face, degrees; `mixup` how strongly each
        training batch is mixed with itself.
        """
        super().__init__(workers=2, max_queue_size=16)
        self.samples, self.preprocessing = samples, preprocessing
        self.taught, self.heads = taught, heads
        self.batch, self.training, self.seed = batch, training, seed
        self.infant_weight, self.shear, self.mixup = infant_weight, shear, mixup
        self.epoch = epoch
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.arange(len(self.samples))
        if self.training:
            np.random.default_rng((self.seed, self.epoch)).shuffle(self.order)

    def __len__(self) -> int:
        # a training batch is always full: batch normalisation suffers from a rest of a few
        whole, rest = divmod(len(self.samples), self.batch)
        return whole if self.training else whole + (rest > 0)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        chosen = [self.samples[row] for row in rows]
        crops = np.stack([self._crop(sample, rng) for sample in chosen])
        inputs = self.preprocessing.normalize(crops)
        ends = [getattr(self, f"_{head}")(chosen) for head in self.heads]
        if self.taught.width:
            ends.append(self._hints(chosen))
        if self.training and self.mixup:
            inputs, ends = _mixed(inputs, ends, self.mixup, rng)
        if len(ends) == 1:
            return inputs, *ends[0]
        targets, weights = zip(*ends, strict=True)
        return inputs, targets, weights

    def _gender(self, samples: Sequence[Sample]) -> tuple[Any, Any]:
        """p(male) (n, 1) and how much each face weighs (n), float32."""
        labels = np.array([[self._target(sample)] for sample in samples], np.float32)
        return labels, np.array([self._weight(sample) for sample in samples], np.float32)

    def _age(self, samples: Sequence[Sample]) -> tuple[Any, Any]:
        """Shares of the age groups (n, 8) and weights (n), 0 where the age is not known."""
        shares = np.zeros((len(samples), len(AGE_GROUPS)), np.float32)
        for row, sample in zip(shares, samples, strict=True):
            if sample.age is not None:
                row[:] = ages.blurred(sample.age) if self.training else ages.exact(sample.age)
        return shares, shares.sum(axis=1)

    def _hints(self, samples: Sequence[Sample]) -> tuple[Any, Any]:
        """The teacher's features (n, width) and weights (n), 0 where it gave none."""
        nothing = np.zeros(self.taught.width)
        known = [self.taught.features.get(sample.name) for sample in samples]
        hints = np.array([nothing if v is None else v for v in known], np.float32)
        return hints, np.array([v is not None and self.training for v in known], np.float32)

    def _crop(self, sample: Sample, rng: np.random.Generator) -> Any:
        image = sample.image()
        if image is None:
            raise DataError(f"{sample.name} cannot be read any more")
        box = sample.face(image, self.preprocessing)
        if self.training:
            return augment(image, box, self.preprocessing, rng, self.shear)
        return self.preprocessing.crop(image, box)

    def _target(self, sample: Sample) -> float:
        return self.taught.male.get(sample.name, sample.label) if self.training else sample.label

    def _weight(self, sample: Sample) -> float:
        infant = sample.age is not None and sample.age < INFANT_YEARS
        return self.infant_weight if infant and self.training else 1.0

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()


def _mixed(
    inputs: Any, ends: list[tuple[Any, Any]], strength: float, rng: np.random.Generator
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Each face laid over another one of the batch, and their targets and weights likewise.

    H. Zhang et al.: mixup: Beyond Empirical Risk Minimization, ICLR 2018; `strength` is its alpha.
    """
    share = np.float32(rng.beta(strength, strength))
    other = rng.permutation(len(inputs))

    def mix(values: Any) -> Any:
        return share * values + (1 - share) * values[other]

    return mix(inputs), [(mix(targets), mix(weights)) for targets, weights in ends]
