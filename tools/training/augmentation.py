"""Augmentation: make a clean face look as if a cheap camera and a Haar box had captured it."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Box, Image
from edge.vision.preprocessing import Preprocessing

Floats = npt.NDArray[np.float32]

POOR_CAMERA = 0.5
"""Fraction of the faces that are degraded; the others only get another box and some light."""


def random_view(
    image: Image,
    box: Box,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
    shear: float = 0.0,
) -> Image:
    """The face in `box` turned, moved and mirrored at random, uint8 size x size x channels.

    `shear` is the standard deviation of the slant of its verticals, degrees.
    """
    image = _rotated(image, box, rng)
    if shear:
        image = _slanted(image, box, math.radians(rng.normal(0, shear)))
    crop = preprocessing.crop(image, _jittered(box, rng))
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def degraded(crop: Image, rng: np.random.Generator) -> Image:
    """A view as it might look in another light and to a poor camera, uint8 of the same shape."""
    poor = rng.random() < POOR_CAMERA
    if poor:
        crop = _blurred(crop, rng)
    pixels = crop.astype(np.float32)
    if rng.random() < 0.6:
        pixels = _relit(pixels, rng, strength=1.0 if poor else 0.5)
    if crop.shape[2] == 3:
        pixels = _tinted(pixels, rng)
    if poor and rng.random() < 0.5:
        pixels += rng.normal(0, rng.uniform(2, 12), pixels.shape).astype(np.float32)
    crop = np.clip(pixels, 0, 255).astype(np.uint8)
    if poor and rng.random() < 0.5:
        crop = _compressed(crop, rng)
    if rng.random() < 0.15:
        crop = _occluded(crop, rng)
    return crop


def _jittered(box: Box, rng: np.random.Generator) -> Box:
    # Haar boxes of one face vary by about this much in size and place
    side = box.w * float(np.exp(rng.normal(0, 0.09)))
    cx = box.cx + box.w * float(rng.normal(0, 0.04))
    cy = box.cy + box.h * float(rng.normal(0, 0.04))
    return Box(cx - side / 2, cy - side / 2, side, side)


def _rotated(image: Image, box: Box, rng: np.random.Generator) -> Image:
    if rng.random() < 0.4:
        return image
    height, width = image.shape[:2]
    rotation = cv2.getRotationMatrix2D((box.cx, box.cy), float(rng.normal(0, 8)), 1.0)
    rotated = cv2.warpAffine(image, rotation, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rotated, np.uint8)


def _slanted(image: Image, box: Box, angle: float) -> Image:
    height, width = image.shape[:2]
    slope = math.tan(angle)
    shear = np.array([[1, slope, -slope * box.cy], [0, 1, 0]])  # the center of the face stays
    slanted = cv2.warpAffine(image, shear, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(slanted, np.uint8)


def _blurred(crop: Image, rng: np.random.Generator) -> Image:
    draw = rng.random()
    if draw < 0.6:
        return _low_resolution(crop, rng)
    if draw < 0.8:
        return _motion_blurred(crop, rng)
    return crop


def _low_resolution(crop: Image, rng: np.random.Generator) -> Image:
    size = crop.shape[0]
    small = int(np.exp(rng.uniform(np.log(20), np.log(80))))
    if small >= size:
        return crop
    tiny = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
    method = cv2.INTER_LINEAR if rng.random() < 0.8 else cv2.INTER_CUBIC
    enlarged = cv2.resize(tiny, (size, size), interpolation=method)
    return np.asarray(enlarged, np.uint8).reshape(crop.shape)


def _motion_blurred(crop: Image, rng: np.random.Generator) -> Image:
    # a walker moves by a small fraction of a face's width while the shutter is open
    length = max(2, round(crop.shape[0] * rng.uniform(0.02, 0.1)))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    center = ((length - 1) / 2, (length - 1) / 2)
    rotation = cv2.getRotationMatrix2D(center, float(rng.uniform(-30, 30)), 1.0)
    kernel = np.asarray(cv2.warpAffine(kernel, rotation, (length, length)), np.float32)
    kernel /= max(float(kernel.sum()), 1e-6)
    return np.asarray(cv2.filter2D(crop, -1, kernel), np.uint8).reshape(crop.shape)


def _relit(pixels: Floats, rng: np.random.Generator, *, strength: float) -> Floats:
    gamma = float(np.exp(rng.normal(0, 0.3 * strength)))
    gain, offset = rng.normal(1, 0.2 * strength), rng.normal(0, 12 * strength)
    lit = 255 * (pixels / 255) ** gamma
    if rng.random() < 0.3 * strength:  # a window or a lamp on one side
        ramp = np.linspace(rng.uniform(0.4, 1), 1, pixels.shape[1], dtype=np.float32)
        lit = lit * (ramp if rng.random() < 0.5 else ramp[::-1])[None, :, None]
    return np.clip((lit - 128) * gain + 128 + offset, 0, 255).astype(np.float32)


def _tinted(pixels: Floats, rng: np.random.Generator) -> Floats:
    draw = rng.random()
    if draw < 0.12:
        return np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    if draw < 0.45:
        cast = rng.normal(1, 0.08, 3).astype(np.float32)
        return pixels * cast
    return pixels


def _compressed(crop: Image, rng: np.random.Generator) -> Image:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))]
    _, data = cv2.imencode(".jpg", crop, quality)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8).reshape(crop.shape)


def _occluded(crop: Image, rng: np.random.Generator) -> Image:
    # Z. Zhong et al.: Random Erasing Data Augmentation, AAAI 2020
    size = crop.shape[0]
    h, w = (int(size * rng.uniform(0.1, 0.4)) for _ in range(2))
    y, x = int(rng.integers(0, size - h)), int(rng.integers(0, size - w))
    crop = crop.copy()
    crop[y : y + h, x : x + w] = rng.integers(0, 256, crop.shape[2])
    return crop
