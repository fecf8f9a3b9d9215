"""Scales and shifts the log odds of an int8 TFLite file's outputs, in its last layers.

Only what the integers of these layers stand for is changed, so it costs no time and no accuracy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.vision.model_card import FACE_OUTPUT
from edge.vision.tflite import Floats
from tools.conversion.tflite_graph import NO_LAST_LAYER, Graph
from tools.datasets.archive import DataError

ENDS = schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.SOFTMAX
INT8 = np.iinfo(np.int8)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What becomes of an output's log odds: `log_odds * scale + shift`."""

    scale: float
    shift: Floats
    """float32, one value for each of the output."""


def with_log_odds(model: bytes) -> tuple[bytes, dict[int, str]]:
    """The file with further outputs, the log odds of each output but `FACE_OUTPUT`, int8 (1, n).

    Returns it with their names by n. Log odds are what the sigmoid or softmax reads. Raises
    DataError if an output has no last layer in int8.
    """
    graph = Graph(model)
    layers = _last_layers(graph)
    names = {width: graph.name(layer.log_odds) for width, layer in layers.items()}
    return graph.packed([layer.log_odds for layer in layers.values()]), names


def scaled(model: bytes, scalings: Mapping[int, Scaling]) -> bytes:
    """The file with the log odds of the outputs of n values scaled and shifted, by n.

    Raises DataError as `with_log_odds`.
    """
    graph = Graph(model)
    layers = _last_layers(graph)
    for width, scaling in scalings.items():
        _scale(graph, layers[width], scaling)
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
        # an optional input that is left out has the index -1
        if inputs is None or min(inputs) < 0 or len(inputs) < 3:
            raise DataError(NO_LAST_LAYER)
        _, weights, bias = inputs
        if graph.tensors[weights].type != schema.TensorType.INT8:
            raise DataError(NO_LAST_LAYER)
        layers[int(graph.tensors[output].shape[-1])] = _Layer(weights, bias, ends[output])
    return layers


def _scale(graph: Graph, layer: _Layer, scaling: Scaling) -> None:
    weights, bias, log_odds = (
        graph.tensors[index].quantization for index in (layer.weights, layer.bias, layer.log_odds)
    )
    for quantization in (weights, bias, log_odds):
        quantization.scale = [float(step) * scaling.scale for step in quantization.scale]
    # the largest shift moves the range of the int8 log odds, so that none is cut off at its top
    largest = float(scaling.shift.max())
    zero_point = log_odds.zeroPoint[0] - round(largest / log_odds.scale[0])
    log_odds.zeroPoint = [int(np.clip(zero_point, INT8.min, INT8.max))]
    steps = np.rint(scaling.shift / np.asarray(bias.scale)).astype(np.int32)
    graph.set_constant(layer.bias, graph.constant(layer.bias, np.int32) + steps)
