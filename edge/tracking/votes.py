"""What the model says about single looks at a face, summed up. Pure."""

import math
from collections.abc import Sequence

from edge.types import LABELS, UNKNOWN, Track

CLEAR_FACE_PX = 32
"""Width, pixels, below which a face shows less; its votes weigh less in proportion."""
HIDDEN_WEIGHT = 0.25
"""Factor on the votes of a face that another one may hide in part."""
MIN_PROBABILITY = 0.002
"""A vote's lowest probability: an int8 output cannot be surer than its last step."""
FACE_WEIGHT = 0.5
"""Factor on the log odds of a face: classifier and verifier often err about the same things."""


def add(
    track: Track,
    male: float | None,
    ages: Sequence[float] | None = None,
    face: float | None = None,
) -> None:
    """Add one prediction: the probability, 0 to 1, that this face is a man's, those of
    `AGE_GROUPS`, and the one that it is a face at all; None for what is not estimated."""
    weight = min(1.0, track.box.w / CLEAR_FACE_PX) * (HIDDEN_WEIGHT if track.hidden else 1.0)
    track.weight += weight
    if male is not None:
        track.log_odds += weight * log_odds(male)
    if ages is not None:
        sums = zip(track.log_ages, ages, strict=True)
        track.log_ages = tuple(total + weight * math.log(_clip(p)) for total, p in sums)
    if face is not None:
        track.face_log_odds += weight * FACE_WEIGHT * log_odds(face)
    track.votes += 1
    track.last_vote = track.last


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)) of one vote, from a probability of 0 to 1."""
    probability = _clip(probability)
    return math.log(probability / (1 - probability))


def mean_log_odds(track: Track) -> float:
    """Of all votes of a track, by their weights; 0 without any."""
    return track.log_odds / track.weight if track.weight else 0.0


def male_probability(mean: float) -> float:
    """The probability of a man, 0 to 1, from the mean log odds of the votes."""
    return 1 / (1 + math.exp(-mean))


def gender(mean: float, min_confidence: float) -> tuple[str, float]:
    """The label of a visit, and the probability of the likelier class.

    `mean` is the mean log odds of its votes. The label is `unknown` if the probability is below
    `min_confidence`.
    """
    confidence = male_probability(abs(mean))
    # a mean of 0: no vote, none on the gender, or a tie
    sure = mean != 0 and confidence >= min_confidence
    return LABELS[mean > 0] if sure else UNKNOWN, confidence


def _clip(probability: float) -> float:
    return min(max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
