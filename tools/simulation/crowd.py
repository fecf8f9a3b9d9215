"""A crowd before a background, drawn at any moment."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.types import Image
from tools.simulation.heads import Head, draw_head
from tools.simulation.walks import Pose, Walk


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who walks past."""

    head: Head
    clothes: tuple[int, int, int]
    """Their color, B G R."""
    walk: Walk
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Pillar:
    """Something that hides everybody behind it."""

    left: float
    right: float
    """Edges, in widths of the picture, 0 to 1."""
    distance: float
    """From the camera, metres."""
    tone: int
    """0 to 255."""

    def columns(self, width: int) -> slice:
        """The part of a picture of this width, pixels, that it covers."""
        return slice(round(self.left * width), round(self.right * width))


@dataclass(frozen=True, slots=True)
class Place:
    """A person at one moment."""

    person: Person
    pose: Pose
    number: int
    """Index into `Crowd.people`."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody who walks past a background."""

    size: tuple[int, int]
    """Width and height of the picture, pixels."""
    background: Image
    people: Sequence[Person]
    pillars: Sequence[Pillar] = ()

    def places(self, seconds: float) -> list[Place | Pillar]:
        """Who and what is before the background at a moment, from far to near."""
        places: list[tuple[float, Place | Pillar]] = [
            (pillar.distance, pillar) for pillar in self.pillars
        ]
        for number, person in enumerate(self.people):
            pose = person.walk.pose(seconds, self.size)
            if pose is not None:
                places.append((pose.distance, Place(person, pose, number)))
        return [place for _, place in sorted(places, key=lambda item: -item[0])]

    def draw(self, seconds: float) -> Image:
        """The view at a moment, uint8, B G R."""
        view = self.background.copy()
        for place in self.places(seconds):
            if isinstance(place, Pillar):
                covered = view[:, place.columns(self.size[0])]
                shade = np.linspace(0.75, 1.1, covered.shape[1]) * place.tone
                covered[:] = np.clip(shade, 0, 255).astype(np.uint8)[None, :, None]
            else:
                _draw_body(view, place.pose, place.person.clothes)
                pose = place.pose
                draw_head(
                    view, place.person.head, pose.middle, pose.side, roll=pose.roll, yaw=pose.yaw
                )
        return view


def _draw_body(view: Image, pose: Pose, clothes: tuple[int, int, int]) -> None:
    """Shoulders and what is below them, with a seam."""
    x, side, height = round(pose.middle.real), pose.side, view.shape[0]
    y = round(pose.middle.imag + 1.35 * side)
    across = round(0.95 * side)
    cv2.ellipse(view, (x, y), (across, round(0.55 * side)), 0, 180, 360, clothes, -1, cv2.LINE_AA)
    cv2.rectangle(view, (x - across, y), (x + across, height), clothes, -1)
    seam = tuple(0.7 * tone for tone in clothes)
    cv2.line(view, (x, y), (x, height), seam, max(1, round(0.04 * side)), cv2.LINE_AA)
