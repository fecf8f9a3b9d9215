"""Layers of Caffe networks, made of operations that int8 TFLite supports."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

IMAGENET_MEAN = (103.939, 116.779, 123.68)
"""Mean B, G and R pixel of ImageNet, which `keras.applications` subtracts."""


def pixels(x: Any, mean: Sequence[float], std: float = 1.0) -> Any:
    """Convert (pixel - 127.5) / 127.5 in R G B to (pixel - mean) / std in B G R, Caffe's input.

    This is a fixed 1 x 1 convolution. Folded into the next layer instead, the mean would change
    what zero padding means there.
    """
    kernel = np.eye(3, dtype=np.float32)[::-1] * 127.5 / std
    bias = (127.5 - np.array(mean)) / std
    return fixed(x, kernel, bias, "pixels")


def fixed(x: Any, kernel: Any, bias: Any, name: str) -> Any:
    """A 1 x 1 convolution that is not trained; `kernel` is in x out channels."""
    convolution = layers.Conv2D(len(bias), 1, trainable=False, name=name)
    x = convolution(x)
    convolution.set_weights([kernel[None, None], np.asarray(bias)])
    return x


def response_norm(x: Any, name: str, *, size: int = 5, alpha: float = 1e-4, k: float = 1.0) -> Any:
    """x / (k + alpha / size * sum of x^2 over `size` neighboring channels) ^ 0.75.

    A. Krizhevsky et al.: ImageNet Classification with Deep Convolutional Neural Networks, 2012.
    TFLite has this operation only in float. Here the sum is a banded 1 x 1 convolution and the
    power is made of reciprocal square roots, s^-0.75 = r * r * r^-0.5 for r = s^-0.5: the same
    function, but each step is rounded to 8 bits when quantized.
    """
    channels = np.arange(x.shape[-1])
    is_neighbor = np.abs(np.subtract.outer(channels, channels)) <= size // 2
    band = is_neighbor.astype(np.float32) * alpha / size
    squares = layers.Multiply(name=f"{name}_squares")([x, x])
    total = fixed(squares, band, np.full(len(channels), k), f"{name}_sum")
    root = keras.ops.rsqrt(total)
    return layers.Multiply(name=name)([x, root, root, keras.ops.rsqrt(root)])
