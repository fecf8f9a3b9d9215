"""GoogLeNet (Inception v1); Keras has only InceptionV3, another network."""

from typing import Any

import keras
from keras import layers

STAGES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5 and pool projection: table 1."""


def googlenet(size: int = 224) -> keras.Model:
    """Inception v1 with one sigmoid output.

    C. Szegedy et al.: Going Deeper with Convolutions, CVPR 2015. Batch normalization
    replaces its response normalization and its two auxiliary classifiers (S. Ioffe, C. Szegedy:
    Batch Normalization, ICML 2015): it trains without them, and int8 folds it away.
    """
    inputs = layers.Input((size, size, 3))
    x = _conv(inputs, 64, 7, "1", strides=2)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = _conv(x, 64, 1, "2_reduce")
    x = _conv(x, 192, 3, "2")
    for name, widths in STAGES.items():
        if name in ("3a", "4a", "5a"):
            x = layers.MaxPooling2D(3, 2, padding="same")(x)
        x = _inception(x, widths, name)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(inputs, x, name="gender-googlenet")


def _inception(x: Any, widths: tuple[int, ...], name: str) -> Any:
    width_1x1, reduce_3x3, width_3x3, reduce_5x5, width_5x5, pool = widths
    branches = [
        _conv(x, width_1x1, 1, f"{name}_1x1"),
        _conv(_conv(x, reduce_3x3, 1, f"{name}_3x3_reduce"), width_3x3, 3, f"{name}_3x3"),
        _conv(_conv(x, reduce_5x5, 1, f"{name}_5x5_reduce"), width_5x5, 5, f"{name}_5x5"),
        _conv(layers.MaxPooling2D(3, 1, padding="same")(x), pool, 1, f"{name}_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def _conv(x: Any, width: int, size: int, name: str, strides: int = 1) -> Any:
    x = layers.Conv2D(width, size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.99, name=f"{name}_norm")(x)
    return layers.ReLU()(x)
