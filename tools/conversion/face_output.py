"""Adds an output to an int8 TFLite file: the probability that the picture shows a face.

A classifier's last layer reads its features. The new output is another such layer beside it: it
costs a dot product, and the other outputs stay as they are, bit by bit.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.vision.model_card import FACE_OUTPUT
from edge.vision.tflite import Floats
from tools.conversion.tflite_graph import NO_LAST_LAYER, Graph
from tools.datasets.archive import DataError

FACE_LOG_ODDS = "face/log_odds"
"""Name of the last layer's output, before the sigmoid."""
MAX_LOG_ODDS = 4.0
"""Largest log odds, either way, that the new output gives: a single look proves no more."""
SIGMOID_STEP, SIGMOID_ZERO = 1 / 256, -128
"""Quantization of a sigmoid's int8 output, fixed by TFLite's specification of int8 kernels."""


def with_features(model: bytes) -> tuple[bytes, str]:
    """The file with one output more, the features that its last layer reads, int8 (1, n).

    Returns it with the output's name. Raises DataError if it has the output `FACE_OUTPUT`, or no
    last layer in int8.
    """
    graph, features = _opened(model)
    return graph.packed([features]), graph.name(features)


def with_face_output(model: bytes, weights: Floats, bias: float) -> bytes:
    """The file with the output `FACE_OUTPUT`: sigmoid(features @ weights + bias), int8 (1, 1).

    `weights`, float32 (n,), are for the features of `with_features`, as real numbers.
    Raises DataError as `with_features`.
    """
    graph, features = _opened(model)
    step = float(np.abs(weights).max()) / 127
    product_step = step * float(graph.tensors[features].quantization.scale[0])
    rows = np.rint(weights / step).astype(np.int8)[None]
    offset = np.rint([bias / product_step]).astype(np.int32)
    log_odds = graph.add_tensor(FACE_LOG_ODDS, [1, 1], MAX_LOG_ODDS / 128)
    face = graph.add_tensor(FACE_OUTPUT, [1, 1], SIGMOID_STEP, SIGMOID_ZERO)
    inputs = [
        features,
        graph.add_constant("face/weights", rows, step),
        graph.add_constant("face/bias", offset, product_step),
    ]
    graph.add_operator(schema.BuiltinOperator.FULLY_CONNECTED, inputs, log_odds)
    graph.add_operator(schema.BuiltinOperator.LOGISTIC, [log_odds], face)
    return graph.packed([face])


def _opened(model: bytes) -> tuple[Graph, int]:
    """The graph, and the index of the tensor that the last layer reads.

    Raises DataError if it has the output already, or no last layer in int8.
    """
    graph = Graph(model)
    if FACE_OUTPUT in map(graph.name, graph.outputs):
        raise DataError(f"has an output {FACE_OUTPUT!r} already")
    layers = graph.operators_of(schema.BuiltinOperator.FULLY_CONNECTED)
    if not layers or graph.tensors[layers[-1].inputs[0]].type != schema.TensorType.INT8:
        raise DataError(NO_LAST_LAYER)
    return graph, layers[-1].inputs[0]
