"""A steady flow of people, about as many in view at any moment, to measure what faces cost."""

from dataclasses import dataclass

import numpy as np

from edge.types import Image
from tools.simulation import backgrounds, faces
from tools.simulation.camera import Camera
from tools.simulation.heads import Head, draw_head, make_head

SIZE = (640, 360)
"""Width and height of the view, pixels."""
LANES = ((62, 34), (140, 40), (220, 46), (300, 52))
"""y of the middle of a face and the side of its box, pixels, from far to near."""
MARGIN = 60
"""Pixels beyond both edges of the view at which people vanish and appear."""
SPEED = 64.0
"""Pixels per second."""
MAX_FACES = 20
"""Most people: more would hide each other."""


@dataclass(frozen=True, slots=True)
class Flow:
    """People who cross the view one after another, in lanes, and begin again."""

    background: Image
    heads: tuple[Head, ...]

    def draw(self, seconds: float) -> Image:
        """The view at a moment, with a camera's noise, uint8, B G R."""
        view = self.background.copy()
        for lane, (y, side) in enumerate(LANES):
            heads = self.heads[lane :: len(LANES)]
            length = SIZE[0] + 2 * MARGIN
            for place, head in enumerate(heads):
                x = (SPEED * seconds + length * (place + lane / len(LANES)) / len(heads)) % length
                nod = 0.04 * side * np.sin(6 * seconds + place)
                draw_head(view, head, complex(x - MARGIN, y + nod), side)
        return Camera().take(view, np.random.default_rng(round(1000 * seconds)))


def flow(number: int, seed: int = 1) -> Flow:
    """This many people, the demo's, before a generated room. The same seed gives the same view.

    Raises EdgeError if the demo's faces are missing, ValueError beyond `MAX_FACES`.
    """
    if not 0 <= number <= MAX_FACES:
        raise ValueError(f"{number} people: 0 to {MAX_FACES} have room")
    rng = np.random.default_rng(seed)
    background = backgrounds.generated(SIZE, rng)
    heads = [make_head(f.image, f.box, f.label, rng) for f in faces.of_the_demo(number, rng)]
    return Flow(background, tuple(heads))
