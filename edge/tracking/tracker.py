"""Follows faces as tracks, by place, motion and gender, and ends them as visits.

Pure: time comes with the faces.
"""

from collections.abc import Callable, Sequence

from edge.geometry import SAME_PLACE_SHIFT, is_near, is_same_place, is_touching, position
from edge.tracking import matching, reappearance, view_edge, votes
from edge.tracking.kalman import FaceMotion
from edge.tracking.matching import MAX_CONTRADICTION, Gender
from edge.tracking.stationary import StationaryFilter, StationaryObjects
from edge.types import MIN_EVIDENCE_FOLLOWED, Box, Face, Track, Visit

PREDICTABLE_S = 1.5
"""Longest time for which a lost face is looked for where its motion leads, seconds."""
UNCONFIRMED_PATIENCE_S = 1.0
"""Longest patience with a track not yet confirmed, or no face after all, seconds: false alarms come
and go."""
LEAVING_PATIENCE_S = 0.6
"""Longest patience with a face last seen moving out of the view, seconds.

Anyone who comes in there soon after is somebody else.
"""
DOUBTFUL_FACTOR = 1.6
"""A track that began in the middle of the view while somebody was out of sight must span so many
times `min_seconds`: shorter ones are mostly of a person who is counted already."""
ENTRY_FRAMES = 1.5
"""Whoever was at the edge of the view this many frames before the first sighting has come in there:
at 3 frames a second they may be two face widths further by then."""
LOST_AFTER_S = 0.2
"""Of a face not seen for longer than this, seconds, another person may have taken the place..."""
LOST_AFTER_FRAMES = 1.5
"""...in the middle of the view only if it is also longer than this many frames."""
SAME_FACE_RATIO = 1.5
"""Largest ratio between the sizes of a face that fills the view, from one sighting to the next."""
LOOKS_PER_S = 10
"""Looks per second for faces that were lost, all together; at least one in each frame."""
MIN_LOG_ODDS = -2.0
"""Least log odds with which a face that appears inside the view is of a person who was lost..."""
MIN_LOG_ODDS_PER_S = 3.0
"""...and how much more they must be for each second between two frames.

In 90 simulated crowds, 18 of 23 with log odds from -1.8 to -1 had been counted already (as this
person, or as another if two had been mixed up), but at 3 frames a second only 29 of 63.
"""
MIN_LOG_ODDS_REMEMBERED = -1.0
"""Least log odds if the visit has ended: from -1 to 0 it was 9 of 9, and at 3 frames a second 11 of
18."""
MIN_LOG_ODDS_ALONE = -5.0
"""Least log odds if nobody else is in view: people step aside while turned away."""
MEMORY_FACTOR = 2.0
"""A visitor who was lost inside the view is remembered for so many times the patience: if they
appear again they are counted already."""
NEWCOMER_COST = -3.0
"""Cost of a match above which the face is a newcomer's.

In ten simulated crowds half of the matches above it joined two people, at 3 frames a second and at
12.
"""
TOUCH_DISTANCE = 1.3
"""Faces touch if their middles are closer than this along each axis, in mean widths of the two."""
VOTE_EVERY_S = 0.15
"""Least time between two votes of one face, seconds: closer ones repeat each other."""
ATTENTION_GAP_S = 0.5
"""Longest time between two of Haar's finds of a face in which it is taken to be towards the camera
all along, seconds: Haar finds only faces that are, but not in every frame."""
ATTENTION_GAP_FRAMES = 2.5
"""The same in frames, if that is longer: at any frame rate, one may miss the face."""
CHECK_EVERY_S = 0.1
"""Least time between two checks of one track, seconds."""
CHECK_EVERY = 0.1
"""The same, in lifetimes of the track: what is followed for long is checked for as long."""
ENOUGH_CHECKS = 5
"""Checks after which a track that is no face is dropped, or ended if they are the latest: a person
who passes should not join it."""
SURE_EVIDENCE = 1.5
"""Mean evidence of a face, ln of its odds, with which after so many checks..."""
SURE_CHECK_EVERY_S = 0.5
"""...the least time between two of them is longer, seconds."""
SURE_LOG_ODDS = 8.0
"""Summed evidence for a gender at which no more votes are needed, unless for an age."""


