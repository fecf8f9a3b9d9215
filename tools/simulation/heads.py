"""Heads that can be drawn at any size and turn: a labelled face with hair around it, soft-edged."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import Box, Image

Layer = npt.NDArray[np.float32]
"""A picture with alpha, h x w x 4: B, G, R, each times alpha, then alpha; 0 to 255."""

BOX_PX = 96
"""Side of the detector's box of the face within a head's layers, pixels."""
SIDE_PX = 3 * BOX_PX
"""Side of the layers; the box is in their middle."""
LEVELS = 3
"""Copies of each layer, each half as large as the one before, to draw small heads smoothly."""
PROFILE = 70.0
"""Yaw from which nothing of the face is seen, degrees."""
MASKS = ((225, 205, 180), (240, 240, 240), (60, 50, 50))
"""Colors of masks, B G R."""


@dataclass(frozen=True, slots=True)
class Head:
    """One person's head."""

    label: int
    """Index into `edge.types.LABELS`."""
    back: tuple[Layer, ...]
    """Hair and neck, as seen from behind; the largest copy first."""
    face: tuple[Layer, ...]
    """What lies over it as seen from the front."""


def make_head(
    picture: Image, box: Box, label: int, rng: np.random.Generator, *, mask: bool = False
) -> Head:
    """A head with the face in `box` of a picture, and hair of random length around it."""
    scale = BOX_PX / box.w
    size = (round(scale * picture.shape[1]), round(scale * picture.shape[0]))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    content = np.asarray(cv2.resize(picture, size, interpolation=way), np.uint8)
    left, top = round(BOX_PX - scale * box.x), round(BOX_PX - scale * box.y)
    canvas = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    known = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(SIDE_PX, top + size[1]), min(SIDE_PX, left + size[0])
    canvas[y0:y1, x0:x1] = content[y0 - top : y1 - top, x0 - left : x1 - left]
    known[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3] = 1
    skin, hair = _tones(canvas, rng)
    if mask:
        _put_on_mask(canvas, rng)
    alpha = _oval(0.5, 0.42, 0.47, 0.68, softness=4) * cv2.GaussianBlur(known, (0, 0), 4)
    neck = _neck(skin)
    front = _over(_layer(canvas, np.asarray(alpha, np.float32)), neck)
    return Head(label, _copies(_over(_hair(hair, rng), neck)), _copies(front))


def draw_head(
    view: Image, head: Head, middle: complex, side: float, *, roll: float = 0.0, yaw: float = 0.0
) -> None:
    """Draw a head into a picture, B G R, in place.

    `middle` and `side` are those of the face's box, pixels. `roll` tilts the head clockwise, `yaw`
    turns it to a side: the face moves across the head and narrows until only hair is seen.
    Degrees.
    """
    level = min(LEVELS - 1, max(0, int(np.log2(BOX_PX / side))))
    scale = side / BOX_PX * 2**level
    extent = 3 * side
    left, top = int(middle.real - extent / 2), int(middle.imag - extent / 2)
    width = height = int(extent) + 2
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(view.shape[1], left + width), min(view.shape[0], top + height)
    if x0 >= x1 or y0 >= y1:
        return
    part = view[y0:y1, x0:x1].astype(np.float32)
    turn = np.radians(yaw)
    layers = [(head.back[level], 1.0, 0.0)]
    if abs(yaw) < PROFILE:
        layers.append((head.face[level], float(np.cos(turn)), 0.35 * side * float(np.sin(turn))))
    for layer, squeeze, shift in layers:
        texture = layer.shape[0] / 2
        cos, sin = scale * np.cos(np.radians(roll)), scale * np.sin(np.radians(roll))
        linear = np.array([[cos * squeeze, -sin], [sin * squeeze, cos]])
        target = np.array([middle.real - x0 + shift, middle.imag - y0])
        move = target - linear @ np.array([texture, texture])
        warped = cv2.warpAffine(layer, np.column_stack((linear, move)), (x1 - x0, y1 - y0))
        part = np.asarray(warped[:, :, :3] + part * (1 - warped[:, :, 3:] / 255), np.float32)
    view[y0:y1, x0:x1] = np.clip(part, 0, 255).astype(np.uint8)


