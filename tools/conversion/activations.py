"""Runs a TFLite file that has further outputs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.types import Image
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import Floats, Tensor, open_interpreter


class Activations:
    """A callable from a crop, uint8 size x size x channels, to the outputs of these names,
    float32 (1, n) each."""

    def __init__(self, model: bytes, names: Sequence[str], preprocessing: Preprocessing) -> None:
        """Raises ModelError."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.tflite"
            file.write_bytes(model)
            self._interpreter, _ = open_interpreter(file)
        self._preprocessing = preprocessing
        self._input = Tensor.of(self._interpreter.get_input_details()[0])
        outputs = map(Tensor.of, self._interpreter.get_output_details())
        by_name = {output.name: output for output in outputs}
        self._outputs = [by_name[name] for name in names]

    def __call__(self, crop: Image) -> list[Floats]:
        values = self._input.quantize(self._preprocessing.normalize(crop[None]))
        self._interpreter.set_tensor(self._input.index, values)
        self._interpreter.invoke()
        return [
            output.dequantize(self._interpreter.get_tensor(output.index))
            for output in self._outputs
        ]
