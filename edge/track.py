"""Faces to tracks to visits, by place and motion alone. Pure: time comes with the faces."""

import math
from collections.abc import Callable, Sequence

from edge.places import Places, Stillness
from edge.records import LABELS, UNKNOWN, Box, Face, Track, Visit

MAX_SPEED = 4.0
"""Fastest plausible change of a face's motion, face widths per second.

A brisk walk is 1.8 m/s and a face about 0.16 m wide: 11 widths per second across the view at most;
what the velocity estimate has not yet followed is less.
"""
MAX_GATE = 2.0
"""Farthest a face may lie from where it is expected, face widths."""
MAX_GROWTH = 1.6
"""Largest ratio between the sizes of one face in two sightings."""
SMOOTHING_S = 0.4
"""Time over which velocity is averaged."""
COAST_S = 0.6
"""Time for which a lost face is expected to go on moving; then it is expected to stay."""
UNCONFIRMED_PATIENCE = 0.5
"""Share of the patience that a track not yet confirmed gets: false alarms come and go."""
LEFT_PATIENCE = 0.2
"""Share of the patience for a face last seen moving out of the view.

Who comes in there soon after is somebody else.
"""
EDGE = 0.75
"""A face is at the edge of the view where it has at most this many face widths of room."""
VOTE_EVERY_S = 0.15
"""Votes of one face closer together than this tell the same thing twice."""
SURE_LOG_ODDS = 8.0
"""Summed evidence at which no more votes are needed."""


