"""The truth about a crowd: from when to when each face is in view, and where it is.

It is measured on a small plan of the picture, in which nearer people and pillars cover whatever is
farther, so that it follows from the same poses as the film.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.types import LABELS
from tools.simulation.crowd import Crowd, Person, Pillar, Place

PLAN_PX = 320
"""Width of the plan, pixels."""
IN_VIEW = 0.9
"""Fraction of a face that must be visible for the whole face to be in view."""
HIDDEN = 0.5
"""Fraction of a face below which it is hidden; anything between may be recognized as a face."""
FRONTAL = 40.0
"""Largest yaw of a face that is turned to the camera, degrees."""
MIN_VIEW_S = 1.0
"""A person counts if the face is in view for this long without a break, seconds."""
SAMPLES_HZ = 5.0
"""Places of a face per second in the truth."""
FACE = (0.38, 0.5)
"""Half axes of the oval of a face, in sides of its box."""
HAIR = (0.5, 0.65)
"""Half axes of the oval of a head."""


@dataclass(frozen=True, slots=True)
class Stay:
    """The truth about one person's face."""

    gender: str
    first_s: float
    last_s: float
    """When the whole face is in view first and last, seconds."""
    attention_s: float
    """How long at least half of it is seen meanwhile, turned to the camera, seconds."""
    face_px: int
    """Median side of its box while it is in view."""
    away_s: float
    """Longest time out of view before at least half of it is seen again, seconds."""
    mask: bool
    path: tuple[tuple[float, int, int, int], ...]
    """Seconds, x and y of the middle and side of the box, pixels, whether visible or not."""


def stays(crowd: Crowd, seconds: float, fps: float) -> list[Stay | None]:
    """The truth about each person in a film; None for anyone whom nobody could count."""
    times = np.arange(round(seconds * fps)) / fps
    fractions = np.array([visible(crowd, float(moment)) for moment in times], float)
    fractions = fractions.reshape(len(times), len(crowd.people))
    return [
        _stay(person, crowd.size, times, fractions[:, number], fps)
        for number, person in enumerate(crowd.people)
    ]


def visible(crowd: Crowd, seconds: float) -> list[float]:
    """The fraction of each person's face that can be seen at a moment; 0 if it is turned away."""
    scale = PLAN_PX / crowd.size[0]
    area = np.full((round(scale * crowd.size[1]), PLAN_PX), -1, np.int16)
    whole = dict[int, int]()
    for place in crowd.places(seconds):
        if isinstance(place, Pillar):
            area[:, place.columns(PLAN_PX)] = -1
        else:
            whole[place.number] = _cover(area, place, scale)
    return [
        np.count_nonzero(area == number) / whole[number] if whole.get(number) else 0.0
        for number in range(len(crowd.people))
    ]


def _cover(area: npt.NDArray[np.int16], place: Place, scale: float) -> int:
    """Draw a person into the plan, all but the face as -1.

    Returns the size of the face in pixels of the plan, 0 if it is turned away.
    """
    pose = place.pose
    side, x, y = scale * pose.side, scale * pose.middle.real, scale * pose.middle.imag
    left, right = (max(0, round(x + across * side)) for across in (-0.95, 0.95))
    area[max(0, round(y + 0.8 * side)) :, left:right] = -1
    hair = (round(HAIR[0] * side), round(HAIR[1] * side))
    cv2.ellipse(area, (round(x), round(y - 0.1 * side)), hair, 0, 0, 360, (-1,), -1)
    if abs(pose.yaw) > FRONTAL:
        return 0
    axes = (round(FACE[0] * side), round(FACE[1] * side))
    cv2.ellipse(area, (round(x), round(y)), axes, 0, 0, 360, (place.number,), -1)
    oval = np.zeros((2 * axes[1] + 1, 2 * axes[0] + 1), np.uint8)
    cv2.ellipse(oval, axes, axes, 0, 0, 360, (1,), -1)
    return int(np.count_nonzero(oval))


def _stay(
    person: Person,
    size: tuple[int, int],
    times: npt.NDArray[np.float64],
    fractions: npt.NDArray[np.float64],
    fps: float,
) -> Stay | None:
    in_view = fractions >= IN_VIEW
    if _longest(in_view, value=True) < MIN_VIEW_S * fps:
        return None
    (frames,), (seen,) = np.nonzero(in_view), np.nonzero(fractions >= HIDDEN)
    poses = [(float(moment), person.walk.pose(float(moment), size)) for moment in times]
    sides = [pose.side for (_, pose), shown in zip(poses, in_view, strict=True) if pose and shown]
    return Stay(
        gender=LABELS[person.head.label],
        first_s=round(float(times[frames[0]]), 2),
        last_s=round(float(times[frames[-1]]), 2),
        attention_s=round(_time_seen(fractions[frames[0] : frames[-1] + 1] >= HIDDEN) / fps, 2),
        face_px=round(float(np.median(sides))),
        away_s=round(_longest(in_view[seen[0] : seen[-1] + 1], value=False) / fps, 2),
        mask=person.masked,
        path=tuple(
            (round(moment, 2), round(pose.middle.real), round(pose.middle.imag), round(pose.side))
            for moment, pose in poses[:: max(1, round(fps / SAMPLES_HZ))]
            if pose is not None
        ),
    )


def _time_seen(seen: npt.NDArray[np.bool_]) -> float:
    """How long something is seen, in frames: half of the time to a frame without it."""
    return float(np.sum(seen[1:].astype(float) + seen[:-1]) / 2)


def _longest(flags: Sequence[bool] | npt.NDArray[np.bool_], *, value: bool) -> int:
    """Length of the longest run of a value."""
    runs = ((flag, len(list(run))) for flag, run in itertools.groupby(flags))
    return max((length for flag, length in runs if bool(flag) == value), default=0)
