"""A picture turned upright, with the smaller gray copy that the detector searches."""

import cv2
import numpy as np

from edge.types import CaptureSettings, Frame, Image

MAX_RATIO = 4
"""Largest height of the gray copy, in multiples of its `gray_width`: searching a narrow and very
tall strip would take minutes."""
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def frame_of(
    seq: int,
    mono: float,
    utc: float,
    image: Image,
    settings: CaptureSettings,
    gray: Image | None = None,
) -> Frame:
    """A picture with its gray copy.

    The copy is at most `settings.gray_width` wide and `MAX_RATIO` times that high.
    """
    if gray is None:
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        height, width = gray.shape
        across = min(settings.gray_width, MAX_RATIO * settings.gray_width * width / height)
        if width > across:
            size = (max(1, round(across)), max(1, round(height * across / width)))
            gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    return Frame(seq, mono, utc, image, gray)


def upright(image: Image, settings: CaptureSettings) -> Image:
    """The picture flipped, then turned, as `settings` ask."""
    if settings.flip_horizontal:
        image = np.asarray(cv2.flip(image, 1), np.uint8)
    if settings.flip_vertical:
        image = np.asarray(cv2.flip(image, 0), np.uint8)
    return turned(image, settings.rotate)


def turned(image: Image, degrees: int) -> Image:
    """The picture turned clockwise by a multiple of 90 degrees."""
    return np.asarray(cv2.rotate(image, ROTATIONS[degrees]), np.uint8) if degrees else image
