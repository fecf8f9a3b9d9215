"""The network that is trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from layouts import DataError

from edge.classify import Preprocessing

SETTLING_BATCHES = 50


def build(preprocessing: Preprocessing, alpha: float, start: str) -> keras.Model:
    """MobileNetV2 with one sigmoid output: the probability of `LABELS[1]`.

    M. Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018. Raises
    DataError where the weights of `imagenet` cannot be had.
    """
    try:
        body = keras.applications.MobileNetV2(
            input_shape=(preprocessing.size, preprocessing.size, preprocessing.channels),
            alpha=alpha,
            include_top=False,
            weights="imagenet" if start == "imagenet" else None,
            pooling="avg",
        )
    except Exception as error:  # Keras raises just this where a download fails
        if start != "imagenet":
            raise
        reason = str(error).splitlines()[0]
        raise DataError(
            f"--start imagenet: the weights cannot be had ({reason}); give a .tflite or "
            ".keras file, or none"
        ) from error
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99  # Keras' 0.999 remembers for longer than a short training lasts
    x = keras.layers.Dropout(0.2, name="pooled")(body.output)
    # one output: tflite-runtime 2.14 crashes on aarch64 with two or three int8 ones
    x = keras.layers.Dense(1, activation="sigmoid", name="male")(x)
    return keras.Model(body.input, x, name="gender-mobilenetv2")


def settle(model: keras.Model, batches: Sequence[Any]) -> None:
    """Measure the means and variances of batch normalisation anew.

    Training measured them for weights that moved; the averaged weights need their own.
    P. Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # so that each batch leaves its own statistics
    number = min(len(batches), SETTLING_BATCHES)
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
