"""Labelled boxes and other writing on B G R pictures, readable at any size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from edge.types import UNKNOWN, Box, Image
from tools.evaluation.inference import ClassifiedFace

Color = tuple[int, int, int]
"""B, G, R."""
COLORS: dict[str, Color] = {"female": (80, 80, 255), "male": (255, 160, 60), UNKNOWN: (180,) * 3}
"""By gender."""
AGE_COLOR: Color = (80, 160, 60)
"""Of a face whose gender is not estimated."""
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
REFERENCE_PX = 640
"""Width of a picture on which writing has these sizes; on a wider one everything grows with it."""
FONT_PX, PADDING_PX, LINE_PX, DASH_PX = 13, 4, 2, 6
READABLE_PX = 480
"""A picture must be this wide for a label beside a face."""
MAX_ENLARGED_PX = 2048
"""No side is enlarged beyond this, however narrow the picture."""


@dataclass(frozen=True, slots=True)
class Label:
    """A box in pixels of the picture, and what to write beside it."""

    box: Box
    text: str
    color: Color
    dashed: bool = False


def face_label(face: ClassifiedFace, text: str) -> Label:
    """A box in the color of what the model predicts; dashed if it is unsure."""
    name = face.prediction.primary.label
    return Label(face.box, text, COLORS.get(name, AGE_COLOR), dashed=name == UNKNOWN)


def draw_labels(picture: Image, labels: Sequence[Label], *, min_width: int = 0) -> Image:
    """A copy of the picture with the boxes, each with black text on a field of its color.

    A picture narrower than `min_width` is enlarged by a whole number, so that text can be read.
    """
    times = max(1, min(-(-min_width // picture.shape[1]), MAX_ENLARGED_PX // max(picture.shape)))
    pen = Pen(picture if times == 1 else picture.repeat(times, axis=0).repeat(times, axis=1))
    for label in labels:
        pen.box(_scaled(label.box, times), label.color, dashed=label.dashed)
    # after all boxes: no line runs through a text
    for label in labels:
        pen.label(label.text, _scaled(label.box, times), label.color)
    return pen.picture


def draw_note(picture: Image, text: str) -> Image:
    """A copy of the picture with black text on white at the top, in the middle."""
    pen = Pen(picture)
    x = (picture.shape[1] - pen.size(text)[0]) // 2
    pen.field(text, (x, pen.padding), WHITE)
    return pen.picture


def draw_caption(picture: Image, parts: Sequence[str]) -> Image:
    """A copy of the picture with white text on a dark strip along its lower edge.

    Each line holds as many `parts` as fit.
    """
    pen = Pen(picture)
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}   {part}" if lines else part
        if lines and pen.size(longer)[0] <= picture.shape[1]:
            lines[-1] = longer
        else:
            lines.append(part)
    pen.strip(lines)
    return pen.picture


class Pen:
    """Draws on a copy of a picture, with lines and letters in proportion to its width."""

    def __init__(self, picture: Image) -> None:
        self.picture = picture.copy()
        self._height, self._width = picture.shape[:2]
        self._scale = max(1.0, self._width / REFERENCE_PX)
        self._font = _font(round(FONT_PX * self._scale))
        self.padding = round(PADDING_PX * self._scale)

    def size(self, text: str, font: ImageFont.FreeTypeFont | None = None) -> tuple[int, int]:
        """Width and height of one line with its padding, pixels."""
        font = font or self._font
        return math.ceil(font.getlength(text)) + 2 * self.padding, sum(font.getmetrics())

    def text(self, text: str, corner: tuple[int, int], color: Color) -> None:
        """Write one line, padding included, from its left upper corner."""
        font = self._fitting_font(text)
        mask = PIL.Image.new("L", self.size(text, font))
        start = self.padding, font.getmetrics()[0]
        ImageDraw.Draw(mask).text(start, text, 255, font, anchor="ls")
        x, y = corner
        area = self.picture[y : y + mask.height, x : x + mask.width]
        alpha = np.asarray(mask, np.float32)[: area.shape[0], : area.shape[1], np.newaxis] / 255
        area[:] = np.rint(area + alpha * (np.asarray(color, np.float32) - area))

    def field(self, text: str, corner: tuple[int, int], color: Color) -> None:
        """Write one line in black on a field of `color`, moved as needed to be in the picture."""
        width, height = self.size(text, self._fitting_font(text))
        x = max(0, min(corner[0], self._width - width))
        y = max(0, min(corner[1], self._height - height))
        self._fill(x, y, x + width, y + height, color)
        self.text(text, (x, y), BLACK)

    def label(self, text: str, box: Box, color: Color) -> None:
        """A field above the box if there is room, else below it; always within the picture.

        It reaches toward the middle of the picture, where there is more room.
        """
        width, height = self.size(text, self._fitting_font(text))
        is_right = box.cx > self._width / 2
        x = round(box.x + box.w) - width if is_right else round(box.x)
        above, below = round(box.y) - height, round(box.y + box.h)
        self.field(text, (x, above if above >= 0 else below), color)

    def strip(self, lines: Sequence[str]) -> None:
        """White lines on the darkened lower edge of the picture."""
        _, line_height = self.size("")
        top = max(0, self._height - line_height * len(lines))
        self.picture[top:] //= 4
        for number, line in enumerate(lines):
            self.text(line, (0, top + line_height * number), WHITE)

    def box(self, box: Box, color: Color, *, dashed: bool = False) -> None:
        """The outline of a box, just inside it."""
        line = round(LINE_PX * self._scale)
        left, top, right, bottom = map(round, (box.x, box.y, box.x + box.w, box.y + box.h))
        dash = round(DASH_PX * self._scale) if dashed else max(1, right - left, bottom - top)
        for x in range(left, right, 2 * dash):
            end = min(x + dash, right)
            self._fill(x, top, end, top + line, color)
            self._fill(x, bottom - line, end, bottom, color)
        for y in range(top, bottom, 2 * dash):
            end = min(y + dash, bottom)
            self._fill(left, y, left + line, end, color)
            self._fill(right - line, y, right, end, color)

    def _fill(self, left: int, top: int, right: int, bottom: int, color: Color) -> None:
        self.picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = color

    def _fitting_font(self, text: str) -> ImageFont.FreeTypeFont:
        """The usual font, or a smaller one if the text would be wider than the picture."""
        room = self._width - 2 * self.padding
        scale = min(1.0, room / max(1.0, self._font.getlength(text)))
        return _font(max(1, int(scale * self._font.size)))


@cache
def _font(px: int) -> ImageFont.FreeTypeFont:
    # the font that comes with Matplotlib, and that its charts use
    import matplotlib as mpl  # slow to import

    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/DejaVuSans.ttf", px)


def _scaled(box: Box, times: int) -> Box:
    return Box(times * box.x, times * box.y, times * box.w, times * box.h)
