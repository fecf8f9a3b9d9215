"""Finds the faces in a frame: Haar's cascade searches, a small network verifies and recovers.

Haar sees faces in clothes, shelves and lamps, and loses a face that turns away. The network looks
only at what Haar found and where a followed face should be, so it costs little.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

from edge.geometry import overlap
from edge.types import MIN_EVIDENCE_COUNTED, MIN_EVIDENCE_FOLLOWED, Box, Face, Frame, Image
from edge.vision.blazeface import MIN_SCORE
from edge.vision.search import SelectiveSearch, Sizes, WholeSearch
from edge.vision.zones import Polygon, Zones

VERIFY_RATIO = 1.6
"""Largest ratio between Haar's box and the verified one: Haar's vary in size."""
RECOVER_RATIO = 1.4
"""Largest ratio between a predicted box and the recovered one: its size is known better."""
SAME_PLACE_OVERLAP = 0.5
"""Overlap from which a found face is the one that was predicted there."""
SAME_FACE_OVERLAP = 0.3
"""Overlap from which two boxes are one face.

In a film of a crowd, seven in ten pairs of boxes that overlap at all share less: people who pass
each other. Two in ten share 0.6 or more: one face. What lies between is taken for one face, for a
face found twice is counted twice, and one that is half hidden comes to light soon.
"""
NEUTRAL_HITS = 2
"""Hits of Haar's that tell neither for a face nor against one.

A face out of focus has many hits, up to 40, and little of what the verifier looks for; what only
looks like a face has few. In ten simulated crowds and 823 pictures without faces, the logarithm of
1 + hits weighed 1.7 times as much as the verifier's log-odds; with equal weights fewer things were
taken for faces in 400 of these pictures, blurred.
"""


class Verifier(Protocol):
    """Looks for a face at one place of a picture, at most `ratio` times as large or small.

    Its score is the probability of a face, from `MIN_SCORE` to 1; None means a lower one.
    Another `view` shows it the same place a little differently.
    """

    def __call__(self, image: Image, box: Box, ratio: float, view: int = 0) -> Face | None: ...


class HaarDetector:
    """Haar's search and a verifier, as a callable from `Frame` to its faces."""

    def __init__(
        self,
        verify: Verifier,
        *,
        min_score: float = 0.5,
        min_face_px: int = 24,
        max_face_px: int | None = None,
        scale_factor: float = 1.1,
        min_neighbours: int = 2,
        region: Polygon | None = None,
        excluded: Sequence[Polygon] = (),
        selective: bool = False,
    ) -> None:
        """What Haar finds is a face if `verify` agrees.

        With `min_score`, 0 to 1, as its probability, `verify` tells neither for a face nor against.
        Sizes are sides of the box in image pixels; no `max_face_px` means no limit.
        `scale_factor` is the ratio between one searched size and the next, `min_neighbours` the
        number of overlapping hits that make a face. A face counts if its center lies in `region`
        and in none of `excluded`. A `selective` detector gets frames of one view in their order,
        and searches what has changed in it; what may be a face is found too, for it is judged
        again while it is followed. Another one searches each frame for itself.

        Raises EdgeError if this OpenCV carries no cascade files.
        """
        sizes = Sizes(min_face_px, max_face_px, scale_factor, min_neighbours)
        self._zones = Zones(region, excluded)
        self._search = (SelectiveSearch if selective else WholeSearch)(sizes, self._zones)
        self._verify, self._min_score = verify, min_score
        self._min_evidence = MIN_EVIDENCE_FOLLOWED if selective else MIN_EVIDENCE_COUNTED

    def __call__(self, frame: Frame, predicted: Sequence[Box] = ()) -> list[Face]:
        """Faces in pixels of `frame.image`, left to right.

        A face of Haar's where one is `predicted` needs no verification; one that the verifier alone
        finds there is `recovered`.
        """
        candidates = [f for f in self._search(frame, predicted) if self._counts(f.box, frame)]
        faces = [
            face
            for face in _without_duplicates(candidates)
            if _is_among(face.box, predicted)
            or self.face_evidence(frame, face.box, face.score) >= self._min_evidence
        ]
        boxes = [face.box for face in faces]
        for place in predicted:
            if not _is_among(place, boxes):
                recovered = self._verify(frame.image, place, RECOVER_RATIO)
                if (
                    recovered is not None
                    and recovered.score >= self._min_score
                    and self._counts(recovered.box, frame)
                ):
                    faces.append(dataclasses.replace(recovered, recovered=True))
        return sorted(_without_duplicates(faces), key=lambda face: (face.box.x, face.box.y))

    def face_evidence(self, frame: Frame, box: Box, hits: float, view: int = 0) -> float:
        """ln of the odds, by one look, that there is a face at `box`, pixels of `frame.image`.

        The verifier's odds are multiplied by those of Haar's `hits`, unless Haar sees none there.
        """
        face = self._verify(frame.image, box, VERIFY_RATIO, view)
        # a single look proves no more than what the verifier can still deny
        score = MIN_SCORE if face is None else min(face.score, 1 - MIN_SCORE)
        evidence = _log_odds(score) - _log_odds(self._min_score)
        return evidence + (math.log((1 + hits) / (1 + NEUTRAL_HITS)) if hits else 0.0)

    def _counts(self, box: Box, frame: Frame) -> bool:
        height, width = frame.image.shape[:2]
        return self._zones.contain(box, (width, height))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _without_duplicates(faces: list[Face]) -> list[Face]:
    """Of boxes on one face only the strongest; those that Haar found are stronger."""
    distinct: list[Face] = []
    for face in sorted(
        faces, key=lambda face: (face.recovered, -face.score, face.box.x, face.box.y)
    ):
        if not any(overlap(face.box, other.box) > SAME_FACE_OVERLAP for other in distinct):
            distinct.append(face)
    return distinct


def _is_among(box: Box, others: Sequence[Box]) -> bool:
    return any(overlap(box, other) > SAME_PLACE_OVERLAP for other in others)
