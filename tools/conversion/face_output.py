"""Adds an output to an int8 TFLite file: the probability that the picture shows a face.

A classifier's last layer reads its features. The new output is another such layer beside it: it
costs a dot product, and the other outputs stay as they are, bit by bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from edge.vision.model_card import FACE_OUTPUT
from edge.vision.tflite import Floats
from tools.datasets.archive import DataError

FACE_LOG_ODDS = "face/log_odds"
"""Name of the last layer's output, before the sigmoid."""
MAX_LOG_ODDS = 4.0
"""Largest log odds, either way, that the new output gives: a single look proves no more."""
SIGMOID_STEP, SIGMOID_ZERO = 1 / 256, -128
"""Quantization of a sigmoid's int8 output, fixed by TFLite's specification of int8 kernels."""
KERNELS = {schema.BuiltinOperator.FULLY_CONNECTED: 4, schema.BuiltinOperator.LOGISTIC: 2}
"""The first version of each kernel that takes int8."""


def with_features(model: bytes) -> tuple[bytes, str]:
    """The file with one output more, the features that its last layer reads, int8 (1, n).

    Returns it with the output's name. Raises DataError if it has the output `FACE_OUTPUT`, or no
    last layer in int8.
    """
    graph = _Graph(model)
    return graph.packed(graph.features), graph.tensors[graph.features].name.decode()


def with_face_output(model: bytes, weights: Floats, bias: float) -> bytes:
    """The file with the output `FACE_OUTPUT`: sigmoid(features @ weights + bias), int8 (1, 1).

    `weights`, float32 (n,), are for the features of `with_features`, as real numbers.
    Raises DataError as `with_features`.
    """
    graph = _Graph(model)
    step = float(np.abs(weights).max()) / 127
    product_step = step * float(graph.tensors[graph.features].quantization.scale[0])
    rows = np.rint(weights / step).astype(np.int8)[None]
    offset = np.rint([bias / product_step]).astype(np.int32)
    log_odds = graph.add_tensor(FACE_LOG_ODDS, [1, 1], MAX_LOG_ODDS / 128)
    face = graph.add_tensor(FACE_OUTPUT, [1, 1], SIGMOID_STEP, SIGMOID_ZERO)
    inputs = [
        graph.features,
        graph.add_constant("face/weights", rows, step),
        graph.add_constant("face/bias", offset, product_step),
    ]
    graph.add_operator(schema.BuiltinOperator.FULLY_CONNECTED, inputs, log_odds)
    graph.add_operator(schema.BuiltinOperator.LOGISTIC, [log_odds], face)
    return graph.packed(face)


class _Graph:
    """A model's graph, to which tensors and operators are added."""

    def __init__(self, model: bytes) -> None:
        """Raises DataError if it has the output already, or no last layer in int8."""
        self._model = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
        self._graph = self._model.subgraphs[0]
        self.tensors: list[Any] = self._graph.tensors
        if FACE_OUTPUT.encode() in [self.tensors[index].name for index in self._graph.outputs]:
            raise DataError(f"has an output {FACE_OUTPUT!r} already")
        dense = schema.BuiltinOperator.FULLY_CONNECTED
        codes = self._model.operatorCodes
        layers = [
            operator.inputs[0]
            for operator in self._graph.operators
            if codes[operator.opcodeIndex].builtinCode == dense
        ]
        if not layers or self.tensors[layers[-1]].type != schema.TensorType.INT8:
            raise DataError("has no last layer in int8; make the file with tools/quantize.py")
        self.features: int = layers[-1]
        """Index of the tensor that the last layer reads."""

    def add_tensor(self, name: str, shape: Sequence[int], step: float, zero_point: int = 0) -> int:
        """The index of a new int8 tensor."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), list(shape), True
        tensor.type, tensor.buffer = schema.TensorType.INT8, 0  # buffer 0 is that of no constant
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [step], [zero_point]
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add_constant(self, name: str, values: npt.NDArray[Any], step: float) -> int:
        """The index of a new tensor with these values, int8 or int32."""
        index = self.add_tensor(name, values.shape, step)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self.tensors[index].buffer = len(self._model.buffers) - 1
        if values.dtype == np.int32:
            self.tensors[index].type = schema.TensorType.INT32
        return index

    def add_operator(self, kernel: int, inputs: Sequence[int], output: int) -> None:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(kernel)
        operator.inputs, operator.outputs = list(inputs), [output]
        if kernel == schema.BuiltinOperator.FULLY_CONNECTED:
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
        self._graph.operators.append(operator)

    def _code(self, kernel: int) -> int:
        """The index of the kernel among the model's; added if it is new."""
        for index, known in enumerate(self._model.operatorCodes):
            if known.builtinCode == kernel and known.version >= KERNELS[kernel]:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kernel
        code.version = KERNELS[kernel]
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1

    def packed(self, output: int) -> bytes:
        """The file with this tensor as an output more."""
        self._graph.outputs = [*self._graph.outputs, output]
        for signature in self._model.signatureDefs or []:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = self.tensors[output].name, output
            signature.outputs.append(entry)
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))
