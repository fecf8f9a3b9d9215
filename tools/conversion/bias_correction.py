"""Correct biases in advance for the mean shift that rounding weights to int8 causes.

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
MAX_INT8 = 127
"""int8 weights are symmetric: -127 to 127."""
BATCH_SIZE = 64
"""Pictures at a time: the inputs of all layers are in memory for them."""


def is_correctable(model: keras.Model) -> bool:
    """Whether the model is a plain graph of layers, without nested models."""
    nested = any(isinstance(layer, keras.Model) for layer in model.layers)
    return bool(getattr(model, "inputs", None)) and not nested


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy with each batch normalization folded into the convolution before it."""
    model = keras.Model(model.inputs, model.outputs)  # a Sequential is cloned otherwise
    norms = {convolution.name: norm for convolution, norm in _pairs(model)}
    folded = {norm.name for norm in norms.values()}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, (*CONVOLUTIONS, layers.Dense)):
            config["use_bias"] = True
        return layer.__class__.from_config(config)

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        return args[0] if layer.name in folded else layer(*args, **options)

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
    """Each convolution whose output only a batch normalization reads, with that layer."""
    readers: dict[int, list[Any]] = {}
    for layer in model.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                readers.setdefault(id(tensor), []).append(layer)
    pairs = []
    for layer in model.layers:
        if isinstance(layer, CONVOLUTIONS) and layer.activation is keras.activations.linear:
            after = readers.get(id(layer.output), [])
            if len(after) == 1 and isinstance(after[0], layers.BatchNormalization):
                pairs.append((layer, after[0]))
    return pairs


def correct(model: keras.Model, pictures: Floats) -> None:
    """Change the biases of a folded network so that int8 weights keep the mean of each channel.

    Rounding shifts a channel by the sum of its kernel's errors times the mean of its input, which
    is measured on `pictures` (float32 n x h x w x c, normalized as the network needs them). The
    shift is large if a kernel's sum is small and its input's mean is not, as in depthwise
    convolutions.
    """
    weighted = [layer for layer in model.layers if isinstance(layer, (*CONVOLUTIONS, layers.Dense))]
    probe = keras.Model(model.inputs, {layer.name: layer.input for layer in weighted})
    means: dict[str, Any] = dict.fromkeys(probe.output, 0.0)
    starts = range(0, len(pictures), BATCH_SIZE)
    for start in bar(starts, len(starts), "bias correction"):
        batch = pictures[start : start + BATCH_SIZE]
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
    """The kernel as the converter rounds it: one scale per output channel, or one for a Dense."""
    axes = (0, 1, 2) if isinstance(layer, layers.Conv2D) else (0, 1)
    scale = np.maximum(np.abs(kernel).max(axes, keepdims=True), 1e-12) / MAX_INT8
    return np.asarray(np.rint(kernel / scale) * scale, np.float32)
