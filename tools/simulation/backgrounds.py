"""Rooms without faces, full of what a search for faces may take for one."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from edge.sources import pictures
from edge.sources.pictures import SUFFIXES, PictureError
from edge.types import Image

Color = tuple[int, int, int]
SCENERY = 360
"""Height of the pictures in which a background is drawn, pixels; it is enlarged to the film's."""
WORDS = ("SALE", "OPEN", "EXIT", "No. 8", "-30 %", "TICKETS", "Room B", "COFFEE", "&", "0:00")


def generated(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """A room of this width and height, pixels, B G R: plain, or with shelves, plants, notices or
    patterned paper."""
    width = max(1, round(SCENERY * size[0] / size[1]))
    room = _room(width, rng)
    kinds: list[Callable[[Image, np.random.Generator], None]] = [
        _paper, _shelves, _plants, _notices, lambda *_: None,
    ]  # fmt: skip
    kinds[rng.integers(len(kinds))](room, rng)
    if rng.random() < 0.5:
        _window(room, rng)
    return np.asarray(cv2.resize(room, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def read(path: Path, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """A picture, or one of a folder of pictures, cut and scaled to this width and height.

    Raises ConfigError.
    """
    try:
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not files:
                raise ConfigError(f"--background {path}: holds no pictures")
        file = files[rng.integers(len(files))]
        picture = pictures.read(file)
    except PictureError as error:
        raise ConfigError(f"--background {file}: {error}") from error
    except OSError as error:
        raise ConfigError(f"--background {path}: cannot be read ({error.strerror})") from error
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    across, down = round(size[0] / scale), round(size[1] / scale)
    left, top = (width - across) // 2, (height - down) // 2
    part = picture[top : top + down, left : left + across]
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _color(rng: np.random.Generator, low: int = 30, high: int = 230) -> Color:
    blue, green, red = (int(tone) for tone in rng.integers(low, high, 3))
    return blue, green, red


def _room(width: int, rng: np.random.Generator) -> Image:
    """A wall with uneven light above a floor."""
    tone = rng.uniform(90, 215)
    wall = tone * rng.uniform(0.9, 1.1, 3)
    lamps = rng.normal(1, 0.12, (3, 5)).astype(np.float32)
    light = cv2.resize(lamps, (width, SCENERY), interpolation=cv2.INTER_CUBIC)
    room = wall * light[:, :, None]
    floor = round(SCENERY * rng.uniform(0.75, 0.95))
    room[floor:] *= rng.uniform(0.4, 0.8, 3)
    room += rng.normal(0, 2, (SCENERY, width, 1))
    return np.clip(room, 0, 255).astype(np.uint8)


def _paper(room: Image, rng: np.random.Generator) -> None:
    """Wallpaper of rings, dots and checks."""
    step, kind, ink = int(rng.integers(18, 50)), rng.integers(3), _color(rng)
    for y in range(0, SCENERY, step):
        for x in range(0, room.shape[1], step):
            middle = (x + (y // step % 2) * step // 2, y)
            if kind == 0:
                cv2.circle(room, middle, step // 3, ink, 2, cv2.LINE_AA)
            elif kind == 1:
                cv2.circle(room, middle, step // 5, ink, -1, cv2.LINE_AA)
            else:
                cv2.rectangle(room, middle, (middle[0] + step // 2, y + step // 2), ink, -1)


def _shelves(room: Image, rng: np.random.Generator) -> None:
    """Boards with plates, bowls, bottles and boxes."""
    spacing = int(rng.integers(60, 100))
    for board in range(spacing, SCENERY, spacing):
        x = int(rng.integers(5, 30))
        while x < room.shape[1]:
            size = int(rng.integers(spacing // 4, spacing // 2 - 3))
            _thing(room, x, board, size, rng)
            x += 2 * size + int(rng.integers(4, 25))
        cv2.rectangle(room, (0, board), (room.shape[1], board + 6), _color(rng, 40, 120), -1)


def _thing(room: Image, x: int, board: int, size: int, rng: np.random.Generator) -> None:
    """Something on a board that lies at y = `board`."""
    glaze, dark = _color(rng, 120, 250), _color(rng, 20, 110)
    kind = rng.integers(4)
    if kind == 0:  # a plate with a rim and dots
        cv2.circle(room, (x, board - size), size, glaze, -1, cv2.LINE_AA)
        cv2.circle(room, (x, board - size), 2 * size // 3, dark, 1, cv2.LINE_AA)
        for angle in range(0, 360, 60):
            turn = np.radians(angle)
            dot = (
                round(x + 0.5 * size * np.cos(turn)),
                round(board - size + 0.5 * size * np.sin(turn)),
            )
            cv2.circle(room, dot, max(1, size // 9), dark, -1, cv2.LINE_AA)
    elif kind == 1:  # a pot with a lid and handles
        cv2.ellipse(room, (x, board - 2 * size // 3), (size, 2 * size // 3), 0, 0, 360, glaze, -1)
        cv2.ellipse(room, (x, board - size), (size // 2, size // 5), 0, 0, 360, dark, -1)
        for handle in (-size, size):
            cv2.circle(room, (x + handle, board - 2 * size // 3), size // 5, dark, 2, cv2.LINE_AA)
    elif kind == 2:  # a bottle with a label
        cv2.rectangle(room, (x - size // 3, board - size), (x + size // 3, board), dark, -1)
        cv2.rectangle(room, (x - size // 8, board - 2 * size), (x + size // 8, board), dark, -1)
        cv2.rectangle(
            room, (x - size // 3, board - size // 2), (x + size // 3, board - 4), glaze, -1
        )
    else:  # a box with two holes above a slot
        cv2.rectangle(room, (x - size, board - 2 * size), (x + size, board), glaze, -1)
        for hole in (-size // 2, size // 2):
            cv2.circle(room, (x + hole, board - 4 * size // 3), size // 5, dark, -1, cv2.LINE_AA)
        cv2.rectangle(
            room, (x - size // 2, board - size // 2), (x + size // 2, board - size // 3), dark, -1
        )


def _plants(room: Image, rng: np.random.Generator) -> None:
    """Leaves of many sizes, light above dark."""
    for _ in range(int(rng.integers(150, 400))):
        middle = (int(rng.integers(room.shape[1])), int(rng.integers(SCENERY // 4, SCENERY)))
        axes = (int(rng.integers(6, 26)), int(rng.integers(3, 9)))
        green = int(rng.integers(40, 190))
        leaf = (green // 2, green, green // 2 + int(rng.integers(40)))
        cv2.ellipse(room, middle, axes, float(rng.uniform(0, 180)), 0, 360, leaf, -1, cv2.LINE_AA)


def _notices(room: Image, rng: np.random.Generator) -> None:
    """Sheets with large and small print."""
    for _ in range(int(rng.integers(4, 9))):
        x, y = int(rng.integers(room.shape[1] - 60)), int(rng.integers(10, SCENERY // 2))
        width, height = (int(side) for side in rng.integers(50, 130, 2))
        sheet, ink = _color(rng, 170, 255), _color(rng, 0, 120)
        cv2.rectangle(room, (x, y), (x + width, y + height), sheet, -1)
        word, font = str(rng.choice(WORDS)), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(room, word, (x + 6, y + 28), font, 0.8, ink, 2, cv2.LINE_AA)
        for line in range(y + 40, y + height - 4, 7):
            end = x + 6 + int((width - 12) * rng.uniform(0.5, 1))
            cv2.line(room, (x + 6, line), (end, line), ink, 1, cv2.LINE_AA)


def _window(room: Image, rng: np.random.Generator) -> None:
    """A bright window with bars."""
    x, y = int(rng.integers(room.shape[1] * 3 // 4)), int(rng.integers(10, 60))
    width, height = int(rng.integers(70, 160)), int(rng.integers(80, 150))
    corners = (x, y), (x + width, y + height)
    cv2.rectangle(room, *corners, _color(rng, 225, 255), -1)
    frame: npt.NDArray[np.int64] = rng.integers(50, 120, 1)
    tone = (int(frame[0]),) * 3
    cv2.rectangle(room, *corners, tone, 4)
    cv2.line(room, (x + width // 2, y), (x + width // 2, y + height), tone, 3)
    cv2.line(room, (x, y + height // 2), (x + width, y + height // 2), tone, 3)
