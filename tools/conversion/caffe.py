"""Caffe's networks, rebuilt in Keras from what OpenCV reads of their weights."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers

from tools.datasets.archive import DataError
from tools.networks.lrn import pixels, response_norm

Message = dict[str, list[Any]]
"""A protobuf message in text form: each field's values in order, strings, numbers or messages."""

TOKEN = re.compile(r'#[^\n]*|"[^"]*"|\'[^\']*\'|[{}]|[^\s{}:;,"\'#]+')


def read(prototxt: Path, weights: Path, mean: Sequence[float], std: float) -> keras.Model:
    """The network as a Keras model that takes R G B values of (pixel - 127.5) / 127.5.

    Within it they become the (pixel - mean) / std in B G R that it was trained on. Layers must
    follow one another in a chain. Raises DataError.
    """
    try:
        net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
        text = prototxt.read_text(encoding="utf-8")
    except (cv2.error, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{weights}: OpenCV cannot read it with {prototxt} ({reason})") from error
    try:
        return _rebuilt(net, _message(iter(TOKEN.findall(text))), mean, std)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{prototxt}: {error!s:.200}") from error


def _rebuilt(net: Any, description: Message, mean: Sequence[float], std: float) -> keras.Model:
    size = _side(description)
    entry = layers.Input((size, size, 3))
    x, before = pixels(entry, mean, std), None
    weighted = []
    for layer in description.get("layer", []) + description.get("layers", []):
        name, kind = layer["name"][0], layer["type"][0]
        if before is not None and layer["bottom"] != [before]:
            raise ValueError(f"layer {name} does not read the one before it, {before}")
        before = layer["top"][0]
        build = LAYERS.get(kind.replace("_", "").lower())
        if build is None:
            raise ValueError(f"layer {name} is of type {kind}, which is not known here")
        x = build(x, layer, name)
        if build in (_convolution, _inner_product):
            weighted.append(name)
    model = keras.Model(entry, x, name="gender-caffe")
    for name in weighted:
        blobs = [np.array(blob) for blob in net.getLayer(net.getLayerId(name)).blobs]
        if not blobs:
            raise ValueError(f"layer {name} has no weights in the .caffemodel")
        _set_weights(model.get_layer(name), *blobs)
    return model


def _set_weights(layer: Any, kernel: Any, bias: Any = 0.0) -> None:
    """Caffe's kernels are out x in x height x width, or out x in."""
    if isinstance(layer, layers.Dense):
        kernel = kernel.reshape(layer.units, -1).T
    else:
        kernel = kernel.transpose(2, 3, 1, 0)
    layer.set_weights([kernel, np.broadcast_to(np.ravel(bias), kernel.shape[-1:])])


def _message(tokens: Iterator[str]) -> Message:
    """What stands up to the brace that closes it, or the end."""
    fields: Message = {}
    words = (token for token in tokens if not token.startswith("#"))
    for name in words:
        if name == "}":
            break
        value = next(words, "")
        found: Any = _message(tokens) if value == "{" else value.strip("\"'")
        fields.setdefault(name, []).append(found)
    return fields


def _side(description: Message) -> int:
    """Side of the square input, pixels."""
    inputs = [
        layer["input_param"][0]["shape"][0]["dim"]
        for layer in description.get("layer", [])
        if layer["type"] == ["Input"]
    ]
    inputs += [shape["dim"] for shape in description.get("input_shape", [])]
    dims = inputs[0] if inputs else description.get("input_dim", [])
    if len(dims) != 4 or dims[1] != "3" or dims[2] != dims[3]:
        raise ValueError(f"takes {dims}; one square picture is needed, [1, 3, n, n]")
    return int(dims[2])


def _of(layer: Message, param: str, field: str, default: float) -> float:
    values = layer.get(param, [{}])[0].get(field, [default])
    return float(values[0])


def _convolution(x: Any, layer: Message, name: str) -> Any:
    width, size, stride, pad, group, dilation = (
        int(_of(layer, "convolution_param", field, default))
        for field, default in (
            ("num_output", 0),
            ("kernel_size", 0),
            ("stride", 1),
            ("pad", 0),
            ("group", 1),
            ("dilation", 1),
        )
    )
    if not size or group != 1 or dilation != 1:
        raise ValueError(f"layer {name}: only square kernels, in one group and without dilation")
    if pad:
        x = layers.ZeroPadding2D(pad)(x)
    return layers.Conv2D(width, size, stride, name=name)(x)


def _relu(x: Any, layer: Message, name: str) -> Any:
    if _of(layer, "relu_param", "negative_slope", 0):
        raise ValueError(f"layer {name}: a slope below zero is not known here")
    return layers.ReLU(name=name)(x)


def _pooling(x: Any, layer: Message, name: str) -> Any:
    """Caffe's last window may reach over the edge; TensorFlow's `same` may begin before it."""
    param = layer["pooling_param"][0]
    size = int(_of(layer, "pooling_param", "kernel_size", 0))
    stride = int(_of(layer, "pooling_param", "stride", 1))
    if param.get("pool", ["MAX"]) != ["MAX"] or "pad" in param or not size:
        raise ValueError(f"layer {name}: only the maximum of square windows without pad is known")
    over = (size - x.shape[1]) % stride
    if over and (over > 1 or size - stride > 1):
        raise ValueError(f"layer {name}: its last window reaches too far over the edge")
    return layers.MaxPooling2D(size, stride, "same" if over else "valid", name=name)(x)


def _norm(x: Any, layer: Message, name: str) -> Any:
    param = layer.get("lrn_param", [{}])[0]
    region = param.get("norm_region", ["ACROSS_CHANNELS"])
    if _of(layer, "lrn_param", "beta", 0.75) != 0.75 or region != ["ACROSS_CHANNELS"]:
        raise ValueError(f"layer {name}: only LRN across channels with a beta of 0.75 is known")
    return response_norm(
        x,
        name,
        size=int(_of(layer, "lrn_param", "local_size", 5)),
        alpha=_of(layer, "lrn_param", "alpha", 1),
        k=_of(layer, "lrn_param", "k", 1),
    )


def _inner_product(x: Any, layer: Message, name: str) -> Any:
    if len(x.shape) == 4:
        # Caffe counts channel by channel
        x = layers.Flatten()(layers.Permute((3, 1, 2))(x))
    return layers.Dense(int(_of(layer, "inner_product_param", "num_output", 0)), name=name)(x)


def _nothing(x: Any, _layer: Message, _name: str) -> Any:
    return x


LAYERS: dict[str, Callable[[Any, Message, str], Any]] = {
    "input": _nothing,
    "dropout": _nothing,
    "convolution": _convolution,
    "relu": _relu,
    "pooling": _pooling,
    "lrn": _norm,
    "innerproduct": _inner_product,
    "softmax": lambda x, _, name: layers.Softmax(name=name)(x),
}