class Tracker:
    """Follows faces; each confirmed track becomes one visit when it ends."""

    def __init__(
        self,
        *,
        patience: float = 3.0,
        min_sightings: int = 3,
        min_seconds: float = 0.5,
        votes: int = 9,
        min_confidence: float = 0.6,
        static_after: float = 180.0,
        ages: bool = False,
    ) -> None:
        """A track ends `patience` seconds after its last sighting.

        It is confirmed after `min_sightings` spread over at least `min_seconds`. Its label is the
        class with the stronger mean vote, or unknown below `min_confidence`; at most `votes` are
        taken. A face that has not moved for `static_after` seconds is not a visitor. With `ages`
        each visit has an age group: the one with the highest mean log-probability over the votes.
        """
        self._patience = patience
        self._min_sightings, self._min_seconds = min_sightings, min_seconds
        self._votes, self._min_confidence = votes, min_confidence
        self._static_after = static_after
        self._ages = ages
        self._next_id = 1
        self._tracks: list[Track] = []
        self._remembered: list[Track] = []
        """Of visitors whose visit has ended."""
        self._motion: dict[int, FaceMotion] = {}
        self._stillness: dict[int, StationaryFilter] = {}
        self._stationary = StationaryObjects(static_after)
        self._updated = float("-inf")
        """`mono` of the latest update, seconds."""
        self._spacing = 0.0
        """Time between the two latest updates, seconds."""

    def update(
        self,
        faces: Sequence[Face],
        mono: float,
        size: tuple[int, int],
        gender: Gender = lambda face: None,
    ) -> tuple[list[Track], list[Visit]]:
        """The tracks seen at `mono` (seconds), and the visits that ended by then.

        `size` is the width and height of the picture in pixels. `gender` is asked about a face if
        that can decide whose it is.
        """
        lost = [
            track for track in self._tracks if mono - track.last > self._patience_of(track, size)
        ]
        new = [track for track in self._tracks if not track.settled and track not in lost]
        visits = self._end(
            lambda track: (
                track in lost
                # nothing can continue it any more, not even a track that is not yet confirmed
                and not any(
                    self._may_continue(later, track, self._patience_of(track, size), size)
                    for later in new
                )
            )
        )
        self._forget(mono)
        followed = [track for track in self._tracks if track not in lost]
        before = self._updated
        self._spacing, self._updated = mono - before, mono
        boxes = [face.box for face in faces]
        free = set(range(len(faces)))
        lost_since = mono - self._lost_after_s()
        possible = matching.matches(followed, self._motion, faces, mono)
        for cost, track, index in matching.by_gender(possible, faces, lost_since, gender):
            is_newcomer = (
                cost > NEWCOMER_COST
                and mono - track.last > LOST_AFTER_S
                and (track.confirmed or track.last < before)  # else its speed is not yet known
                and view_edge.is_at(boxes[index], size)
                and not is_same_place(boxes[index], track.box)
            )
            if index in free and track.last != mono and not is_newcomer:
                free.remove(index)
                self._move(track, faces[index], mono, _is_touched(boxes, index))
        free = {index for index in free if not faces[index].recovered}
        for index in sorted(free, key=lambda index: position(boxes[index])):
            self._begin(boxes[index], mono, size)
        for track in [track for track in self._tracks if track.confirmed and not track.settled]:
            self._settle(track, size, gender)
        return [track for track in self._tracks if track.last == mono], visits

    def predict(self, mono: float) -> list[Box]:
        """Where the faces that are followed should be at `mono`.

        Ask once for each frame: those that were lost take turns, for a look seldom finds one.
        """
        lost_since = mono - self._lost_after_s()
        followed = [track for track in self._tracks if mono - track.last <= PREDICTABLE_S]
        lost = [track for track in followed if track.last < lost_since]
        turns = round(max(1, min(len(lost), LOOKS_PER_S * self._spacing)))
        later = sorted(lost, key=lambda track: track.last_look)[turns:]
        due = [track for track in followed if track not in later]
        for track in due:
            track.last_look = mono
        return [self._motion[track.id].predict(mono) for track in due]

    def _lost_after_s(self) -> float:
        return max(LOST_AFTER_S, LOST_AFTER_FRAMES * self._spacing)

    def _settle(self, track: Track, size: tuple[int, int], gender: Gender) -> None:
        """Decide whether a newly confirmed track continues one that was lost."""
        track.settled = True
        if track.stationary:
            return
        candidates = [
            lost
            for lost in self._tracks
            if self._may_continue(track, lost, self._patience_of(lost, size), size)
        ]
        track.doubtful = bool(candidates)
        least = MIN_LOG_ODDS + MIN_LOG_ODDS_PER_S * self._spacing
        if len(self._tracks) == 2:  # it and who was lost
            least = MIN_LOG_ODDS_ALONE
        if lost := self._likeliest(track, candidates, least, gender):
            self._tracks.remove(track)
            self._motion[lost.id] = self._motion.pop(track.id)
            self._stillness[lost.id].update(
                self._stillness.pop(track.id).box, track.last - lost.last
            )
            lost.extend(track)
            return
        memory = MEMORY_FACTOR * self._patience
        candidates = [
            past for past in self._remembered if self._may_continue(track, past, memory, size)
        ]
        if past := self._likeliest(track, candidates, MIN_LOG_ODDS_REMEMBERED, gender):
            self._remembered.remove(past)
            del self._motion[past.id]
            track.counted = True

    def _likeliest(
        self, track: Track, candidates: list[Track], least: float, gender: Gender
    ) -> Track | None:
        """The lost track that a new one continues most likely, unless below these log odds."""
        is_telling = any(matching.is_known(lost) for lost in candidates)
        male = gender(Face(track.box, 0.0, track.roll)) if is_telling else None
        found = self._motion[track.id]
        odds = [
            (reappearance.log_odds(self._motion[lost.id], found, contradiction), lost.id, lost)
            for lost in candidates
            if (contradiction := matching.contradiction(lost, male)) <= MAX_CONTRADICTION
        ]
        best = max(odds, default=None)
        return best[2] if best and best[0] > least else None

    def _may_continue(
        self, track: Track, lost: Track, memory: float, size: tuple[int, int]
    ) -> bool:
        """Whether a track may be of the person of a lost one, by when and where both were seen.

        It must have begun within `memory` seconds after the lost one was last seen.
        A face that began in the middle of the view did not just come in: it was lost before.
        """
        gap = track.first - lost.last
        if not lost.settled or lost.stationary or not 0 < gap <= memory:
            return False
        origin = self._motion[track.id].origin
        if gap <= LOST_AFTER_S and is_near(origin, lost.box, SAME_PLACE_SHIFT, SAME_FACE_RATIO):
            return True  # nobody else can have come in: the face fills the view, to its edges
        entry = self._motion[track.id].before_origin(ENTRY_FRAMES * self._spacing)
        leaves = view_edge.is_leaving(lost.box, self._motion[lost.id].velocity, size)
        return not (leaves or view_edge.is_at(entry, size))

    def _begin(self, box: Box, mono: float, size: tuple[int, int]) -> None:
        track = Track(self._next_id, box, mono, mono, facing=mono)
        track.stationary = self._stationary.recognize(box, mono)
        self._motion[track.id] = FaceMotion(box, mono, view_edge.heading(box, size))
        self._stillness[track.id] = StationaryFilter.at(box)
        self._next_id += 1
        self._confirm(track)
        self._tracks.append(track)

    @property
    def present(self) -> int:
        """People followed at the moment."""
        return sum(track.is_visitor for track in self._tracks)

    @property
    def stationary(self) -> int:
        """Places with a face that never moves, which is not counted."""
        return len(self._stationary)

    def wants_check(self, track: Track) -> bool:
        """Whether the verifier should look again at what this track follows.

        It has looked at a new track already; from then on what Haar finds there is taken for it.
        """
        gap_s = CHECK_EVERY_S if track.failed else _check_gap_s(track)
        return track.hits > 1 and not track.stationary and track.last - track.last_check >= gap_s

    def check(self, track: Track, evidence: float) -> None:
        """Add the evidence of a face by one look, ln of its odds; drop a track that is no face.

        If there has been no face for the patience, the person has left, and what is followed since
        is something else: the track ends where that began.
        """
        # after a failed check the next ones follow sooner: they must not outweigh those before
        weight = min(1.0, (track.last - track.last_check) / _check_gap_s(track))
        track.checks += 1
        track.evidence += weight * evidence
        track.evidence_weight += weight
        track.last_check = track.last
        if evidence >= MIN_EVIDENCE_FOLLOWED:
            track.failed = 0
        else:
            track.failed += 1
            if track.failed == 1:
                track.failed_since, track.failed_attention_s = track.last, track.attention_s
            if track.failed >= ENOUGH_CHECKS and track.last - track.failed_since > self._patience:
                track.last, track.attention_s = track.failed_since, track.failed_attention_s
        if track.checks >= ENOUGH_CHECKS and not track.may_be_face:
            self._tracks.remove(track)
            del self._motion[track.id], self._stillness[track.id]

    def wants_vote(self, track: Track) -> bool:
        """Whether one more prediction for this track's face would help."""
        return (
            track.confirmed
            and track.may_be_face
            and not track.stationary
            and track.votes < self._votes
            and (self._ages or abs(track.log_odds) < SURE_LOG_ODDS)
            and (track.votes == 0 or track.last - track.last_vote >= VOTE_EVERY_S)
        )

    def vote(
        self,
        track: Track,
        male: float | None,
        ages: Sequence[float] | None = None,
        face: float | None = None,
    ) -> None:
        """Add one prediction for this face, as `votes.add`."""
        votes.add(track, male, ages, face)

    def finish(self) -> list[Visit]:
        """End all tracks, and remember nobody: the view is over."""
        visits = self._end(lambda track: True)
        self._remembered.clear()
        self._motion.clear()
        return visits

    def _patience_of(self, track: Track, size: tuple[int, int]) -> float:
        # at any frame rate, only a frame without the face shortens it
        missed = track.last < self._updated
        doubtful = not (track.confirmed and track.may_be_face)
        patience = self._patience
        if missed and doubtful:
            patience = min(patience, UNCONFIRMED_PATIENCE_S)
        if view_edge.is_leaving(track.box, self._motion[track.id].velocity, size):
            patience = min(patience, LEAVING_PATIENCE_S)
        return patience

    def _end(self, is_over: Callable[[Track], bool]) -> list[Visit]:
        ended = [track for track in self._tracks if is_over(track)]
        self._tracks = [track for track in self._tracks if not is_over(track)]
        visitors = [track for track in ended if self._was_visitor(track)]
        for track in ended:
            if track not in visitors:
                del self._motion[track.id]
        self._remembered += visitors
        return [self._visit(track) for track in visitors if not track.counted]

    def _forget(self, mono: float) -> None:
        """Forget those whom no track can be of any more, not even one that is not yet confirmed."""
        since = min((track.first for track in self._tracks if not track.settled), default=mono)
        for track in self._remembered:
            if since - track.last > MEMORY_FACTOR * self._patience:
                del self._motion[track.id]
        self._remembered = [track for track in self._remembered if track.id in self._motion]

    def _was_visitor(self, track: Track) -> bool:
        stillness = self._stillness.pop(track.id)
        if not (track.stationary or stillness.moved):
            self._stationary.add(stillness, track.last)
            track.stationary = self._stationary.recognize(track.box, track.last)
        is_brief = track.last - track.first < DOUBTFUL_FACTOR * self._min_seconds
        # at few frames a second, a passer-by is in no more of them
        frames_decide = (self._min_sightings - 1) * self._spacing >= self._min_seconds
        return track.is_visitor and not (track.doubtful and is_brief and not frames_decide)

    def _visit(self, track: Track) -> Visit:
        label, confidence = votes.gender(votes.mean_log_odds(track), self._min_confidence)
        age = track.age if self._ages else None
        return Visit(track.first, track.last, label, confidence, track.id, age, track.attention_s)

    def _confirm(self, track: Track) -> None:
        track.confirmed = (
            track.hits >= self._min_sightings and track.last - track.first >= self._min_seconds
        )

    def _attend(self, track: Track, mono: float) -> None:
        """The face is towards the camera now."""
        gap_s = mono - track.facing
        is_short = gap_s <= max(ATTENTION_GAP_S, ATTENTION_GAP_FRAMES * self._spacing)
        # else it turned away, and back, somewhere between two frames: in the middle on average
        track.attention_s += gap_s if is_short else self._spacing
        track.facing = mono

    def _move(self, track: Track, face: Face, mono: float, hidden: bool) -> None:
        box, elapsed = face.box, mono - track.last
        self._motion[track.id].update(box, mono, recovered=face.recovered, hidden=hidden)
        track.box, track.roll, track.hidden, track.last = box, face.roll, hidden, mono
        track.haar_hits = 0.0 if face.recovered else face.score
        track.hits += 1
        if not face.recovered:
            self._attend(track, mono)
        self._confirm(track)
        stillness = self._stillness[track.id]
        stillness.update(box, elapsed)
        if track.stationary:  # unless it walks away
            track.stationary = self._stationary.recognize(stillness.box, mono)
        elif stillness.still_s >= self._static_after:
            self._stationary.add(stillness, mono)
            track.stationary = True


def _check_gap_s(track: Track) -> float:
    """Least time between two checks of a track unless the latest failed, seconds."""
    is_sure = (
        track.checks >= ENOUGH_CHECKS and track.evidence >= SURE_EVIDENCE * track.evidence_weight
    )
    least_s = SURE_CHECK_EVERY_S if is_sure else CHECK_EVERY_S
    return max(least_s, CHECK_EVERY * (track.last - track.first))


def _is_touched(boxes: Sequence[Box], index: int) -> bool:
    """Whether another face is so near that it may hide a part of this one."""
    box = boxes[index]
    return any(
        is_touching(box, other, TOUCH_DISTANCE) for i, other in enumerate(boxes) if i != index
    )
