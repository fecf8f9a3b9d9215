"""Turn a detected face into the model's input values.

Training, evaluation and the daemon all use `Preprocessing`, so they cannot differ.
"""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Box, Image
from edge.vision.crop import square
from edge.vision.tflite import Floats


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a face becomes the model's input; part of the model card."""

    size: int = 112
    """Side of the square input, pixels."""
    colour: Literal["rgb", "grey"] = "rgb"
    mean: float = 127.5
    std: float = 127.5
    """Input value = (pixel - mean) / std."""
    crop_scale: float = 0.96
    """Side of the crop, in sides of the detector's box."""
    crop_down: float = 0.09
    """Distance of the crop's center below the box's center, in sides of the box.

    Both defaults were measured on UTKFace: its aligned pictures cover this part of a Haar box.
    """

    @property
    def channels(self) -> int:
        return 3 if self.colour == "rgb" else 1

    def crop(self, image: Image, box: Box, roll: float = 0.0) -> Image:
        """The face in `box` of a B G R picture, uint8 size x size x channels.

        A head tilted by `roll` degrees clockwise is turned upright. A crop that reaches over the
        picture's edge is filled with its outermost pixels.
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
        """The box whose crop covers an aligned picture of this size, pixels."""
        side = min(width, height) / self.crop_scale
        return Box((width - side) / 2, (height - side) / 2 - self.crop_down * side, side, side)

    def normalize(self, crops: npt.NDArray[np.uint8]) -> Floats:
        """uint8 crops of any shape as the float32 values that the network was trained on."""
        return (crops.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)


def _upright(image: Image, cx: float, cy: float, side: float, size: int, roll: float) -> Image:
    # a square must be this much larger to hold the turned one
    source_px, padded_px = round(side * math.sqrt(2)), round(size * math.sqrt(2))
    left, top = round(cx - source_px / 2), round(cy - source_px / 2)
    padded = square(image, left, top, source_px, padded_px)
    center = (padded_px - 1) / 2
    rotation = cv2.getRotationMatrix2D((center, center), roll, 1)
    margin = np.array([[0, 0, (padded_px - size) / 2]] * 2)
    return np.asarray(cv2.warpAffine(padded, rotation - margin, (size, size)), np.uint8)
