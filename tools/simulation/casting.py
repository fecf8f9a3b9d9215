"""Draws a crowd by seed: who comes, when and how, and what they walk past."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.types import Box, Image
from edge.vision.crop import square
from tools.datasets.archive import DataError
from tools.simulation.crowd import Crowd, Person, Pillar
from tools.simulation.faces import LabelledFace
from tools.simulation.heads import make_head
from tools.simulation.stays import Stay, stays
from tools.simulation.walks import NEAR_M, alone, facing_away, plan

DRAWS = 50
"""How often people who are hardly seen, or hidden for long, get other walks."""
MAX_AWAY_S = 4.0
"""Longest time for which a face may be out of view before it returns, seconds: a little longer than
anybody turns away. Nobody stands behind somebody else for long."""


@dataclass(frozen=True, slots=True)
class Cast:
    """How many people a film has, and how many of each kind."""

    people: int = 24
    """People who face the camera."""
    backs: int = 2
    """People who are only seen from behind."""
    masks: float = 0.05
    """Fraction of people who wear a mask."""
    seconds: float = 45.0
    """Length of the film."""
    fps: float = 12.5


def draw_crowd(
    cast: Cast, faces: Sequence[LabelledFace], background: Image, rng: np.random.Generator
) -> tuple[Crowd, list[Stay]]:
    """A crowd, and the truth about those who face the camera, in order of appearance.

    `faces` are those of `cast.people` people and then of `cast.backs`. Raises DataError if not
    everybody can be seen in so short a film.
    """
    size = (background.shape[1], background.shape[0])
    walks = plan(cast.people, cast.seconds, rng)
    walks += [facing_away(cast.seconds, rng) for _ in range(cast.backs)]
    people = []
    for number, (face, walk) in enumerate(zip(faces, walks, strict=True)):
        masked = number < cast.people and bool(rng.random() < cast.masks)
        head = make_head(face.image, face.box, face.label, rng, mask=masked)
        blue, green, red = (int(tone) for tone in rng.integers(25, 200, 3))
        people.append(Person(head, (blue, green, red), walk, masked))
    crowd = Crowd(size, background, people, _pillars(rng))
    for _ in range(DRAWS):
        truth = stays(crowd, cast.seconds, cast.fps)[: cast.people]
        good = [stay for stay in truth if stay is not None and stay.away_s <= MAX_AWAY_S]
        if len(good) == cast.people:
            return crowd, sorted(good, key=lambda stay: stay.first_s)
        for number in (number for number, stay in enumerate(truth) if stay not in good):
            people[number] = replace(people[number], walk=alone(cast.seconds, rng))
    raise DataError(
        f"{cast.people} people cannot all be seen within {cast.seconds:g} s; ask for fewer people "
        "or a longer film"
    )


def hang_posters(
    background: Image, faces: Sequence[LabelledFace], rng: np.random.Generator
) -> list[Box]:
    """Hang a poster with each of the faces on the wall, in place; returns the faces' boxes."""
    height, width = background.shape[:2]
    boxes = []
    for face in faces:
        side = round(width * rng.uniform(0.06, 0.12))
        border = side // 3
        x = int(rng.integers(border, width - side - border))
        y = int(rng.integers(border, max(border + 1, height // 2 - side)))
        box = face.box
        portrait = square(face.image, round(box.x), round(box.y), round(box.w), side)
        sheet = slice(y - border, y + side + 2 * border), slice(x - border, x + side + border)
        background[sheet] = rng.integers(120, 255, 3)
        background[y : y + side, x : x + side] = portrait
        boxes.append(Box(x, y, side, side))
    return boxes


def _pillars(rng: np.random.Generator) -> list[Pillar]:
    """Up to two pillars."""
    pillars = []
    for _ in range(int(rng.choice([0, 0, 1, 1, 2]))):
        left = float(rng.uniform(0.1, 0.85))
        width = float(rng.uniform(0.03, 0.09))
        distance = float(rng.uniform(NEAR_M, 2.4))
        pillars.append(Pillar(left, left + width, distance, int(rng.integers(60, 200))))
    return pillars
