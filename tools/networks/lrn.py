"""Layers of the Caffe age, written in operations that int8 TFLite has."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Of the B, G and R pixels of ImageNet, as `keras.applications` subtracts it."""


def pixels(entry: Any, mean: Sequence[float], std: float = 1.0) -> Any:
    """(pixel - 127.5) / 127.5 in R G B to (pixel - mean) / std in B G R, as Caffe networks take it.

    A fixed 1 x 1 convolution: it keeps zero padding what it was, a mean folded into the layer after
    it would not.
    """
    kernel = np.eye(3, dtype=np.float32)[::-1] * 127.5 / std
    bias = (127.5 - np.array(mean)) / std
    return fixed(entry, kernel, bias, "pixels")


def fixed(x: Any, kernel: Any, bias: Any, name: str) -> Any:
    """A 1 x 1 convolution, `kernel` being in x out, that no training changes."""
    convolution = layers.Conv2D(len(bias), 1, trainable=False, name=name)
    x = convolution(x)
    convolution.set_weights([kernel[None, None], np.asarray(bias)])
    return x


def response_norm(x: Any, name: str, *, size: int = 5, alpha: float = 1e-4, k: float = 1.0) -> Any:
    """x / (k + alpha / size * sum of x^2 over `size` neighbouring channels) ^ 0.75.

    A. Krizhevsky et al.: ImageNet Classification with Deep Convolutional Neural Networks, 2012. As
    one operation it exists in float only. The sum is a banded 1 x 1 convolution and the power is
    made of reciprocal square roots, r^1.5 = r * r * r^-0.5 for r = s^-0.5: the same function, with
    each step rounded to 8 bits where it is quantised.
    """
    channels = np.arange(x.shape[-1])
    near = np.abs(np.subtract.outer(channels, channels)) <= size // 2
    band = near.astype(np.float32) * alpha / size
    squares = layers.Multiply(name=f"{name}_squares")([x, x])
    total = fixed(squares, band, np.full(len(channels), k), f"{name}_sum")
    root = keras.ops.rsqrt(total)
    return layers.Multiply(name=name)([x, root, root, keras.ops.rsqrt(root)])
