"""Recalibrate batch normalization after training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

RECALIBRATION_BATCHES = 50


def recalibrate_batch_norm(model: keras.Model, batches: Sequence[Any]) -> None:
    """Measure the means and variances of batch normalization again.

    Training measured them for changing weights; the averaged weights need their own. At most
    `RECALIBRATION_BATCHES` are used, of which each is (faces, ...).
    P. Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # each batch then leaves its own statistics
    number = min(len(batches), RECALIBRATION_BATCHES)
    sums: list[Any] = [[0.0, 0.0] for _ in norms]
    for index in range(number):
        model(batches[index][0], training=True)
        for total, norm in zip(sums, norms, strict=True):
            total[0] += np.asarray(norm.moving_mean) / number
            total[1] += np.asarray(norm.moving_variance) / number
    for norm, (mean, variance), momentum in zip(norms, sums, momenta, strict=True):
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)
        norm.momentum = momentum
