"""Scales and shifts the log odds of an int8 TFLite file's outputs.

Only the biases and the quantization of its last layers change, so it costs no time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.vision.model_card import FACE_OUTPUT
from edge.vision.tflite import Floats
from tools.conversion.tflite_graph import NO_LAST_LAYER, Graph
from tools.datasets.archive import DataError

ENDS = schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.SOFTMAX
INT8 = np.iinfo(np.int8)
NOT_PLAIN = "has outputs in uint8, or a last layer without a bias, which cannot be calibrated"


@dataclass(frozen=True, slots=True)
class Scaling:
    """What becomes of an output's log odds: `log_odds * scale + shift`."""

    scale: float
    shift: Floats
    """float32, one value for each of the output."""


def with_log_odds(model: bytes) -> tuple[bytes, dict[int, str]]:
    """The file with further outputs, the log odds of each output but `FACE_OUTPUT`, int8 (1, n).

    Returns it with their names by n. Log odds are what the sigmoid or softmax reads. Raises
    DataError if an output has no last layer in int8, with a bias.
    """
    graph = Graph(model)
    layers = _last_layers(graph)
    names = {width: graph.name(layer.log_odds) for width, layer in layers.items()}
    return graph.packed([layer.log_odds for layer in layers.values()]), names


def scaled(model: bytes, scalings: Iterable[Scaling]) -> bytes:
    """The file with its log odds scaled and shifted, of each output that has as many values.

    Raises DataError as `with_log_odds`, or if all faces would get the same answer.
    """
    graph = Graph(model)
    layers = _last_layers(graph)
    for scaling in scalings:
        _scale(graph, layers[len(scaling.shift)], scaling)
    return graph.packed()


@dataclass(frozen=True, slots=True)
class _Layer:
    """Indices of the tensors of a last layer."""

    weights: int
    bias: int
    log_odds: int


def _last_layers(graph: Graph) -> dict[int, _Layer]:
    """By the number of their values. Raises DataError as `with_log_odds`."""
    dense = {
        operator.outputs[0]: operator.inputs
        for operator in graph.operators_of(schema.BuiltinOperator.FULLY_CONNECTED)
    }
    ends = {operator.outputs[0]: operator.inputs[0] for operator in graph.operators_of(*ENDS)}
    layers = {}
    for output in graph.outputs:
        if graph.name(output) == FACE_OUTPUT:
            continue
        inputs = dense.get(ends.get(output))
        if inputs is not None and graph.tensors[inputs[1]].type != schema.TensorType.INT8:
            raise DataError(NO_LAST_LAYER)
        # an optional input that is left out has the index -1
        if inputs is None or len(inputs) < 3 or min(inputs) < 0:
            raise DataError(NOT_PLAIN)
        _, weights, bias = inputs
        layers[int(graph.tensors[output].shape[-1])] = _Layer(weights, bias, ends[output])
    return layers


def _scale(graph: Graph, layer: _Layer, scaling: Scaling) -> None:
    weights, bias, log_odds = (
        graph.tensors[index].quantization for index in (layer.weights, layer.bias, layer.log_odds)
    )
    # the range of the int8 log odds grows with them, so that none is cut off
    step, zero_point = float(log_odds.scale[0]), int(log_odds.zeroPoint[0])
    low, high = (scaling.scale * step * (limit - zero_point) for limit in (INT8.min, INT8.max))
    low, high = low + float(scaling.shift.min()), high + float(scaling.shift.max())
    step = (high - low) / (INT8.max - INT8.min)
    zero_point = INT8.min - round(low / step)
    if not INT8.min <= zero_point <= INT8.max:
        raise DataError("would give all faces the same answer; are their labels right?")
    log_odds.scale, log_odds.zeroPoint = [step], [zero_point]
    for quantization in (weights, bias):
        quantization.scale = [float(step) * scaling.scale for step in quantization.scale]
    steps = np.rint(scaling.shift / np.asarray(bias.scale)).astype(np.int32)
    graph.set_constant(layer.bias, graph.constant(layer.bias, np.int32) + steps)
