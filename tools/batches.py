"""Training faces in batches, seen anew in every epoch."""

from typing import Any

import keras
import numpy as np
from augment import augment
from facedata import Sample
from layouts import DataError
from teacher import Teacher

from edge.classify import Preprocessing

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
        shear: float = 0.0,
        epoch: int = 0,
    ) -> None:
        """`taught` replaces the labels of a training set, `epoch` is the first one's number.

        `shear` is how much augmentation slants a face, degrees.
        """
        super().__init__(workers=2, max_queue_size=16)
        self.samples, self.preprocessing = samples, preprocessing
        self.taught = taught
        self.batch, self.training, self.seed = batch, training, seed
        self.infant_weight, self.shear = infant_weight, shear
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
        labels = np.array([[self._target(sample)] for sample in chosen], np.float32)
        weights = np.array([self._weight(sample) for sample in chosen], np.float32)
        inputs = self.preprocessing.normalise(crops)
        if not self.taught.width:
            return inputs, labels, weights
        nothing = np.zeros(self.taught.width)
        known = [self.taught.features.get(sample.name) for sample in chosen]
        hints = np.array([nothing if v is None else v for v in known], np.float32)
        hinted = np.array([v is not None and self.training for v in known], np.float32)
        return inputs, (labels, hints), (weights, hinted)

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
