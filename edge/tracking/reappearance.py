"""How likely a new face is that of somebody who was lost, by place, motion, size and gender. Pure.

A logistic regression on pairs of a lost track and a new one that may continue it: 90 simulated
crowds of 30 people, 12.5 and 3 frames a second. tools/reappearance.py fits it to other films.
"""

import math

from edge.geometry import center, distance_to_segment
from edge.tracking.kalman import FaceMotion

INTERCEPT = 0.11
WEIGHTS = (-1.15, -0.88, -0.95, -3.9, -1.76)
"""One for each of `features`."""
NEAR_PATH, NEAR_STRAIGHT = 0.1, 0.5
"""Distances that are as good as none, face widths."""
LITTLE_TURN = 0.5
"""The same of velocities, face widths per second."""


def log_odds(lost: FaceMotion, found: FaceMotion, contradiction: float) -> float:
    """ln(p / (1 - p)) of the probability p that both are one person.

    The arguments are those of `features`.
    """
    values = features(lost, found, contradiction)
    return INTERCEPT + sum(w * value for w, value in zip(WEIGHTS, values, strict=True))


def features(
    lost: FaceMotion, found: FaceMotion, contradiction: float
) -> tuple[float, float, float, float, float]:
    """What a lost face and one that was first seen later have in common.

    `contradiction` is that of their genders, as `matching.contradiction`. The features are the
    logarithms of the distance between their paths, of the distance from where going straight on
    would have led, and of the difference of their velocities, all in face widths; the squared
    logarithm of the ratio of their sizes; and `contradiction`.
    """
    width = math.sqrt(lost.width * found.width)
    place, origin = center(lost.latest), center(found.origin)
    gap = found.first - lost.mono
    # they may have stopped anywhere on the path on which they were going, or have set off
    # anywhere on the one on which they came
    path = min(
        distance_to_segment(origin, place, place + lost.velocity * gap),
        distance_to_segment(place, origin, origin - found.velocity * gap),
    )
    straight = abs(origin - place - (lost.velocity + found.velocity) / 2 * gap)
    turn = abs(found.velocity - lost.velocity)
    return (
        math.log(path / width + NEAR_PATH),
        math.log(straight / width + NEAR_STRAIGHT),
        math.log(turn / width + LITTLE_TURN),
        math.log(found.width / lost.width) ** 2,
        contradiction,
    )
