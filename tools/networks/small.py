"""Networks for small pictures, trained from random weights."""

import keras
from keras import layers


def ann48() -> keras.Model:
    """Dense layers of 400, 300 and 200 units on 48 x 48 gray pixels; two softmax outputs."""
    inputs = layers.Input((48, 48, 1))
    x = layers.Flatten()(inputs)
    for width in (400, 300, 200):
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Dense(2, activation="softmax", name="gender")(x)
    return keras.Model(inputs, x, name="gender-ann48")


def cnn64() -> keras.Model:
    """Three blocks of convolutions with batch normalization, max pooling and dropout on 64 x 64."""
    x = inputs = layers.Input((64, 64, 3))
    for width in (32, 64, 128):
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(inputs, x, name="gender-cnn64")
