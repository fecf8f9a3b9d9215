"""Classifies faces: crop, preprocess, quantize, run the TFLite model, dequantize.

Training, evaluation and the daemon all prepare faces with `Preprocessing`, so they cannot differ.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pydantic

from edge.errors import ModelError
from edge.types import AGE_GROUPS, LABELS, Box, Image
from edge.vision.crop import square
from edge.vision.tflite import Floats, Tensor, open_interpreter, read_model

MODEL_NAME = r"^[A-Za-z0-9._-]{1,64}$"
"""Allowed names of a model: the name is part of every window."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a face becomes the model's input; saved in the JSON beside the model."""

    size: int = 112
    """Side of the square input, pixels."""
    colour: Literal["rgb", "grey"] = "rgb"
    mean: float = 127.5
    std: float = 127.5
    """Input value = (pixel - mean) / std."""
    crop_scale: float = 0.96
    """Side of the crop over the side of the detector's box."""
    crop_down: float = 0.09
    """Distance of the crop's center below the box's, in sides of the box.

    Scale and shift were measured on UTKFace: its aligned pictures cover this part of a Haar box.
    """

    @property
    def channels(self) -> int:
        return 3 if self.colour == "rgb" else 1

    def crop(self, image: Image, box: Box, roll: float = 0.0) -> Image:
        """The face in `box` of a B G R picture, as uint8 size x size x channels.

        A head tilted by `roll` degrees clockwise is turned upright. The picture's edge is repeated
        where the crop leaves it.
        """
        side = max(box.w, box.h) * self.crop_scale
        down = self.crop_down * box.h
        tilt = math.radians(roll)
        cx, cy = box.cx - down * math.sin(tilt), box.cy + down * math.cos(tilt)
        if roll:
            face = _upright(image, cx, cy, side, self.size, roll)
        else:
            left, top = round(cx - side / 2), round(cy - side / 2)
            face = square(image, left, top, round(side), self.size)
        if self.colour == "grey":
            return np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), np.uint8)[:, :, None]
        return np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2RGB), np.uint8)

    def whole(self, width: int, height: int) -> Box:
        """The box whose crop is the whole of an aligned picture of this size in pixels."""
        side = min(width, height) / self.crop_scale
        return Box((width - side) / 2, (height - side) / 2 - self.crop_down * side, side, side)

    def normalize(self, crops: npt.NDArray[np.uint8]) -> Floats:
        """uint8 crops of any leading shape to the float32 values the network was trained on."""
        return (crops.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)


def _upright(image: Image, cx: float, cy: float, side: float, size: int, roll: float) -> Image:
    # the outer square holds the inner one however that is turned
    outer_side, outer_size = round(side * math.sqrt(2)), round(size * math.sqrt(2))
    left, top = round(cx - outer_side / 2), round(cy - outer_side / 2)
    outer = square(image, left, top, outer_side, outer_size)
    turn = cv2.getRotationMatrix2D(((outer_size - 1) / 2, (outer_size - 1) / 2), roll, 1)
    padding = np.array([[0, 0, (outer_size - size) / 2]] * 2)
    return np.asarray(cv2.warpAffine(outer, turn - padding, (size, size)), np.uint8)


class ModelCard(pydantic.BaseModel, frozen=True):
    """The JSON beside a model; keys beyond these are for people and tools."""

    name: str = pydantic.Field(pattern=MODEL_NAME)
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    labels: tuple[str, ...] = ()
    """The genders; none if the model estimates age alone."""
    output: Literal["sigmoid", "softmax"] = "softmax"
    """`sigmoid`: one value, the probability of the second label; `softmax`: one value per label."""
    ages: tuple[str, ...] = ()
    """The age groups, one softmax value per group; none if it estimates gender alone."""
    input: Preprocessing

    @property
    def id(self) -> str:
        """Name and the first 8 digits of the file's SHA-256, as published in every window."""
        return f"{self.name}@{self.sha256[:8]}"


def read_card(model: Path) -> ModelCard:
    """The JSON beside `model`.

    Raises ModelError if the model or its JSON is missing or invalid, or if the two do not belong
    together.
    """
    card_path = model.with_suffix(".json")
    data = read_model(model)
    try:
        card = ModelCard.model_validate_json(card_path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"model {model}: its {card_path.name} cannot be read ({error.strerror}); "
            "tools/quantize.py writes both"
        ) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(f"model {model}: {card_path.name}: {where}: {first['msg']}") from error
    if sorted(card.labels) != sorted(LABELS) and (card.labels or not card.ages):
        raise ModelError(
            f"model {model}: labels are {list(card.labels)}, this daemon counts {list(LABELS)}"
        )
    if card.ages not in ((), AGE_GROUPS):
        raise ModelError(
            f"model {model}: ages are {list(card.ages)}, this daemon counts {list(AGE_GROUPS)}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"model {model}: is not the file that {card_path.name} describes "
            f"(SHA-256 {digest[:8]}..., expected {card.sha256[:8]}...)"
        )
    return card


@dataclass(frozen=True, slots=True)
class Predictions:
    """A model's output for some faces, one row per face."""

    gender: Floats | None
    """float32 (n, 2): p(female), p(male); None if the model does not estimate it."""
    age: Floats | None
    """float32 (n, 8): p of each of `AGE_GROUPS`; None if the model does not estimate it."""


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
        # the model may have its labels in the other order
        order = [self.card.labels.index(label) for label in LABELS] if self._gender else []
        return Predictions(
            np.reshape(genders, (-1, len(LABELS)))[:, order] if self._gender else None,
            np.reshape(ages, (-1, len(AGE_GROUPS))) if self._age else None,
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