class Tracker:
    """Follows faces; each confirmed track becomes one visit when it ends."""

    def __init__(
        self,
        *,
        patience: float = 2.0,
        min_sightings: int = 3,
        min_seconds: float = 0.5,
        votes: int = 9,
        min_confidence: float = 0.6,
        static_after: float = 180.0,
    ) -> None:
        """A track ends `patience` seconds after its last sighting.

        It is confirmed after `min_sightings` spread over at least `min_seconds`. Its label is the
        class with the stronger mean vote, or unknown below `min_confidence`; at most `votes` are
        taken. A face that has not moved for `static_after` seconds is no visitor.
        """
        self._patience = patience
        self._min_sightings, self._min_seconds = min_sightings, min_seconds
        self._votes, self._min_confidence = votes, min_confidence
        self._static_after = static_after
        self._next_id = 1
        self._tracks: list[Track] = []
        self._still: dict[int, Stillness] = {}
        self._places = Places(static_after)

    def update(
        self, faces: Sequence[Face], mono: float, size: tuple[int, int]
    ) -> tuple[list[Track], list[Visit]]:
        """The tracks seen at `mono` (seconds), and the visits that ended by then.

        `size` is the width and height of the picture in pixels.
        """
        visits = self._end(lambda track: mono - track.last > self._patience_of(track, size))
        seen = []
        taken = set()
        for _, index, track in sorted(
            (
                (cost, index, track)
                for track in self._tracks
                for index, face in enumerate(faces)
                if (cost := _cost(track, face.box, mono)) is not None
            ),
            # equal costs are settled by age and place, never by the order of the faces
            key=lambda match: (match[0], match[2].id, _place(faces[match[1]])),
        ):
            if index in taken or track.last == mono:
                continue
            taken.add(index)
            self._move(track, faces[index].box, mono)
            seen.append(track)
        for index in sorted(set(range(len(faces))) - taken, key=lambda i: _place(faces[i])):
            track = Track(self._next_id, faces[index].box, mono, mono)
            track.static = self._places.static_at(track.box, mono)
            self._still[track.id] = Stillness.at(track.box)
            self._next_id += 1
            self._confirm(track)
            self._tracks.append(track)
            seen.append(track)
        return seen, visits

    @property
    def present(self) -> int:
        """People followed at the moment."""
        return sum(track.confirmed and not track.static for track in self._tracks)

    @property
    def static(self) -> int:
        """Places with a face that never moves, which is not counted."""
        return self._places.static

    def wants_vote(self, track: Track) -> bool:
        """Whether another look at this track's face would help."""
        return (
            track.confirmed
            and not track.static
            and track.votes < self._votes
            and abs(track.log_odds) < SURE_LOG_ODDS
            and (track.votes == 0 or track.last - track.voted >= VOTE_EVERY_S)
        )

    def vote(self, track: Track, male: float) -> None:
        """Add one judgement: the probability, 0 to 1, that this face is a man's."""
        male = min(max(male, 0.002), 0.998)  # an int8 output cannot be surer than its last step
        track.log_odds += math.log(male / (1 - male))
        track.votes += 1
        track.voted = track.last

    def finish(self) -> list[Visit]:
        """End all tracks: the view is over."""
        return self._end(lambda track: True)

    def _patience_of(self, track: Track, size: tuple[int, int]) -> float:
        share = 1.0 if track.confirmed else UNCONFIRMED_PATIENCE
        if _leaves(track, size):
            share = min(share, LEFT_PATIENCE)
        return self._patience * share

    def _end(self, over: Callable[[Track], bool]) -> list[Visit]:
        ended = [track for track in self._tracks if over(track)]
        self._tracks = [track for track in self._tracks if not over(track)]
        return [self._visit(track) for track in ended if self._was_visitor(track)]

    def _was_visitor(self, track: Track) -> bool:
        still = self._still.pop(track.id)
        if not (track.static or still.moved):
            self._places.add(still, track.last)
            track.static = self._places.static_at(track.box, track.last)
        return track.confirmed and not track.static

    def _visit(self, track: Track) -> Visit:
        mean = track.log_odds / track.votes if track.votes else 0.0
        confidence = 1 / (1 + math.exp(-abs(mean)))
        sure = track.votes > 0 and confidence >= self._min_confidence
        label = LABELS[mean > 0] if sure else UNKNOWN
        return Visit(track.first, track.last, label, confidence, track.id)

    def _confirm(self, track: Track) -> None:
        track.confirmed = track.confirmed or (
            track.hits >= self._min_sightings and track.last - track.first >= self._min_seconds
        )

    def _move(self, track: Track, box: Box, mono: float) -> None:
        elapsed = mono - track.last
        share = 1 - math.exp(-elapsed / SMOOTHING_S)
        track.vx += share * ((box.cx - track.box.cx) / elapsed - track.vx)
        track.vy += share * ((box.cy - track.box.cy) / elapsed - track.vy)
        track.box, track.last = box, mono
        track.hits += 1
        self._confirm(track)
        still = self._still[track.id]
        still.see(box, elapsed)
        if track.static:  # unless it walks away
            track.static = self._places.static_at(still.box, mono)
        elif still.still_s >= self._static_after:
            self._places.add(still, mono)
            track.static = True


def _leaves(track: Track, size: tuple[int, int]) -> bool:
    """Whether a face was last seen at an edge of the view and moving out over it."""
    box, room = track.box, EDGE * track.box.w
    fast = 0.5 * track.box.w  # half a face width per second: standing people sway slower
    return (
        (track.vx < -fast and box.x < room)
        or (track.vx > fast and size[0] - box.x - box.w < room)
        or (track.vy < -fast and box.y < room)
        or (track.vy > fast and size[1] - box.y - box.h < room)
    )


def _place(face: Face) -> tuple[float, float, float]:
    return face.box.x, face.box.y, face.box.w


def _cost(track: Track, box: Box, mono: float) -> float | None:
    """How badly `box` continues `track`, in face widths; None where it cannot."""
    elapsed = mono - track.last
    if elapsed <= 0:
        return None
    growth = max(box.w / track.box.w, track.box.w / box.w)
    if growth > MAX_GROWTH:
        return None
    coast = min(elapsed, COAST_S)
    x, y = track.box.cx + track.vx * coast, track.box.cy + track.vy * coast
    distance = math.hypot(box.cx - x, box.cy - y) / max(box.w, track.box.w)
    if distance > min(0.5 + MAX_SPEED * elapsed, MAX_GATE):
        return None
    return distance + math.log(growth)
