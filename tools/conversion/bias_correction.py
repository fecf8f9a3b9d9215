"""Bias correction: what rounding weights to int8 would shift on average is taken back beforehand.

M. Nagel et al.: Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from tools.cli.progress import bar

Floats = npt.NDArray[np.float32]

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
LEVELS = 127
"""int8 weights are symmetric: -127 to 127."""
BATCH = 64
"""Pictures at a time: all layers' inputs are held in memory for them."""


def possible(model: keras.Model) -> bool:
    """Whether the model is a plain graph of layers, without networks inside of it."""
    nested = any(isinstance(layer, keras.Model) for layer in model.layers)
    return bool(getattr(model, "inputs", None)) and not nested


def folded(model: keras.Model) -> keras.Model:
    """The same function with each batch normalisation folded into the convolution before it."""
    model = keras.Model(model.inputs, model.outputs)  # a Sequential is cloned otherwise
    norms = {convolution.name: norm for convolution, norm in _pairs(model)}
    gone = {norm.name for norm in norms.values()}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, (*CONVOLUTIONS, layers.Dense)):
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        return args[0] if layer.name in gone else layer(*args, **options)

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in result.layers:
        if not layer.weights:
            continue
        values = model.get_layer(layer.name).get_weights()
        if isinstance(layer, (*CONVOLUTIONS, layers.Dense)) and len(values) == 1:
            channels = np.prod(layer.bias.shape, dtype=int)
            values.append(np.zeros(channels, np.float32))
        if layer.name in norms:
            values = _fold(layer, values, norms[layer.name])
        layer.set_weights(values)
    return result


def _fold(layer: Any, values: list[Floats], norm: Any) -> list[Floats]:
    kernel, bias = values
    gamma = np.asarray(norm.gamma) if norm.scale else 1.0
    beta = np.asarray(norm.beta) if norm.center else 0.0
    scale = gamma / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    by_channel = scale[:, None] if isinstance(layer, layers.DepthwiseConv2D) else scale
    return [kernel * by_channel, (bias - np.asarray(norm.moving_mean)) * scale + beta]


def _pairs(model: keras.Model) -> list[tuple[Any, Any]]:
    """Each convolution that nothing but a batch normalisation reads, with that."""
    readers: dict[int, list[Any]] = {}
    for layer in model.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                readers.setdefault(id(tensor), []).append(layer)
    found = []
    for layer in model.layers:
        if isinstance(layer, CONVOLUTIONS) and layer.activation is keras.activations.linear:
            after = readers.get(id(layer.output), [])
            if len(after) == 1 and isinstance(after[0], layers.BatchNormalization):
                found.append((layer, after[0]))
    return found


def correct(model: keras.Model, pictures: Floats) -> None:
    """Change the biases of a folded network so that int8 weights keep the mean of each channel.

    Rounding shifts a channel by the sum of its kernel's errors times the mean of its input, which
    is measured on `pictures`, n x h x w x c as the network takes them. The shift is large where a
    kernel's sum is small and its input's mean is not, as in depthwise convolutions.
    """
    weighted = [layer for layer in model.layers if isinstance(layer, (*CONVOLUTIONS, layers.Dense))]
    probe = keras.Model(model.inputs, {layer.name: layer.input for layer in weighted})
    means: dict[str, Any] = dict.fromkeys(probe.output, 0.0)
    begins = range(0, len(pictures), BATCH)
    for begin in bar(begins, len(begins), "bias correction"):
        batch = pictures[begin : begin + BATCH]
        for name, values in probe.predict_on_batch(batch).items():
            mean = values.mean(tuple(range(values.ndim - 1)))
            means[name] = means[name] + mean * len(batch) / len(pictures)
    for layer in weighted:
        mean = means[layer.name]
        kernel, bias = layer.get_weights()
        error = rounded(kernel, layer) - kernel
        if isinstance(layer, layers.DepthwiseConv2D):
            shift = (error.sum((0, 1)) * mean[:, None]).ravel()
        else:
            shift = mean @ error.reshape(-1, *error.shape[-2:]).sum(0)
        layer.set_weights([kernel, bias - shift])


def rounded(kernel: Floats, layer: Any) -> Floats:
    """A kernel as the converter rounds it: one scale for each output channel, one for a Dense."""
    axes = (0, 1, 2) if isinstance(layer, layers.Conv2D) else (0, 1)
    scale = np.maximum(np.abs(kernel).max(axes, keepdims=True), 1e-12) / LEVELS
    return np.asarray(np.rint(kernel / scale) * scale, np.float32)
