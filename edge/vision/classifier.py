"""Classifies face crops: preprocess, quantize, run the TFLite model, dequantize."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import ModelError
from edge.types import AGE_GROUPS, LABELS, Image
from edge.vision.model_card import FACE_OUTPUT, read_card
from edge.vision.tflite import Floats, Tensor, open_interpreter


@dataclass(frozen=True, slots=True)
class Predictions:
    """A model's output for some faces, one row per face."""

    gender: Floats | None
    """float32 (n, 2): p(female), p(male); None if the model does not estimate it."""
    age: Floats | None
    """float32 (n, 8): p of each of `AGE_GROUPS`; None if the model does not estimate it."""
    face: Floats | None = None
    """float32 (n,): p of a face at all; None if the model does not estimate it."""


class Classifier:
    """A TFLite model as a callable from crops to probabilities."""

    def __init__(
        self,
        model: Path,
        *,
        runtime: str = "auto",
        threads: int = 1,
        xnnpack: bool = True,
        gender: bool = True,
        age: bool = True,
    ) -> None:
        """Open `model` and the JSON beside it. Raises ModelError.

        Without `gender`, or without `age`, that output is not read even if there is one.
        """
        self.card = read_card(model)
        self.preprocessing = self.card.input
        self._interpreter, self.runtime = open_interpreter(model, runtime, threads, xnnpack=xnnpack)
        inputs, outputs = (
            [Tensor.of(details) for details in tensors]
            for tensors in (
                self._interpreter.get_input_details(),
                self._interpreter.get_output_details(),
            )
        )
        size, channels = self.preprocessing.size, self.preprocessing.channels
        shapes = [list(tensor.shape) for tensor in inputs]
        if shapes != [[1, size, size, channels]]:
            raise ModelError(
                f"model {model}: takes input {_join(shapes)}, "
                f"but its JSON says {[1, size, size, channels]}"
            )
        self._input = inputs[0]
        by_name = {tensor.name: tensor for tensor in outputs}
        self._face = by_name.get(FACE_OUTPUT) if self.card.face else None
        outputs = [tensor for tensor in outputs if tensor is not self._face]
        if self.card.face and (self._face is None or self._face.shape != (1, 1)):
            raise ModelError(
                f"model {model}: its JSON says that it tells faces from other things, but it has "
                f"no output {FACE_OUTPUT!r} of one value"
            )
        widths = []
        if self.card.labels:
            widths.append(1 if self.card.output == "sigmoid" else len(LABELS))
        if self.card.ages:
            widths.append(len(AGE_GROUPS))
        by_shape = {tensor.shape: tensor for tensor in outputs}
        if sorted(by_shape) != [(1, width) for width in widths] or len(outputs) != len(widths):
            raise ModelError(
                f"model {model}: gives output {_join(sorted(list(t.shape) for t in outputs))}, "
                f"but its JSON says {_join([[1, width] for width in widths])}"
            )
        self._gender = by_shape[1, widths[0]] if gender and self.card.labels else None
        self._age = by_shape[1, len(AGE_GROUPS)] if age and self.card.ages else None

    def __call__(self, crops: Iterable[Image]) -> Predictions:
        """Predictions for uint8 crops made by `preprocessing.crop`."""
        genders: list[Floats] = []
        ages: list[Floats] = []
        faces: list[Floats] = []
        for crop in crops:
            values = self._input.quantize(self.preprocessing.normalize(crop[None]))
            self._interpreter.set_tensor(self._input.index, values)
            self._interpreter.invoke()
            if self._gender:
                out = self._read(self._gender)
                sigmoid = self.card.output == "sigmoid"
                genders.append(np.array([1 - out[0], out[0]], np.float32) if sigmoid else out)
            if self._age:
                ages.append(self._read(self._age))
            if self._face:
                faces.append(self._read(self._face))
        # the model may have its labels in the other order
        order = [self.card.labels.index(label) for label in LABELS] if self._gender else []
        return Predictions(
            np.reshape(genders, (-1, len(LABELS)))[:, order] if self._gender else None,
            np.reshape(ages, (-1, len(AGE_GROUPS))) if self._age else None,
            np.reshape(faces, -1) if self._face else None,
        )

    def genders(self, crops: Iterable[Image]) -> Floats:
        """p(female), p(male) of each crop, float32 (n, 2). Raises ModelError if the model
        estimates age alone."""
        gender = self(crops).gender
        if gender is None:
            raise ModelError(f"model {self.card.name}: estimates age alone, not gender")
        return gender

    def _read(self, output: Tensor) -> Floats:
        """One row of an output, float32."""
        values: Floats = output.dequantize(self._interpreter.get_tensor(output.index))[0]
        return values


def _join(shapes: Sequence[Sequence[int]]) -> str:
    return " and ".join(str(shape) for shape in shapes)
