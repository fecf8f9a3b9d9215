"""Faces to probabilities: crop, preprocess, quantise, run the TFLite model, dequantise.

Training, evaluation and the daemon all prepare faces with `Preprocessing`, so they cannot differ.
"""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import pydantic

from edge.errors import ModelError
from edge.records import LABELS, Box, Image

Floats = npt.NDArray[np.float32]

RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""TFLite runtimes by preference: only ai-edge-litert runs int8 through XNNPACK."""


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

    def crop(self, image: Image, box: Box) -> Image:
        """The face in `box` of a B G R picture, as uint8 size x size x channels.

        The picture's edge is repeated where the crop leaves it. Shrinks by area averaging, so that
        a large face is not aliased.
        """
        side = max(box.w, box.h) * self.crop_scale
        cx, cy = box.cx, box.cy + self.crop_down * box.h
        x0, y0 = round(cx - side / 2), round(cy - side / 2)
        n = max(1, round(side))
        height, width = image.shape[:2]
        # np.clip on the indices repeats the border where the crop leaves the picture
        rows = np.clip(np.arange(y0, y0 + n), 0, height - 1)
        cols = np.clip(np.arange(x0, x0 + n), 0, width - 1)
        if rows[-1] - rows[0] == n - 1 and cols[-1] - cols[0] == n - 1:
            part = image[y0 : y0 + n, x0 : x0 + n]
        else:
            part = image[rows[:, None], cols]
        method = cv2.INTER_AREA if n > self.size else cv2.INTER_LINEAR
        face = cv2.resize(part, (self.size, self.size), interpolation=method)
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
    try:
        data = model.read_bytes()
    except OSError as error:
        raise ModelError(f"model {model}: cannot be read ({error.strerror})") from error
    # the identifier of a TFLite flatbuffer; the runtimes themselves may crash on other files
    if data[4:8] != b"TFL3":
        raise ModelError(f"model {model}: is not a TFLite file; make one with tools/quantize.py")
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


def open_interpreter(
    model: Path, runtime: str = "auto", threads: int = 1, *, xnnpack: bool = True
) -> tuple[Any, str]:
    """A TFLite interpreter with its tensors allocated, and the name of the runtime that made it.

    `auto` takes the first of `RUNTIMES` that is installed and works. Without `xnnpack` all of them
    use the same kernels and give the same outputs; else each uses its fastest. Raises ModelError.
    """
    names = list(RUNTIMES) if runtime == "auto" else [runtime]
    reasons: list[str] = []
    for name in names:
        try:
            # an import alone proves nothing: tflite-runtime with numpy 2 fails only here
            module = importlib.import_module(RUNTIMES[name])
            kernels = module.OpResolverType
            interpreter = module.Interpreter(
                model_path=str(model),
                num_threads=threads,
                experimental_op_resolver_type=kernels.AUTO
                if xnnpack
                else kernels.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
            return interpreter, name
        except ImportError as error:
            reasons.append(f"{name} is not installed ({error})")
        except (AttributeError, SystemError) as error:
            reasons.append(f"{name} does not work here ({error})")
        except (RuntimeError, ValueError) as error:
            # the model's fault; on some such files tflite-runtime would crash
            reasons.append(f"{name}: {str(error).strip()}")
            break
    raise ModelError(f"model {model}: no TFLite runtime can run it: {'; '.join(reasons)}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One end of the model: where it is and how its numbers stand for real ones."""

    index: int
    shape: tuple[int, ...]
    dtype: type[np.generic]
    scale: float
    zero_point: int

    @classmethod
    def of(cls, details: dict[str, Any]) -> "Tensor":
        scale, zero_point = details["quantization"]
        shape = tuple(int(n) for n in details["shape"])
        return cls(details["index"], shape, details["dtype"], float(scale), int(zero_point))

    def quantise(self, values: Floats) -> npt.NDArray[Any]:
        """Real numbers to the tensor's own; float tensors take them as they are."""
        if not np.issubdtype(self.dtype, np.integer):
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)  # type: ignore[type-var]  # checked in the line above
        steps = np.rint(values / self.scale) + self.zero_point
        return np.asarray(np.clip(steps, limits.min, limits.max), self.dtype)

    def dequantise(self, values: npt.NDArray[Any]) -> Floats:
        """The tensor's own numbers to real ones."""
        if not np.issubdtype(self.dtype, np.integer):
            return values.astype(np.float32)
        real = (values.astype(np.float32) - self.zero_point) * self.scale
        return np.asarray(real, np.float32)


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
