"""Which face may continue which track, at what cost. Pure.

A face that several tracks may go on with, or one that was lost, is asked for its gender where that
can tell them apart: nobody becomes a woman by walking past one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from edge.geometry import position
from edge.tracking import votes
from edge.tracking.kalman import FaceMotion
from edge.types import Face, Track

MIN_VOTES = 2
"""Votes from which the gender of a track is known well enough to compare it."""
MIN_LEANING = 0.8
"""Least probability of one gender at which comparing is worth a prediction."""
CLOSE_COST = 8.0
"""Costs that differ by more than this are not brought together by a gender."""
MAX_CONTRADICTION = 1.3
"""Contradiction above which a face does not continue a track that was lost: anybody is 3.7 times as
likely to look like that."""
COST_PER_CONTRADICTION = 2.0
"""Costs are twice a negative log likelihood, contradictions once."""
MIN_ERROR = 0.05
"""Least probability that one look is wrong about the gender."""
MIN_VOTES_ERROR = 0.03
"""The same for all votes of a track together."""

Gender = Callable[[Face], float | None]
"""The probability, 0 to 1, that a face is a man's; None if it is not estimated."""


class Match(NamedTuple):
    """A face that may continue a track."""

    cost: float
    """Twice the negative log likelihood, but for a constant."""
    track: Track
    face: int
    """Its index."""


def matches(
    tracks: Sequence[Track], motion: Mapping[int, FaceMotion], faces: Sequence[Face], mono: float
) -> list[Match]:
    """Each pair that may be one person by place and size, cheapest first.

    `motion` is that of each track, by its id; `mono` is the time of the faces, seconds.
    """
    return _sorted(
        (
            Match(cost, track, index)
            for track in tracks
            for index, face in enumerate(faces)
            if (cost := motion[track.id].match_cost(face.box, mono)) is not None
        ),
        faces,
    )


def by_gender(
    candidates: Sequence[Match], faces: Sequence[Face], lost_since: float, gender: Gender
) -> list[Match]:
    """The matches with the cost of what their genders contradict; without those that cannot be.

    A track is lost if it was last seen before `lost_since`, seconds.
    """
    males: dict[int, float] = {}
    for index, face in enumerate(faces):
        of_face = [match for match in candidates if match.face == index]
        if _is_telling(of_face, lost_since) and (male := gender(face)) is not None:
            males[index] = male
    if not males:
        return list(candidates)
    return _sorted(
        (
            _compared(match, males[match.face]) if match.face in males else match
            for match in candidates
            if match.track.last >= lost_since
            or contradiction(match.track, males.get(match.face)) <= MAX_CONTRADICTION
        ),
        faces,
    )


def contradiction(track: Track, male: float | None) -> float:
    """How much less likely this look is of the person of the track than of anybody.

    As a natural logarithm: negative if it is likelier, 0 if too little is known. `male` is the
    probability, 0 to 1, that the face is a man's.
    """
    known = _male(track)
    if known is None or male is None:
        return 0.0
    male = min(max(male, MIN_ERROR), 1 - MIN_ERROR)
    return -math.log(2 * (known * male + (1 - known) * (1 - male)))


def is_known(track: Track) -> bool:
    """Whether the gender of a track can tell it from others."""
    known = _male(track)
    return known is not None and max(known, 1 - known) >= MIN_LEANING


def _is_telling(of_face: Sequence[Match], lost_since: float) -> bool:
    """Whether the gender of a face can decide between the tracks that it may continue."""
    close = [
        match.track
        for match in of_face
        if match.cost - of_face[0].cost < CLOSE_COST and is_known(match.track)
    ]
    genders = {track.log_odds > 0 for track in close}
    return len(genders) > 1 or any(track.last < lost_since for track in close)


def _compared(match: Match, male: float) -> Match:
    cost = match.cost + COST_PER_CONTRADICTION * contradiction(match.track, male)
    return match._replace(cost=cost)


def _male(track: Track) -> float | None:
    """The probability that a track is of a man, by all votes; None if they are too few."""
    if track.votes < MIN_VOTES:
        return None
    male = votes.male_probability(votes.mean_log_odds(track))
    return min(max(male, MIN_VOTES_ERROR), 1 - MIN_VOTES_ERROR)


def _sorted(candidates: Iterable[Match], faces: Sequence[Face]) -> list[Match]:
    # age of the track and place of the face settle equal costs, never the order of the faces
    return sorted(
        candidates, key=lambda match: (match.cost, match.track.id, position(faces[match.face].box))
    )
