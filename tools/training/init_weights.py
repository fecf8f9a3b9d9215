"""Initialize a network with the weights of a TFLite file or another Keras model."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.vision.tflite import open_interpreter
from tools.conversion.face_output import FACE_LOG_ODDS
from tools.datasets.archive import DataError
from tools.networks.names import HEADS


def load_tflite_weights(model: keras.Model, path: Path, pictures: Any) -> None:
    """Give each convolution of a MobileNetV2 the dequantized kernel at the same place in `path`.

    The heads get those of the file if it has any of the same width.
    The file's batch normalization is folded into its kernels and biases. Here each normalization
    layer is set so that on `pictures` (float32 n x h x w x 3, normalized as the network needs them)
    it only adds the bias: the function stays the same, and training starts with sound statistics.

    Raises DataError if the file's convolutions do not fit the model's.
    """
    try:
        kernels, heads = _file_weights(path)
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: is not an int8 or float32 MobileNetV2") from error
    pairs = _convolution_pairs(model)
    if len(kernels) != len(pairs):
        raise DataError(f"{path}: has {len(kernels)} convolutions, the network {len(pairs)}")
    for layer in (layer for layer in model.layers if layer.name in HEADS):
        for kernel, bias in heads:
            if kernel.T.shape == tuple(layer.kernel.shape):
                layer.set_weights([kernel.T, bias])
    biases = []
    for (kernel, bias), (convolution, norm) in zip(kernels, pairs, strict=True):
        weight = convolution.weights[0]
        kernel = np.transpose(kernel, (1, 2, 3, 0))  # out h w in -> h w in out; 1 h w c -> h w c 1
        if kernel.shape != tuple(weight.shape):
            raise DataError(
                f"{path}: {convolution.name} has shape {kernel.shape}, "
                f"the network needs {tuple(weight.shape)}; only alpha 1.0 fits"
            )
        weight.assign(kernel)
        _set_norm(norm, mean=np.zeros_like(bias), var=np.ones_like(bias), bias=bias)
        biases.append(bias)
    probe = keras.Model(model.input, [convolution.output for convolution, _ in pairs])
    outputs = probe.predict(pictures, verbose=0, batch_size=len(pictures))
    for output, bias, (_, norm) in zip(outputs, biases, pairs, strict=True):
        _set_norm(norm, mean=output.mean((0, 1, 2)), var=output.var((0, 1, 2)), bias=bias)


def load_keras_weights(model: keras.Model, other: keras.Model) -> list[str]:
    """Give `model` the weights of `other`, a network of the same kind that is as wide or wider.

    Returns the names of the heads that were loaded; a head that `other` lacks is left as it is.

    If `other` is wider, `model` gets its channels with the largest weights (H. Li et al.: Pruning
    Filters for Efficient ConvNets, ICLR 2017). Blocks that are added up use the same channels.
    Raises ValueError if the two do not fit.
    """
    heads = [name for name in HEADS if _has(model, name) and _has(other, name)]
    ours, theirs = (
        [layer for layer in network.layers if layer.name not in HEADS] for network in (model, other)
    )
    channels: Any = slice(None)
    if [layer.count_params() for layer in ours] == [layer.count_params() for layer in theirs]:
        for layer, source in zip(ours, theirs, strict=True):
            layer.set_weights(source.get_weights())
    else:
        channels = _load_pruned(model, other)
    for name in heads:
        kernel, bias = other.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel[channels], bias])
    return heads


def _has(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)


def _load_pruned(model: keras.Model, other: keras.Model) -> Any:
    """Give `model` the best channels of the wider `other`; returns those of its last layer."""
    wide_pairs = _convolution_pairs(other)
    importance, sums = _importance(other, wide_pairs)
    pairs = _convolution_pairs(model)
    channels = np.arange(model.input_shape[-1])
    for (layer, norm), (wide, wide_norm), weight in zip(pairs, wide_pairs, importance, strict=True):
        kernel = np.asarray(wide.weights[0])
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.weights[0].assign(kernel[:, :, channels])
        else:
            inputs = channels
            channels = np.sort(np.argsort(-sums.get(wide.name, weight))[: layer.filters])
            layer.weights[0].assign(kernel[:, :, inputs][..., channels])
        for variable, value in zip(norm.weights, wide_norm.weights, strict=True):
            variable.assign(np.asarray(value)[channels])
    return channels


def _importance(model: keras.Model, pairs: list[tuple[Any, Any]]) -> tuple[list[Any], Any]:
    """The weight of each output channel, and its sum over blocks that are added up, by name."""
    names = {layer.name for layer in model.layers}
    weights: list[Any] = []
    sums: dict[str, Any] = {}
    stage: list[str] = []
    for layer, norm in pairs:
        scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
        kernel = np.abs(np.asarray(layer.weights[0]))
        axes = (0, 1, 3) if isinstance(layer, keras.layers.DepthwiseConv2D) else (0, 1, 2)
        weights.append(kernel.sum(axes) * np.abs(scale))
        if layer.name.endswith("_project"):
            added = layer.name.replace("_project", "_add") in names
            stage = [*stage, layer.name] if added else [layer.name]
            total = weights[-1] + sums[stage[0]] if added else weights[-1]
            sums.update(dict.fromkeys(stage, total))
    return weights, sums


def _set_norm(norm: Any, *, mean: Any, var: Any, bias: Any) -> None:
    # gamma and beta for which normalizing with (mean, var) results in x + bias
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(var)
    norm.gamma.assign(np.sqrt(var + norm.epsilon))
    norm.beta.assign(bias + mean)


def _convolution_pairs(model: keras.Model) -> list[tuple[Any, Any]]:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [layer for layer in model.layers if isinstance(layer, kinds)]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return list(zip(convolutions, norms, strict=True))


def _file_weights(path: Path) -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]]]:
    """Dequantized (kernel, bias) of the convolutions, in order, and of the fully connected layers.

    The convolution that classifies ImageNet's pictures is left out, and the layer that tells faces
    from other things: it is learned afterwards.
    """
    interpreter, _ = open_interpreter(path)
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}

    def dequantized(index: int) -> Any:
        quantization = tensors[index]["quantization_parameters"]
        values = interpreter.get_tensor(index).astype(np.float32)
        if not len(quantization["scales"]):  # a float32 file
            return values
        shape = [1] * values.ndim
        shape[quantization["quantized_dimension"]] = -1
        scales = quantization["scales"].reshape(shape)
        zeros = quantization["zero_points"].reshape(shape)
        return (values - zeros) * scales

    convolutions: list[tuple[Any, Any]] = []
    connected: list[tuple[Any, Any]] = []
    for operator in interpreter._get_ops_details():
        kind = operator["op_name"]
        if tensors[operator["outputs"][0]]["name"] == FACE_LOG_ODDS:
            continue
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            _, kernel, bias = operator["inputs"]  # Keras' converter writes a bias always
            layers = connected if kind == "FULLY_CONNECTED" else convolutions
            layers.append((dequantized(kernel), dequantized(bias)))
    return [pair for pair in convolutions if pair[0].shape[0] != 1001], connected
