"""Rebuild Caffe networks in Keras, with weights that OpenCV reads."""

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
"""A parsed protobuf text message: the values of each field in order, strings or messages."""

TOKEN = re.compile(r'#[^\n]*|"[^"]*"|\'[^\']*\'|[{}]|[^\s{}:;,"\'#]+')


def read(prototxt: Path, weights: Path, mean: Sequence[float], std: float) -> keras.Model:
    """The network as a Keras model that takes R G B values of (pixel - 127.5) / 127.5.

    Its first layer converts them to (pixel - mean) / std in B G R, as the network was trained. The
    Caffe layers must form a chain. Raises DataError.
    """
    try:
        net = cv2.dnn.readNetFromCaffe(str(prototxt), str(weights))
        text = prototxt.read_text(encoding="utf-8")
    except (cv2.error, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{weights}: OpenCV cannot read it with {prototxt} ({reason})") from error
    try:
        return _rebuild(net, _message(iter(TOKEN.findall(text))), mean, std)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"{prototxt}: {error!s:.200}") from error


def _rebuild(net: Any, description: Message, mean: Sequence[float], std: float) -> keras.Model:
    size = _input_side(description)
    inputs = layers.Input((size, size, 3))
    x, previous = pixels(inputs, mean, std), None
    weighted = []
    for layer in description.get("layer", []) + description.get("layers", []):
        name, kind = layer["name"][0], layer["type"][0]
        if previous is not None and layer["bottom"] != [previous]:
            raise ValueError(f"layer {name} does not read the one before it, {previous}")
        previous = layer["top"][0]
        build = LAYERS.get(kind.replace("_", "").lower())
        if build is None:
            raise ValueError(f"layer {name} is of type {kind}, which is not supported")
        x = build(x, layer, name)
        if build in (_convolution, _inner_product):
            weighted.append(name)
    model = keras.Model(inputs, x, name="gender-caffe")
    for name in weighted:
        blobs = [np.array(blob) for blob in net.getLayer(net.getLayerId(name)).blobs]
        if not blobs:
            raise ValueError(f"layer {name} has no weights in the .caffemodel")
        _set_weights(model.get_layer(name), *blobs)
    return model


def _set_weights(layer: Any, kernel: Any, bias: Any = 0.0) -> None:
    """Set Caffe's kernel, out x in x height x width or out x in, and its bias."""
    if isinstance(layer, layers.Dense):
        kernel = kernel.reshape(layer.units, -1).T
    else:
        kernel = kernel.transpose(2, 3, 1, 0)
    layer.set_weights([kernel, np.broadcast_to(np.ravel(bias), kernel.shape[-1:])])


def _message(tokens: Iterator[str]) -> Message:
    """Parse tokens up to the closing brace or the end."""
    fields: Message = {}
    names = (token for token in tokens if not token.startswith("#"))
    for name in names:
        if name == "}":
            break
        value = next(names, "")
        parsed: Any = _message(tokens) if value == "{" else value.strip("\"'")
        fields.setdefault(name, []).append(parsed)
    return fields


def _input_side(description: Message) -> int:
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


def _number(layer: Message, param: str, field: str, default: float) -> float:
    values = layer.get(param, [{}])[0].get(field, [default])
    return float(values[0])


def _convolution(x: Any, layer: Message, name: str) -> Any:
    width, size, stride, pad, group, dilation = (
        int(_number(layer, "convolution_param", field, default))
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
    if _number(layer, "relu_param", "negative_slope", 0):
        raise ValueError(f"layer {name}: a negative slope is not supported")
    return layers.ReLU(name=name)(x)


def _pooling(x: Any, layer: Message, name: str) -> Any:
    """Caffe's last window may extend past the edge; `same` may pad before TensorFlow's first."""
    param = layer["pooling_param"][0]
    size = int(_number(layer, "pooling_param", "kernel_size", 0))
    stride = int(_number(layer, "pooling_param", "stride", 1))
    if param.get("pool", ["MAX"]) != ["MAX"] or "pad" in param or not size:
        raise ValueError(
            f"layer {name}: only max pooling of square windows without pad is supported"
        )
    excess = (size - x.shape[1]) % stride
    if excess and (excess > 1 or size - stride > 1):
        raise ValueError(f"layer {name}: its last window extends too far past the edge")
    return layers.MaxPooling2D(size, stride, "same" if excess else "valid", name=name)(x)


def _norm(x: Any, layer: Message, name: str) -> Any:
    param = layer.get("lrn_param", [{}])[0]
    region = param.get("norm_region", ["ACROSS_CHANNELS"])
    if _number(layer, "lrn_param", "beta", 0.75) != 0.75 or region != ["ACROSS_CHANNELS"]:
        raise ValueError(f"layer {name}: only LRN across channels with a beta of 0.75 is supported")
    return response_norm(
        x,
        name,
        size=int(_number(layer, "lrn_param", "local_size", 5)),
        alpha=_number(layer, "lrn_param", "alpha", 1),
        k=_number(layer, "lrn_param", "k", 1),
    )


def _inner_product(x: Any, layer: Message, name: str) -> Any:
    if len(x.shape) == 4:
        # Caffe flattens channel by channel
        x = layers.Flatten()(layers.Permute((3, 1, 2))(x))
    return layers.Dense(int(_number(layer, "inner_product_param", "num_output", 0)), name=name)(x)


def _identity(x: Any, _layer: Message, _name: str) -> Any:
    return x


LAYERS: dict[str, Callable[[Any, Message, str], Any]] = {
    "input": _identity,
    "dropout": _identity,
    "convolution": _convolution,
    "relu": _relu,
    "pooling": _pooling,
    "lrn": _norm,
    "innerproduct": _inner_product,
    "softmax": lambda x, _, name: layers.Softmax(name=name)(x),
}