def _oval(cx: float, cy: float, across: float, down: float, softness: float) -> Layer:
    """Alpha, 0 to 1, of an ellipse, in sides of the box from its upper left corner; `softness` of
    its edge in pixels."""
    alpha = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    middle = (round(BOX_PX * (1 + cx)), round(BOX_PX * (1 + cy)))
    axes = (round(BOX_PX * across), round(BOX_PX * down))
    cv2.ellipse(alpha, middle, axes, 0, 0, 360, (1.0,), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), softness), np.float32)


def _layer(picture: npt.NDArray[np.generic], alpha: Layer) -> Layer:
    colors = picture.astype(np.float32) * alpha[:, :, None]
    return np.dstack((colors, 255 * alpha)).astype(np.float32)


def _copies(layer: Layer) -> tuple[Layer, ...]:
    copies = [layer]
    while len(copies) < LEVELS:
        copies.append(np.asarray(cv2.pyrDown(copies[-1]), np.float32))
    return tuple(copies)


def _tones(canvas: Image, rng: np.random.Generator) -> tuple[Layer, Layer]:
    """Colors of the cheeks and of the hair, which is seen above the face if it is dark; B G R."""
    x, y = BOX_PX + BOX_PX // 3, BOX_PX
    cheeks = canvas[y + BOX_PX // 2 : y + 2 * BOX_PX // 3, x : x + BOX_PX // 3]
    top = canvas[y - 8 : y + 4, x : x + BOX_PX // 3].reshape(-1, 3)
    skin = np.median(cheeks.reshape(-1, 3), axis=0).astype(np.float32)
    hair = np.median(top, axis=0).astype(np.float32)
    if not 8 < hair.mean() < 0.75 * skin.mean():
        hair = skin * np.float32(rng.uniform(0.2, 0.6))
    return skin, np.asarray(hair, np.float32)


def _neck(skin: Layer) -> Layer:
    shade = np.broadcast_to(0.85 * skin, (SIDE_PX, SIDE_PX, 3))
    return _layer(shade, _oval(0.5, 1.2, 0.2, 0.35, softness=3))


def _hair(hair: Layer, rng: np.random.Generator) -> Layer:
    """Strands of hair, short or down to the shoulders."""
    length = float(rng.choice([0.55, 0.62, 0.75, 0.9]))
    alpha = _oval(0.5, length - 0.4, rng.uniform(0.53, 0.6), length, softness=3)
    roots = rng.normal(1, 0.18, (SIDE_PX // 8, SIDE_PX)).astype(np.float32)
    strands = cv2.GaussianBlur(cv2.resize(roots, (SIDE_PX, SIDE_PX)), (0, 0), 1)
    return _layer(np.clip(hair[None, None] * strands[:, :, None], 0, 255), alpha)


def _over(top: Layer, below: Layer) -> Layer:
    return np.asarray(top + below * (1 - top[:, :, 3:] / 255), np.float32)


def _put_on_mask(canvas: Image, rng: np.random.Generator) -> None:
    """Cover nose, mouth and chin."""
    outline = np.array([(0.08, 0.55), (0.5, 0.47), (0.92, 0.55), (0.85, 0.95), (0.5, 1.12)])
    outline = np.vstack((outline, [(0.15, 0.95)]))
    points = np.round(BOX_PX * (1 + outline)).astype(np.int32)
    color = MASKS[rng.integers(len(MASKS))]
    cv2.fillPoly(canvas, [points], color, cv2.LINE_AA)
    for fold in (0.68, 0.78, 0.88):
        y = round(BOX_PX * (1 + fold))
        ends = (round(1.2 * BOX_PX), y), (round(1.8 * BOX_PX), y)
        cv2.line(canvas, *ends, tuple(0.85 * tone for tone in color), 2, cv2.LINE_AA)
