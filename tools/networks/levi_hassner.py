"""The network of G. Levi and T. Hassner."""

import keras
from keras import layers
from keras.initializers import RandomNormal

from tools.networks.lrn import pixels, response_norm

MEAN = (78.4263377603, 87.7689143744, 114.895847746)
"""Mean B, G and R pixel of its training faces (Adience), as published with its weights."""


def levi_hassner() -> keras.Model:
    """Three convolutions and two dense layers of 512 on 227 x 227; two softmax outputs.

    G. Levi, T. Hassner: Age and Gender Classification using Convolutional Neural Networks, CVPR
    Workshops 2015.
    """
    inputs = layers.Input((227, 227, 3))
    x = pixels(inputs, MEAN)
    x = layers.Conv2D(96, 7, strides=4, **_relu_options())(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = response_norm(x, "norm1")
    x = layers.Conv2D(256, 5, padding="same", **_relu_options())(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = response_norm(x, "norm2")
    x = layers.Conv2D(384, 3, padding="same", **_relu_options())(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(512, **_relu_options(std=0.005))(x)
        x = layers.Dropout(0.5)(x)
    x = layers.Dense(2, activation="softmax", name="gender")(x)
    return keras.Model(inputs, x, name="gender-levi-hassner")


def _relu_options(std: float = 0.01) -> dict[str, object]:
    # small weights, because the pixels are not scaled: they range from about -115 to 177
    return {"activation": "relu", "kernel_initializer": RandomNormal(stddev=std)}
