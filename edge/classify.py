"""Faces to probabilities: crop, preprocess, quantise, run the TFLite model, dequantise.

Training, evaluation and the daemon all prepare faces with `Preprocessing`, so they cannot differ.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pydantic

from edge.crop import square
from edge.errors import ModelError
from edge.records import LABELS, Box, Image
from edge.runtime import Floats, Tensor, open_interpreter, read_model


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
    """How far the crop's centre lies below the box's, in sides of the box.

    Both defaults were measured on UTKFace: its aligned pictures cover this part of a Haar box.
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

    def normalise(self, crops: npt.NDArray[np.uint8]) -> Floats:
        """uint8 crops of any leading shape to the float32 values the network was trained on."""
        return (crops.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)


def _upright(image: Image, cx: float, cy: float, side: float, size: int, roll: float) -> Image:
    # as large as the square must be to hold the turned one
    wide, room = round(side * math.sqrt(2)), round(size * math.sqrt(2))
    around = square(image, round(cx - wide / 2), round(cy - wide / 2), wide, room)
    turn = cv2.getRotationMatrix2D(((room - 1) / 2, (room - 1) / 2), roll, 1)
    middle = np.array([[0, 0, (room - size) / 2]] * 2)
    return np.asarray(cv2.warpAffine(around, turn - middle, (size, size)), np.uint8)


class ModelCard(pydantic.BaseModel, frozen=True):
    """The JSON beside a model; keys beyond these are for people and tools."""

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    labels: tuple[str, ...]
    output: Literal["sigmoid", "softmax"]
    """`sigmoid`: one value, the probability of the second label; `softmax`: one value per label."""
    input: Preprocessing

    @property
    def id(self) -> str:
        """Name and the first 8 digits of the file's SHA-256, as published in every window."""
        return f"{self.name}@{self.sha256[:8]}"


def read_card(model: Path) -> ModelCard:
    """The JSON beside `model`.

    Raises ModelError where the model or its JSON is missing, is not what it should be, or where
    the two do not belong together.
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
    if sorted(card.labels) != sorted(LABELS):
        raise ModelError(
            f"model {model}: labels are {list(card.labels)}, this daemon counts {list(LABELS)}"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"model {model}: is not the file that {card_path.name} describes "
            f"(SHA-256 {digest[:8]}..., expected {card.sha256[:8]}...)"
        )
    return card


class Classifier:
    """A TFLite model as a callable from crops to probabilities."""

    def __init__(
        self, model: Path, *, runtime: str = "auto", threads: int = 1, xnnpack: bool = True
    ) -> None:
        """Open `model` and the JSON beside it. Raises ModelError."""
        self.card = read_card(model)
        self.preprocessing = self.card.input
        self._interpreter, self.runtime = open_interpreter(model, runtime, threads, xnnpack=xnnpack)
        self._input = self._only(self._interpreter.get_input_details(), "input", model)
        self._output = self._only(self._interpreter.get_output_details(), "output", model)
        size, channels = self.preprocessing.size, self.preprocessing.channels
        if self._input.shape != (1, size, size, channels):
            raise ModelError(
                f"model {model}: takes input {list(self._input.shape)}, "
                f"but its JSON says {[1, size, size, channels]}"
            )
        values = 1 if self.card.output == "sigmoid" else len(LABELS)
        if self._output.shape != (1, values):
            raise ModelError(
                f"model {model}: gives output {list(self._output.shape)}, "
                f"but {self.card.output} needs {[1, values]}"
            )

    @staticmethod
    def _only(details: list[dict[str, Any]], end: str, model: Path) -> Tensor:
        if len(details) != 1:
            raise ModelError(f"model {model}: has {len(details)} {end}s, one is needed")
        return Tensor.of(details[0])

    def __call__(self, crops: Sequence[Image]) -> Floats:
        """uint8 crops made by `preprocessing.crop` to float32 (n, 2): p(female), p(male)."""
        result = np.empty((len(crops), len(LABELS)), np.float32)
        for row, crop in zip(result, crops, strict=True):
            values = self._input.quantise(self.preprocessing.normalise(crop[None]))
            self._interpreter.set_tensor(self._input.index, values)
            self._interpreter.invoke()
            out = self._output.dequantise(self._interpreter.get_tensor(self._output.index))[0]
            row[:] = (1 - out[0], out[0]) if self.card.output == "sigmoid" else out
        # the model may have its labels the other way round
        return result[:, [self.card.labels.index(label) for label in LABELS]]
