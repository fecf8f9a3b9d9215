"""Quantisation-aware fine-tuning: train a network with the rounding that int8 will bring.

B. Jacob et al.: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018. Rounding is part of the forward pass and absent from the backward one.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from start import convolutions_of

LEVELS = 255
"""Steps of an int8 activation's range."""
STORED = (layers.ReLU, layers.Add, layers.GlobalAveragePooling2D)
WEIGHT_LEVELS = 127
"""int8 weights are symmetric: -127 to 127."""


def rounded_weights(kernel: Any, axes: tuple[int, ...]) -> Any:
    """`kernel` rounded to int8, with one scale for each channel: the maximum over `axes`."""
    scale = ops.maximum(ops.max(ops.abs(kernel), axis=axes, keepdims=True), 1e-12) / WEIGHT_LEVELS
    return kernel + ops.stop_gradient(ops.round(kernel / scale) * scale - kernel)


class RoundedConv2D(layers.Conv2D):  # type: ignore[misc]  # Keras carries no types
    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, rounded_weights(kernel, (0, 1, 2)))


class RoundedDepthwiseConv2D(layers.DepthwiseConv2D):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        # the layer keeps its strides and padding, only its kernel is swapped
        outputs = ops.depthwise_conv(
            inputs,
            rounded_weights(self.kernel, (0, 1, 3)),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )
        return outputs + self.bias


class RoundedDense(layers.Dense):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        logits = ops.matmul(inputs, rounded_weights(self.kernel, (0, 1))) + self.bias
        return self.activation(logits)


class Rounded(layers.Layer):  # type: ignore[misc]
    """Activations rounded to 256 steps of a fixed range that includes 0."""

    def __init__(self, low: float = 0.0, high: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = min(low, 0.0), max(high, 0.0)

    def call(self, inputs: Any) -> Any:
        scale = max(self.high - self.low, 1e-6) / LEVELS
        zero = round(-self.low / scale)
        steps = ops.clip(ops.round(inputs / scale) + zero, 0, LEVELS)
        return inputs + ops.stop_gradient((steps - zero) * scale - inputs)


def folded(model: keras.Model) -> keras.Model:
    """The same function with each batch normalisation folded into its convolution."""
    kinds = (layers.Conv2D, layers.DepthwiseConv2D)

    def clone(layer: Any) -> Any:
        if isinstance(layer, layers.BatchNormalization):
            return layers.Identity(name=layer.name)
        config = layer.get_config()
        if isinstance(layer, kinds):
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        return args[0] if isinstance(layer, layers.Identity) else layer(*args, **options)

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer, norm in convolutions_of(model):
        scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
        bias = np.asarray(norm.beta) - np.asarray(norm.moving_mean) * scale
        by_channel = scale[:, None] if isinstance(layer, layers.DepthwiseConv2D) else scale
        kernel = np.asarray(layer.weights[0]) * by_channel
        result.get_layer(layer.name).set_weights([kernel, bias])
    result.layers[-1].set_weights(model.layers[-1].get_weights())
    return result


def rounded(model: keras.Model, pictures: Any) -> keras.Model:
    """A folded network with its weights and activations rounded as int8 will round them.

    The ranges of the activations are measured on `pictures`, float32 n x h x w x c, as the
    converter measures them later. Its weights are those of `model`: training it trains `model`.
    """
    ends = [layer for layer in model.layers if _is_stored(layer)]
    probe = keras.Model(model.input, [layer.output for layer in ends])
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for begin in range(0, len(pictures), 64):
        outputs = probe.predict(pictures[begin : begin + 64], verbose=0)
        for layer, values in zip(ends, outputs, strict=True):
            low[layer.name] = min(low.get(layer.name, 0.0), float(values.min()))
            high[layer.name] = max(high.get(layer.name, 0.0), float(values.max()))

    classes: dict[str, Any] = {
        "Conv2D": RoundedConv2D,
        "DepthwiseConv2D": RoundedDepthwiseConv2D,
        "Dense": RoundedDense,
    }

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        outputs = layer(*args, **options)
        name = layer.name
        return Rounded(low[name], high[name])(outputs) if name in low else outputs

    def clone(layer: Any) -> Any:
        kind = layer.__class__
        return classes.get(kind.__name__, kind).from_config(layer.get_config())

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        result.get_layer(layer.name).set_weights(layer.get_weights())
    return result


def _is_stored(layer: Any) -> bool:
    # a convolution that ReLU6 follows is fused with it; only the outcome is stored as int8
    linear = isinstance(layer, layers.Conv2D) and layer.name.endswith("_project")
    return linear or isinstance(layer, STORED)


def take_weights(model: keras.Model, trained: keras.Model) -> None:
    """Give a folded network the weights of its rounded twin."""
    for layer in model.layers:
        layer.set_weights(trained.get_layer(layer.name).get_weights())
