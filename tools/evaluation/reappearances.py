"""Which new faces were those of people who had been lost, in films whose truth is known."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from edge.config import Config
from edge.tracking import reappearance
from edge.tracking.kalman import FaceMotion
from edge.types import Box
from tools.evaluation import logistic
from tools.evaluation.count_matching import TrueVisit, person_at, sightings_on
from tools.evaluation.count_truth import Truth
from tools.evaluation.logistic import Vector
from tools.evaluation.replay import Replay, replay

MIN_SIGHTINGS = 3
"""Sightings by which somebody was counted before."""
SLOPE_SD = 3.0
"""As `logistic.weights` takes it."""
PARTS = 5
"""Films are left out in so many parts to check the fit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair of which the tracker asked whether it is one person."""

    features: tuple[float, ...]
    lost: tuple[float, Box]
    """When and where it was last seen."""
    found: tuple[tuple[float, Box], tuple[float, Box]]
    """When and where it was first seen, and seen when the tracker asked."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same, with the truth."""

    film: str
    every: int
    """One frame in so many was analyzed."""
    features: tuple[float, ...]
    track: tuple[float, Box]
    """When and where the new track began."""
    is_same: bool
    """Whether the new face is that of the person who was lost."""
    is_counted: bool
    """Whether it is of anybody who was counted before."""


def pairs_in(config: Config, every: int, truth: Truth) -> list[Pair]:
    """All pairs of the configured film that the tracker asked about and that are on known faces.

    All paths of the truth must be known. Raises EdgeError.
    """
    with _asked() as asked:
        run = replay(config, every)
    pairs = []
    for pair in asked:
        lost = person_at(*pair.lost, truth.visits)
        found, later = (person_at(*seen, truth.visits) for seen in pair.found)
        if lost is not None and found is not None and found == later:
            is_same = lost == found
            counted = is_same or _is_counted(run, truth.visits[found], pair.found[0][0])
            pairs.append(Pair(config.source, every, pair.features, pair.found[0], is_same, counted))
    return pairs


def fit(pairs: Sequence[Pair]) -> Vector:
    """Intercept and weights of `reappearance.features`."""
    same = np.array([pair.is_same for pair in pairs], float)
    return logistic.weights(_design(pairs), same, np.ones(len(pairs)), SLOPE_SD)


def log_odds_left_out(pairs: Sequence[Pair]) -> Vector:
    """The log odds of each pair by what the films of other parts give."""
    films = sorted({pair.film for pair in pairs})
    part = np.array([films.index(pair.film) % PARTS for pair in pairs])
    odds = np.zeros(len(pairs))
    for number in set(part):
        rest = [pair for pair, own in zip(pairs, part, strict=True) if own != number]
        left_out = [pair for pair, own in zip(pairs, part, strict=True) if own == number]
        odds[part == number] = _design(left_out) @ fit(rest)
    return odds


def likeliest(pairs: Sequence[Pair], log_odds: Vector) -> list[int]:
    """The index of the likeliest pair of each new track."""
    best: dict[tuple[str, int, tuple[float, Box]], int] = {}
    for index in np.argsort(log_odds):
        pair = pairs[index]
        best[pair.film, pair.every, pair.track] = int(index)
    return sorted(best.values())


@contextmanager
def _asked() -> Iterator[list[Asked]]:
    """The pairs that the tracker asks about while this is open."""
    asked: list[Asked] = []
    log_odds = reappearance.log_odds

    def noted(lost: FaceMotion, found: FaceMotion, contradiction: float) -> float:
        values = reappearance.features(lost, found, contradiction)
        seen = (found.first, found.origin), (found.mono, found.latest)
        asked.append(Asked(values, (lost.mono, lost.latest), seen))
        return log_odds(lost, found, contradiction)

    with patch.object(reappearance, "log_odds", noted):
        yield asked


def _is_counted(run: Replay, person: TrueVisit, before: float) -> bool:
    """Whether a visit saw this person at least `MIN_SIGHTINGS` times before that moment."""
    return any(
        sightings_on([at for at in visit.sightings if at[0] < before], person) >= MIN_SIGHTINGS
        for visit in run.visits
    )


def _design(pairs: Sequence[Pair]) -> Vector:
    return np.array([(1.0, *pair.features) for pair in pairs])
