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


def gender(mean_log_odds: float, min_confidence: float) -> tuple[str, float]:
    """The label of a visit, from the mean of its votes, and the probability of the likelier class.

    The label is `unknown` if that is below `min_confidence`.
    """
    confidence = 1 / (1 + math.exp(-abs(mean_log_odds)))
    # a mean of 0: no vote, none on the gender, or a tie
    sure = mean_log_odds != 0 and confidence >= min_confidence
    return LABELS[mean_log_odds > 0] if sure else UNKNOWN, confidence


def _clip(probability: float) -> float:
    return min(max(probability, MIN_PROBABILITY), 1 - MIN_PROBABILITY)
