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


def add(track: Track, male: float | None, ages: Sequence[float] | None = None) -> None:
    """Add one prediction for this face: the probability, 0 to 1, that it is a man's, and those
    of `AGE_GROUPS`; None for what is not estimated."""
    weight = min(1.0, track.box.w / CLEAR_FACE_PX) * (HIDDEN_WEIGHT if track.hidden else 1.0)
    track.weight += weight
    if male is not None:
        track.log_odds += weight * log_odds(male)
    if ages is not None:
        sums = zip(track.log_ages, ages, strict=True)
        track.log_ages = tuple(total + weight * math.log(_clip(p)) for total, p in sums)
    track.votes += 1
    track.last_vote = track.last


def log_odds(male: float) -> float:
    """ln(p(male) / p(female)) of one vote, from the probability of a man, 0 to 1."""
    male = _clip(male)
    return math.log(male / (1 - male))


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
