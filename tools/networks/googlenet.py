"""GoogLeNet, which Keras does not have: its InceptionV3 is another network."""

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
"""Channels of 1x1, of 3x3 and 5x5 each after its reduction, and of the pooled branch: table 1."""


def googlenet(size: int = 224) -> keras.Model:
    """Inception v1 with one sigmoid output.

    C. Szegedy et al.: Going Deeper with Convolutions, CVPR 2015. Batch normalisation takes the
    place of its response normalisation and of its two auxiliary classifiers, as in S. Ioffe,
    C. Szegedy: Batch Normalization, ICML 2015: it learns without them, and int8 folds it away.
    """
    entry = layers.Input((size, size, 3))
    x = _convolved(entry, 64, 7, "1", strides=2)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = _convolved(x, 64, 1, "2_reduce")
    x = _convolved(x, 192, 3, "2")
    for name, widths in STAGES.items():
        if name in ("3a", "4a", "5a"):
            x = layers.MaxPooling2D(3, 2, padding="same")(x)
        x = _inception(x, widths, name)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(entry, x, name="gender-googlenet")


def _inception(x: Any, widths: tuple[int, ...], name: str) -> Any:
    one, reduce_three, three, reduce_five, five, pooled = widths
    branches = [
        _convolved(x, one, 1, f"{name}_1x1"),
        _convolved(_convolved(x, reduce_three, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
        _convolved(_convolved(x, reduce_five, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
        _convolved(layers.MaxPooling2D(3, 1, padding="same")(x), pooled, 1, f"{name}_pool"),
    ]
    return layers.Concatenate(name=name)(branches)


def _convolved(x: Any, width: int, size: int, name: str, strides: int = 1) -> Any:
    x = layers.Conv2D(width, size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.99, name=f"{name}_norm")(x)
    return layers.ReLU()(x)
