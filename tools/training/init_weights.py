"""Start a Keras MobileNetV2 from weights at hand, without a download."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.vision.tflite import open_interpreter
from tools.datasets.archive import DataError
from tools.networks import HEADS


def start_from_tflite(model: keras.Model, path: Path, pictures: Any) -> None:
    """Give every convolution of `model` the dequantised kernel of the same place in `path`.

    The file's batch normalisation is folded into its kernels and biases. Here each normalisation
    layer is set to undo itself on `pictures` (float32 n x h x w x 3, as the network takes them)
    and to add the bias, so the function stays what it was and training finds sound statistics.

    Raises DataError where the file's convolutions do not fit the model's.
    """
    try:
        kernels = _convolutions(path)
    except (ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: is not an int8 or float32 MobileNetV2") from error
    pairs = convolutions_of(model)
    if len(kernels) != len(pairs):
        raise DataError(f"{path}: has {len(kernels)} convolutions, the network {len(pairs)}")
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


def start_from_keras(model: keras.Model, other: keras.Model) -> list[str]:
    """Give `model` the weights of `other`, a network of the same kind that is as wide or wider.

    A head that `other` does not have keeps its own; the names of the others are given back.

    Where `other` is wider, `model` gets its channels with the largest weights (H. Li et al.:
    Pruning Filters for Efficient ConvNets, ICLR 2017). Blocks that are added up keep the same
    channels. Raises ValueError where the two do not fit.
    """
    heads = [name for name in HEADS if _has(model, name) and _has(other, name)]
    ours, theirs = (
        [layer for layer in network.layers if layer.name not in HEADS] for network in (model, other)
    )
    kept: Any = slice(None)
    if [layer.count_params() for layer in ours] == [layer.count_params() for layer in theirs]:
        for layer, same in zip(ours, theirs, strict=True):
            layer.set_weights(same.get_weights())
    else:
        kept = _narrowed(model, other)
    for name in heads:
        kernel, bias = other.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel[kept], bias])
    return heads


def _has(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)


def _narrowed(model: keras.Model, other: keras.Model) -> Any:
    """Give `model` the best channels of the wider `other`; returns which its last layer kept."""
    wide_pairs = convolutions_of(other)
    importance, sums = _importance(other, wide_pairs)
    pairs = convolutions_of(model)
    kept = np.arange(model.input_shape[-1])
    for (layer, norm), (wide, wide_norm), weight in zip(pairs, wide_pairs, importance, strict=True):
        kernel = np.asarray(wide.weights[0])
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.weights[0].assign(kernel[:, :, kept])
        else:
            into = kept
            kept = np.sort(np.argsort(-sums.get(wide.name, weight))[: layer.filters])
            layer.weights[0].assign(kernel[:, :, into][..., kept])
        for variable, value in zip(norm.weights, wide_norm.weights, strict=True):
            variable.assign(np.asarray(value)[kept])
    return kept


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
    # gamma and beta such that normalising with (mean, var) gives back x + bias
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(var)
    norm.gamma.assign(np.sqrt(var + norm.epsilon))
    norm.beta.assign(bias + mean)


def convolutions_of(model: keras.Model) -> list[tuple[Any, Any]]:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [layer for layer in model.layers if isinstance(layer, kinds)]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return list(zip(convolutions, norms, strict=True))


def _convolutions(path: Path) -> list[tuple[Any, Any]]:
    """Real-valued (kernel, bias) of every convolution but the classifying one, in order."""
    interpreter, _ = open_interpreter(path)
    tensors = {detail["index"]: detail for detail in interpreter.get_tensor_details()}

    def real(index: int) -> Any:
        quantisation = tensors[index]["quantization_parameters"]
        values = interpreter.get_tensor(index).astype(np.float32)
        if not len(quantisation["scales"]):  # a float32 file
            return values
        shape = [1] * values.ndim
        shape[quantisation["quantized_dimension"]] = -1
        scales = quantisation["scales"].reshape(shape)
        zeros = quantisation["zero_points"].reshape(shape)
        return (values - zeros) * scales

    found = []
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, kernel, bias = operator["inputs"]
            found.append((real(kernel), real(bias)))
    return [pair for pair in found if pair[0].shape[0] != 1001]
