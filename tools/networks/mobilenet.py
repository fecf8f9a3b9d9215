"""The daemon's own network."""

import keras


def mobilenetv2(size: int = 112, alpha: float = 1.0, weights: str | None = None) -> keras.Model:
    """MobileNetV2 with one sigmoid output.

    M. Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
    """
    body = keras.applications.MobileNetV2(
        input_shape=(size, size, 3),
        alpha=alpha,
        include_top=False,
        weights=weights,
        pooling="avg",
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99  # Keras' 0.999 is too slow for a short training
    x = keras.layers.Dropout(0.2, name="pooled")(body.output)
    # one output: with two or three int8 ones tflite-runtime 2.14 crashes on aarch64
    x = keras.layers.Dense(1, activation="sigmoid", name="gender")(x)
    return keras.Model(body.input, x, name="gender-mobilenetv2")
