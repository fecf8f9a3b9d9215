"""Draws the demo's view: people who do not exist walk past, in groups of known size.

Every `CYCLE_S` seconds a group of up to three crosses the view and is gone before the next, so that
the counts can be compared with the truth. The same seed shows the same people.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from edge.types import LABELS, Image, People

WIDTH, HEIGHT = 640, 360
CYCLE_S = 10.0
CROSSING_S = (4.5, 5.5)
"""Shortest and longest time a person takes from one edge of the view to the other, seconds."""
LANES = ((80, 56), (165, 72), (265, 92))
"""y of a face's center and the face's width, pixels, from far to near."""

PEOPLE = Path(__file__).with_name("people")
"""Composite faces, each the average of 40 people; made by tools/composites.py."""


@dataclass(frozen=True, slots=True)
class Walker:
    """One crossing of the view."""

    face: int
    start: float
    """Seconds since the cycle began."""
    seconds: float
    rightwards: bool
    lane: int
    clothes: tuple[int, int, int]


class Scene:
    """A view that can be drawn at any moment."""

    def __init__(self, seed: int = 1) -> None:
        """Read the composite faces. Raises EdgeError if they are missing."""
        self._seed = seed
        files = sorted(PEOPLE.glob("*.jpg"))
        if not files:
            raise EdgeError(f"demo: no faces in {PEOPLE}; the installation is incomplete")
        self._labels = [file.name.split("-")[0] for file in files]
        self._faces = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
        self._background = _background()

    def group(self, cycle: int) -> list[Walker]:
        """The people who walk past in this cycle; the first is 0."""
        rng = np.random.default_rng((self._seed, cycle))
        number = int(rng.integers(1, len(LANES) + 1))
        lanes = rng.choice(len(LANES), number, replace=False)
        faces = rng.choice(len(self._faces), number, replace=False)
        return [
            Walker(
                face=int(face),
                start=float(rng.uniform(0, 1.5)),
                seconds=float(rng.uniform(*CROSSING_S)),
                rightwards=bool(rng.random() < 0.5),
                lane=int(lane),
                clothes=tuple(int(c) for c in rng.integers(40, 170, 3)),  # type: ignore[arg-type]
            )
            for lane, face in sorted(zip(lanes, faces, strict=True))
        ]

    def people(self, cycle: int) -> People:
        """Number of people of each gender who walk past in that cycle."""
        labels = [self.label(walker) for walker in self.group(cycle)]
        return People(**{label: labels.count(label) for label in LABELS})

    def label(self, walker: Walker) -> str:
        """One of `LABELS`."""
        return self._labels[walker.face]

    def draw(self, seconds: float) -> Image:
        """The view, `seconds` after the scene began: HEIGHT x WIDTH x 3, B G R, uint8."""
        cycle, moment = divmod(seconds, CYCLE_S)
        view = self._background.copy()
        for walker in self.group(int(cycle)):
            progress = (moment - walker.start) / walker.seconds
            if 0 <= progress <= 1:
                self._walk(view, walker, progress)
        return view

    def _walk(self, view: Image, walker: Walker, progress: float) -> None:
        y, width = LANES[walker.lane]
        along = progress if walker.rightwards else 1 - progress
        x = round(-width + along * (WIDTH + 2 * width))
        y += round(0.04 * width * np.sin(progress * 6 * np.pi))  # the head bobs with each step
        shoulders = (round(0.95 * width), round(0.9 * width))
        cv2.ellipse(view, (x, y + round(1.32 * width)), shoulders, 0, 180, 360, walker.clothes, -1)
        bottom = (x - shoulders[0], y + round(1.32 * width))
        cv2.rectangle(view, bottom, (x + shoulders[0], HEIGHT), walker.clothes, -1)
        face = cv2.resize(self._faces[walker.face], (width, width), interpolation=cv2.INTER_AREA)
        _blend(view, np.asarray(face, np.uint8), x - width // 2, y - width // 2)


def _blend(view: Image, face: Image, left: int, top: int) -> None:
    """Paste an aligned face with its corners faded out, clipped to the view."""
    size = face.shape[0]
    x0, x1 = max(left, 0), min(left + size, WIDTH)
    y0, y1 = max(top, 0), min(top + size, HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    alpha = _oval(size)[part][:, :, None]
    background = view[y0:y1, x0:x1]
    view[y0:y1, x0:x1] = (alpha * face[part] + (1 - alpha) * background).astype(np.uint8)


def _oval(size: int) -> npt.NDArray[np.float32]:
    across = np.linspace(-1, 1, size, dtype=np.float32)
    radius = np.hypot(across[None, :] / 0.92, across[:, None] / 1.02)
    return np.asarray(np.clip((1.0 - radius) / 0.12 + 0.5, 0, 1), np.float32)


def _background() -> Image:
    """A plain room: wall, floor and skirting, with the faint grain of a camera."""
    wall = np.linspace(205, 165, HEIGHT, dtype=np.float32)[:, None, None]
    room = np.broadcast_to(wall, (HEIGHT, WIDTH, 3)).copy()
    room *= np.array([0.97, 1.0, 1.02], np.float32)
    room[290:] = (96, 112, 126)
    room[284:290] = (140, 146, 150)
    room += np.random.default_rng(0).normal(0, 2, (HEIGHT, WIDTH, 1))
    return np.clip(room, 0, 255).astype(np.uint8)
