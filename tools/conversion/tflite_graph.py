"""Reads and changes the graph of an int8 TFLite file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

KERNELS = {schema.BuiltinOperator.FULLY_CONNECTED: 4, schema.BuiltinOperator.LOGISTIC: 2}
"""The first version of each kernel that takes int8."""
NO_LAST_LAYER = "has no last layer in int8; make the file with tools/quantize.py"
"""What is wrong with a file that was made elsewhere."""


class Graph:
    """A model's tensors and operators, some of which may be added or changed."""

    def __init__(self, model: bytes) -> None:
        self._model = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
        self._graph = self._model.subgraphs[0]
        self.tensors: list[Any] = self._graph.tensors

    @property
    def outputs(self) -> list[int]:
        """Indices of the tensors that the model gives."""
        return list(self._graph.outputs)

    def name(self, tensor: int) -> str:
        return str(self.tensors[tensor].name.decode())

    def operators_of(self, *kernels: int) -> list[Any]:
        """The operators that run one of these kernels, in their order."""
        codes = self._model.operatorCodes
        return [
            operator
            for operator in self._graph.operators
            if codes[operator.opcodeIndex].builtinCode in kernels
        ]

    def constant(self, tensor: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
        """A copy of the values of a constant tensor, in one dimension."""
        return np.frombuffer(bytes(self._buffer(tensor).data), dtype).copy()

    def set_constant(self, tensor: int, values: npt.NDArray[Any]) -> None:
        """Replace the values of a constant tensor by as many of the same type."""
        self._buffer(tensor).data = np.frombuffer(values.tobytes(), np.uint8)

    def _buffer(self, tensor: int) -> Any:
        return self._model.buffers[self.tensors[tensor].buffer]

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

    def packed(self, outputs: Sequence[int] = ()) -> bytes:
        """The file, with these tensors as further outputs."""
        self._graph.outputs = [*self._graph.outputs, *outputs]
        for signature in self._model.signatureDefs or []:
            for output in outputs:
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = self.tensors[output].name, output
                signature.outputs.append(entry)
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))
