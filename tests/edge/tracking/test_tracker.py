"""Tracks: one person, one visit, whatever the frame rate."""

import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracking.tracker import (
    ENOUGH_CHECKS,
    LOST_AFTER_FRAMES,
    LOST_AFTER_S,
    PREDICTABLE_S,
    SURE_CHECK_EVERY_S,
    Tracker,
)
from edge.types import AGE_GROUPS, Box, Face, Track, Visit

SIZE = (640, 360)


def face(cx: float, cy: float = 150, width: float = 50) -> Face:
    return Face(Box(cx - width / 2, cy - width / 2, width, width), 5.0)


def walk(tracker: Tracker, seconds: float, fps: float, start: float = 0.0, **path: float) -> float:
    """One person crosses the view; the time of the last sighting."""
    mono = start
    for step in range(round(seconds * fps) + 1):
        mono = start + step / fps
        x = path.get("x", 60.0) + path.get("speed", 100.0) * (mono - start)
        tracker.update([face(x, path.get("y", 150.0))], mono, SIZE)
    return mono


@pytest.mark.parametrize("fps", [4, 6, 12.5, 30, 60])
def test_one_walk_is_one_visit_at_any_frame_rate(fps: float) -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 4, fps)
    assert tracker.present == 1
    _, visits = tracker.update([], end + 2.1, SIZE)
    assert [(v.start, v.end, v.label) for v in visits] == [(0.0, end, "unknown")]
    assert tracker.present == 0
    assert tracker.finish() == []


@pytest.mark.parametrize("fps", [0.6, 0.9, 0.99])
def test_a_person_who_stands_is_one_visit_on_a_board_that_takes_longer_than_a_second(
    fps: float,
) -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 10, fps, speed=0, x=300)
    assert [(visit.start, visit.end) for visit in tracker.finish()] == [(0.0, end)]


@pytest.mark.parametrize(
    ("x", "y", "speed"),
    [(300, 150, 5), (40, 150, -5), (600, 150, 5), (300, 28, 0), (300, 332, 0)],
)
def test_a_head_turned_away_for_less_than_the_patience_is_the_same_visit(
    x: float, y: float, speed: float
) -> None:
    """Even of a person who stands at an edge of the view and sways a little."""
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=speed, x=x, y=y)
    end = walk(tracker, 2, 10, start=end + 1.8, speed=0, x=x, y=y)
    (visit,) = tracker.finish()
    assert (visit.start, visit.end) == (0.0, end)


def test_a_person_who_returns_after_twice_the_patience_is_a_new_visit() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    walk(tracker, 2, 10, start=end + 4.2, speed=0, x=300)
    _, ended = tracker.update([], 100, SIZE)
    assert len(ended) == 1
    # the first one ended before the second began
    assert ended[0].start > 2


@pytest.mark.parametrize("away", [2.2, 3.9])
def test_whoever_returns_to_their_path_after_the_patience_is_counted_already(away: float) -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    _, visits = tracker.update([], end + 2.1, SIZE)
    assert [(visit.start, visit.end) for visit in visits] == [(0, end)]
    for _ in range(3):
        assert tracker.present == 0
        end = walk(tracker, 2, 10, start=end + away, speed=0, x=300)
        assert tracker.present == 1
        assert tracker.update([], end + 2.1, SIZE) == ([], [])
    assert tracker.finish() == []


@pytest.mark.parametrize(
    ("x", "male", "others"), [(400, 0.9, 0), (520, 0.9, 1), (300, 0.02, 1), (300, None, 0)]
)
def test_somebody_else_may_come_to_the_place_of_one_who_was_counted(
    x: float, male: float | None, others: int
) -> None:
    """Far from their path, or of another gender."""
    tracker = Tracker(patience=2)
    for step in range(20):
        (track,), _ = tracker.update([face(300)], step / 10, SIZE)
        if tracker.wants_vote(track):
            tracker.vote(track, 0.98)
    _, (visit,) = tracker.update([], 4.5, SIZE)
    assert visit.label == "male"
    for step in range(20):
        tracker.update([face(x)], 4.9 + step / 10, SIZE, lambda face: male)
    assert len(tracker.finish()) == others


def test_nothing_is_kept_of_people_who_are_gone() -> None:
    sizes = []
    for people in (1, 20):
        tracker = Tracker()
        for number in range(people):
            tracker.update([face(200)], 20 * number - 5, SIZE)  # a flicker
            walk(tracker, 4, 10, start=20 * number)
        tracker.update([], 20 * people, SIZE)
        sizes.append(len(pickle.dumps(tracker)))
    assert abs(sizes[1] - sizes[0]) < 10  # numbers may be longer


def test_nobody_is_remembered_after_the_end() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    assert len(tracker.finish()) == 1
    walk(tracker, 2, 10, start=end + 1, speed=0, x=300)
    assert len(tracker.finish()) == 1


def test_one_return_makes_up_for_one_person() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    tracker.update([], end + 2.1, SIZE)
    for step in range(20):
        faces = [face(x, 150, 50) for x in (290, 310)]
        tracker.update(faces, end + 3 + step / 10, SIZE)
    assert len(tracker.finish()) == 1


@pytest.mark.parametrize(
    ("x", "y", "dx", "dy"),
    [(612, 150, 30, 0), (28, 150, -30, 0), (300, 28, 0, -30), (300, 332, 0, 30)],
)
def test_a_person_who_comes_in_where_one_left_is_another(
    x: float, y: float, dx: float, dy: float
) -> None:
    tracker = Tracker(patience=2)
    for step in [*range(31), *range(40, 71)]:
        mono = step / 10
        seconds = mono - 3 if mono <= 3 else 4 - mono  # out over the edge, and in again
        tracker.update([face(x + dx * seconds, y + dy * seconds)], mono, SIZE)
    (visit,) = tracker.finish()
    assert visit.start == 4


@pytest.mark.parametrize(
    ("inside", "at_edge", "lost"),
    [
        ((63, 150), (62, 150), (190, 150)),
        ((577, 150), (578, 150), (450, 150)),
        ((300, 63), (300, 62), (300, 190)),
        ((300, 297), (300, 298), (300, 170)),
    ],
)
def test_the_edge_of_the_view_is_three_quarters_of_a_face_wide(
    inside: tuple[float, float], at_edge: tuple[float, float], lost: tuple[float, float]
) -> None:
    """A face 50 wide that is lost in the view may reappear in the view, but not at its edge."""
    for place, ids in ((inside, [1]), (at_edge, [2])):
        tracker = Tracker()
        end = walk(tracker, 2, 10, speed=0, x=lost[0], y=lost[1])
        end = walk(tracker, 1, 10, start=end + 1, speed=0, x=place[0], y=place[1])
        tracks, _ = tracker.update([face(*place)], end + 0.1, SIZE)
        assert [track.id for track in tracks] == ids


@pytest.mark.parametrize("begin", [0.3, 1.9])
def test_whoever_comes_in_at_the_edge_near_a_lost_face_is_another(begin: float) -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=560)
    tracker.update([], end + 0.1, SIZE)
    walk(tracker, 2, 10, start=end + begin, x=612, speed=-60)
    assert tracker.finish()[-1].start == end + begin


@pytest.mark.parametrize("fps", [3, 12])
def test_whoever_walks_along_the_edge_is_one_person(fps: int) -> None:
    """However little is known of how fast they are at the second sight."""
    tracker = Tracker()
    walk(tracker, 4, fps, x=60, speed=140, y=28)
    (visit,) = tracker.finish()
    assert visit.start == 0


@pytest.mark.parametrize(("gap", "shift", "ids"), [(0.16, 75, [1]), (0.3, 95, [2])])
def test_a_face_at_the_edge_is_a_newcomer_only_after_a_while(
    gap: float, shift: float, ids: list[int]
) -> None:
    tracker = Tracker()
    tracker.update([face(200, 28)], 0, SIZE)
    tracker.update([], 0.08, SIZE)
    tracks, _ = tracker.update([face(200 + shift, 28)], gap, SIZE)
    assert [track.id for track in tracks] == ids


@pytest.mark.parametrize("way", [1, -1])
def test_people_who_come_in_at_one_edge_walk_to_the_other(way: int) -> None:
    """At 3 frames a second, each of a group stands where the one before stood a frame ago."""
    tracker = Tracker()
    ids: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for step in range(8):
        places = {n: 320 + way * (50 + 85 * (step - n) - 320) for n in ids if step >= n}
        people = {face(x).box.x: n for n, x in places.items()}
        tracks, _ = tracker.update([face(x) for x in places.values()], step / 3, SIZE)
        for track in tracks:
            ids[people[track.box.x]].add(track.id)
    assert all(len(of_one) == 1 for of_one in ids.values()), ids


@pytest.mark.parametrize("speed", [0, 300, 560])
@pytest.mark.parametrize("way", [1, -1])
def test_whoever_comes_in_and_is_missed_in_a_frame_is_one_person(way: int, speed: float) -> None:
    """Two thirds of a second later they stand there still, or are up to seven widths further."""
    tracker = Tracker()
    for step in range(5):
        faces = [face(320 + way * (50 + speed * step / 3 - 320))]
        tracks, _ = tracker.update([] if step == 1 else faces, step / 3, SIZE)
        assert step == 1 or [track.id for track in tracks] == [1]


@pytest.mark.parametrize(("speed", "start"), [(200, 3.5), (0, 0.0)])
def test_whoever_walks_in_quickly_was_not_lost_inside(speed: float, start: float) -> None:
    """At 3 frames a second they are seen first when they are no longer at the edge."""
    tracker = Tracker()
    end = walk(tracker, 2, 3, speed=0, x=100, y=290)
    walk(tracker, 2, 3, start=end + 1.5, speed=speed, x=100)
    (visit,) = tracker.finish()
    assert visit.start == start


@pytest.mark.parametrize(("y", "ids"), [(28, [2]), (150, [1])])
def test_at_the_edge_a_step_aside_is_a_newcomer(y: float, ids: list[int]) -> None:
    """Of somebody whose speed is known, from one frame to the next."""
    tracker = Tracker()
    end = walk(tracker, 2, 4, speed=0, x=300, y=y)
    tracks, _ = tracker.update([face(336, y)], end + 0.25, SIZE)
    assert [track.id for track in tracks] == ids


def test_a_person_is_not_followed_as_a_poster_nor_a_poster_as_a_person() -> None:
    tracker = Tracker(static_after=5)
    end = walk(tracker, 8, 10, speed=0, x=300)
    assert tracker.stationary == 1
    begin, end = end + 1, walk(tracker, 2, 10, start=end + 1, speed=0, x=400)
    walk(tracker, 2, 10, start=end + 1, speed=0, x=300)
    (visit,) = tracker.finish()
    assert (visit.start, visit.end) == (begin, end)


def test_a_visit_does_not_begin_with_a_flicker_elsewhere() -> None:
    tracker = Tracker()
    tracker.update([face(300)], 0, SIZE)
    walk(tracker, 2, 10, start=0.5, speed=0, x=400)
    (visit,) = tracker.finish()
    assert visit.start == 0.5


def test_a_face_that_waits_for_another_is_not_found_again() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    tracker.update([face(450)], end + 1.9, SIZE)
    tracks, _ = tracker.update([face(300)], end + 2.2, SIZE)
    assert [track.id for track in tracks] == [3]


def test_a_lost_face_is_predicted_for_a_second_and_a_half() -> None:
    tracker = Tracker(patience=3)
    end = walk(tracker, 2, 10, speed=0, x=300)
    assert [len(tracker.predict(end + later)) for later in (0.1, 1.4, 1.6)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("people", "fps", "looks"), [(1, 10, 1), (4, 10, 1), (4, 25, 1), (4, 3, 3)]
)
def test_lost_faces_take_turns_in_being_looked_for(people: int, fps: int, looks: int) -> None:
    tracker = Tracker(patience=3)
    faces = [face(100 + 150 * n) for n in range(people)]
    for step in range(2 * fps):
        tracker.update(faces, step / fps, SIZE)
    places = []
    for step in range(2 * fps, 2 * fps + math.ceil(PREDICTABLE_S * fps) - 1):
        predicted = tracker.predict(step / fps)
        tracker.update([], step / fps, SIZE)
        is_lost = (step + 1) / fps - 2 > max(LOST_AFTER_S, LOST_AFTER_FRAMES / fps)
        assert len(predicted) == (looks if is_lost else people)
        places += predicted if is_lost else []
    assert {round(box.cx) for box in places} == {round(one.box.cx) for one in faces}


def test_a_track_goes_on_as_another() -> None:
    ages = [(float(n),) * len(AGE_GROUPS) for n in (1, 2)]
    early = Track(
        1, face(300).box, 0, 2, facing=1.9, attention_s=1.5, hits=20, confirmed=True, settled=True,
        votes=3, last_vote=1.8, weight=2.5, log_odds=4, log_ages=ages[0], checks=9,
        evidence=6, evidence_weight=7, face_log_odds=3, haar_hits=9, last_check=1.7, failed=1,
        failed_since=1.6, failed_attention_s=1.4,
    )  # fmt: skip
    late = Track(
        2, face(400).box, 3, 4, facing=3.9, attention_s=0.5, roll=7, hidden=True, hits=10,
        confirmed=True, settled=True, votes=2, last_vote=3.8, weight=1.5, log_odds=-1,
        log_ages=ages[1], checks=4, evidence=-1, evidence_weight=3, face_log_odds=-1, haar_hits=5,
        last_check=3.7, failed=2, failed_since=3.5, failed_attention_s=0.3,
    )  # fmt: skip
    early.extend(late)
    assert early == Track(
        1, face(400).box, 0, 4, facing=3.9, attention_s=2, roll=7, hidden=True, hits=30,
        confirmed=True, settled=True, votes=5, last_vote=3.8, weight=4, log_odds=3,
        log_ages=(3.0,) * len(AGE_GROUPS), checks=13, evidence=5, evidence_weight=10,
        face_log_odds=2, haar_hits=5, last_check=3.7, failed=2, failed_since=3.5,
        failed_attention_s=1.8,
    )  # fmt: skip


def test_a_lost_face_is_waited_for_until_it_is_clear_whose_a_new_one_is() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    again = end + 1.9
    for step in range(5):  # not confirmed yet
        _, visits = tracker.update([face(400)], again + step / 10, SIZE)
        assert visits == []
    end = walk(tracker, 2, 10, start=again + 0.5, speed=0, x=400)
    assert [(visit.start, visit.end, visit.track) for visit in tracker.finish()] == [(0, end, 1)]


def test_attention_adds_up_over_both_halves_of_a_visit() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    walk(tracker, 3, 10, start=end + 1.5, speed=0, x=400)
    (visit,) = tracker.finish()
    assert visit.attention_s == pytest.approx(2 + 3)


def test_a_flicker_does_not_continue_a_lost_face() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=300)
    tracker.update([face(400)], end + 1.9, SIZE)
    assert tracker.update([], end + 2.1, SIZE)[1] == []
    _, (visit,) = tracker.update([], end + 3, SIZE)
    assert (visit.start, visit.end) == (0, end)


def test_the_votes_of_both_halves_of_a_visit_count() -> None:
    tracker = Tracker(patience=2, ages=True)
    end = walk(tracker, 2, 10, speed=0, x=300)
    old = AGE_GROUPS.index("57+")
    (track,), _ = tracker.update([face(300)], end + 0.1, SIZE)
    tracker.vote(track, 0.6, [0.9 if i == old else 0.01 for i in range(len(AGE_GROUPS))])
    end = walk(tracker, 0.3, 10, start=end + 1, speed=0, x=400)
    (track,), _ = tracker.update([face(400)], end + 0.1, SIZE)
    tracker.vote(track, 0.01, [1 / len(AGE_GROUPS)] * len(AGE_GROUPS))
    walk(tracker, 1, 10, start=end + 0.2, speed=0, x=400)
    (visit,) = tracker.finish()
    assert (visit.label, visit.age) == ("female", "57+")


@pytest.mark.parametrize(
    ("x", "speed", "patience"),
    [
        (610, 32, 0.6),
        (610, 18, 2),  # slower than half a face width per second: swaying
        (575, 32, 2),  # not at the edge
        (30, -32, 0.6),
        (65, -32, 2),
    ],
)
def test_a_person_who_walks_out_is_waited_for_only_briefly(
    x: float, speed: float, patience: float
) -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=speed, x=x - 2 * speed)
    present = []
    for later in (0.1, patience - 0.05, patience + 0.05):
        tracker.update([], end + later, SIZE)
        present.append(tracker.present)
    assert present == [1, 1, 0]


def test_a_face_seen_once_is_waited_for_half_as_long() -> None:
    tracker = Tracker(patience=2)
    tracker.update([face(300)], 0, SIZE)
    assert len(tracker.predict(0.1)) == 1
    followed = []
    for mono in (0.1, 0.95, 1.05):
        tracker.update([], mono, SIZE)
        followed.append(len(tracker.predict(mono)))
    assert followed == [1, 1, 0]


def test_what_may_be_no_face_is_waited_for_half_as_long() -> None:
    tracker = Tracker(patience=2)
    for step in range(5):
        (track,), _ = tracker.update([face(300)], step / 4, SIZE)
        if step > 1:
            tracker.check(track, -2)
    assert track.confirmed
    tracker.update([], 1.1, SIZE)
    tracker.update([], 1.9, SIZE)
    assert len(tracker.predict(1.9)) == 1
    tracker.update([], 2.1, SIZE)
    assert tracker.predict(2.1) == []


@pytest.mark.parametrize(("dx", "dy", "hidden"), [(64, 64, True), (66, 0, False), (0, 66, False)])
def test_faces_touch_at_less_than_a_third_of_a_face_between(
    dx: float, dy: float, hidden: bool
) -> None:
    tracker = Tracker()
    for mono in (0.0, 0.1):
        tracks, _ = tracker.update([face(300), face(300 + dx, 150 + dy)], mono, SIZE)
    assert [track.hidden for track in tracks] == [hidden, hidden]


def test_one_vote_is_never_surer_than_a_step_of_int8() -> None:
    tracker = Tracker(ages=True)
    walk(tracker, 1, 10)
    (track,), _ = tracker.update([face(165)], 1.05, SIZE)
    tracker.vote(track, 1.0, [1.0, *[0.0] * 7])
    assert track.log_odds == pytest.approx(math.log(0.998 / 0.002))
    assert track.log_ages == pytest.approx([math.log(0.998), *[math.log(0.002)] * 7])


def test_votes_are_at_least_0_15_s_apart() -> None:
    tracker = Tracker()
    end = walk(tracker, 1, 10, speed=0)
    (track,), _ = tracker.update([face(60)], end + 0.05, SIZE)
    tracker.vote(track, 0.6)
    for later, wanted in ((0.14, False), (0.16, True)):
        (track,), _ = tracker.update([face(60)], end + 0.05 + later, SIZE)
        assert tracker.wants_vote(track) is wanted


def test_crossing_people_stay_two() -> None:
    tracker = Tracker()
    for step in range(41):
        mono = step / 10
        tracker.update([face(100 + 100 * mono, 140), face(500 - 100 * mono, 190)], mono, SIZE)
    visits = tracker.finish()
    assert [(v.start, v.end, v.age) for v in visits] == [(0.0, 4.0, None)] * 2


def crowd(
    tracker: Tracker, people: Sequence[Callable[[float], Face | None]], fps: float = 10
) -> list[Visit]:
    """Twelve seconds of people, each a function from the time to the face."""
    visits: list[Visit] = []
    for step in range(round(12 * fps)):
        mono = step / fps
        seen = [face for person in people if (face := person(mono)) is not None]
        visits += tracker.update(seen, mono, SIZE)[1]
    return visits + tracker.finish()


def walker(
    begin: float,
    speed: float,
    width: float = 60,
    y: float = 150,
    hidden: tuple[float, float] = (0, 0),
) -> Callable[[float], Face | None]:
    """Somebody who crosses the view from `begin` on, but is out of sight between two times."""

    def at(mono: float) -> Face | None:
        x = (0 if speed > 0 else SIZE[0]) + speed * (mono - begin)
        visible = width / 2 < x < SIZE[0] - width / 2 and not hidden[0] <= mono < hidden[1]
        return face(x, y, width) if visible else None

    return at


def somebody(
    x: float, begin: float = 0.0, end: float = math.inf, speed: float = 0.0, y: float = 150
) -> Callable[[float], Face | None]:
    """Somebody who is at `x` at `begin`, and in sight until `end`."""
    return lambda mono: face(x + speed * (mono - begin), y) if begin <= mono <= end else None


@pytest.mark.parametrize(
    ("x", "y", "speed", "is_same"),
    [
        (420, 150, 0, True),  # a step aside
        (480, 150, 0, False),
        (430, 150, 130, True),  # she walked off while nobody saw her
        (430, 195, 130, True),  # less than a face width from that path
        (430, 205, 130, False),
        (430, 150, -130, False),
    ],
)
def test_among_others_only_who_came_on_a_possible_path_is_the_same(
    x: float, y: float, speed: float, is_same: bool
) -> None:
    lost, found = somebody(300, end=2), somebody(x, 3, 4.2, speed, y)
    assert len(crowd(Tracker(), [somebody(570), lost, found])) == (2 if is_same else 3)
    # if nobody else is there, she stepped aside while turned away
    assert len(crowd(Tracker(), [lost, found])) == 1


def test_at_few_frames_a_second_it_must_be_likelier() -> None:
    people = [somebody(570), somebody(300, end=2), somebody(420, 3)]
    assert len(crowd(Tracker(), people, fps=10)) == 2
    assert len(crowd(Tracker(), people, fps=3)) == 3


@pytest.mark.parametrize(("x", "speed", "goes_on"), [(260, 0, 150), (290, 0, 405), (300, -60, 405)])
def test_the_likeliest_of_those_who_were_lost_goes_on(x: float, speed: float, goes_on: int) -> None:
    starts = {150: 0.0, 405: 0.5}
    lost = [somebody(at, begin, 2) for at, begin in starts.items()]
    visits = crowd(Tracker(), [somebody(570), *lost, somebody(x, 3, 5, speed)])
    assert [visit.start for visit in visits if visit.end == 5] == [starts[goes_on]]
    assert len(visits) == 3


@pytest.mark.parametrize(("way", "x"), [(1, 455), (-1, 185)])
@pytest.mark.parametrize("gap", [0.2, 0.5])
def test_whoever_walks_out_is_not_the_one_who_appears_inside(
    way: int, x: float, gap: float
) -> None:
    leaves = walker(-3.1, way * 100, 50)
    seen_until = max(step / 10 for step in range(120) if leaves(step / 10))
    visits = crowd(Tracker(), [leaves, somebody(x, round(seen_until + gap, 1), 8, way * 60)])
    assert len(visits) == 2


@pytest.mark.parametrize("seconds", [0.7, 0.9])
def test_a_brief_face_among_others_counts_only_if_nobody_is_missing(seconds: float) -> None:
    """She whom it may be has been counted."""
    brief = somebody(480, 3, 3 + seconds)
    others, lost = somebody(570), somebody(300, end=2)
    assert len(crowd(Tracker(), [others, lost, brief])) == (2 if seconds < 0.8 else 3)
    assert len(crowd(Tracker(), [others, brief])) == 2


def test_at_few_frames_a_second_a_face_in_as_many_as_asked_for_counts() -> None:
    people = [somebody(570), somebody(300, end=2), somebody(480, 3, 3.7)]
    assert len(crowd(Tracker(min_sightings=3, min_seconds=0.5), people, fps=3)) == 3
    assert len(crowd(Tracker(min_sightings=3, min_seconds=0.5), people, fps=12)) == 2


@pytest.mark.parametrize(("shift", "gap", "people"), [(0, 0.1, 1), (40, 0.1, 2), (0, 0.3, 2)])
def test_a_face_that_fills_the_view_and_is_found_smaller_is_the_same(
    shift: float, gap: float, people: int
) -> None:
    """Near the camera each place is at an edge, but nobody comes in where somebody just was."""
    tracker, size = Tracker(), (320, 240)
    for step in range(40):
        width, x = (146, 166) if step < 20 else (104, 166 + shift)
        mono = step / 10 + (gap - 0.1 if step >= 20 else 0)
        tracker.update([face(x, 60, width)], mono, size)
    assert len(tracker.finish()) == people


@pytest.mark.parametrize("way", [1, -1])
def test_a_person_who_walks_on_behind_another_is_the_same(way: int) -> None:
    slow = walker(-4, way * 80, 100, 160)
    visits = crowd(Tracker(), [slow, walker(0, way * 130, 60, 150, hidden=(1.8, 3.1))])
    assert len(visits) == 2


def test_a_person_who_overtakes_does_not_take_over() -> None:
    slow, fast = walker(0, 70, 95, 170), walker(2, 130, 55, 140, hidden=(3.6, 4.9))
    visits = sorted(crowd(Tracker(), [slow, fast]), key=lambda visit: visit.start)
    assert [visit.start for visit in visits] == pytest.approx([0.7, 2.3], abs=0.15)
    assert [visit.end for visit in visits] == pytest.approx([8.4, 6.7], abs=0.15)


def test_a_person_who_stops_while_hidden_and_comes_out_elsewhere_is_the_same() -> None:
    """The motion so far leads astray: she turns back behind somebody who stands."""

    def turns(mono: float) -> Face | None:
        x = 130 * mono if mono < 2.2 else 286 - 130 * max(0.0, mono - 3.3)
        return face(x, 150, 60) if 30 < x < 610 and not 1.8 <= mono < 3.7 else None

    stands = walker(-50, 6, 100, 160)
    assert len(crowd(Tracker(), [stands, turns])) == 2


def test_a_person_who_comes_out_elsewhere_is_predicted_there() -> None:
    tracker = Tracker()
    end = walk(tracker, 2, 10, speed=0, x=300)
    end = walk(tracker, 0.5, 10, start=end + 1, speed=0, x=430)
    (place,) = tracker.predict(end + 0.5)
    assert place.cx == pytest.approx(430)
    assert len(tracker.finish()) == 1


def test_a_person_who_comes_in_at_the_edge_was_not_lost_inside() -> None:
    tracker = Tracker(patience=2)
    end = walk(tracker, 2, 10, speed=0, x=450)
    walk(tracker, 2, 10, start=end + 1, x=612, speed=-30)
    (visit,) = tracker.finish()
    assert visit.start == end + 1


@pytest.mark.parametrize(("x", "gap"), [(300, 0.1), (430, 1.0)])
def test_a_face_of_quite_another_size_is_somebody_else(x: float, gap: float) -> None:
    """In the same place, and where a lost face might reappear."""
    tracker = Tracker()
    end = walk(tracker, 2, 10, speed=0, x=300)
    tracks, _ = tracker.update([face(x, width=110)], end + gap, SIZE)
    assert [track.first for track in tracks] == [end + gap]


def test_a_person_who_came_near_and_is_lost_is_not_predicted_to_grow_for_ever() -> None:
    tracker = Tracker()
    for step in range(20):
        tracker.update([face(300, width=40 * 1.05**step)], step / 10, SIZE)
    (soon,), (later,) = tracker.predict(2.4), tracker.predict(3.3)
    assert later.w == pytest.approx(soon.w)


def test_false_alarms_near_each_other_are_not_a_person() -> None:
    tracker = Tracker()
    for mono, x in ((0.0, 300), (0.1, 300), (0.6, 450)):
        tracker.update([face(x)], mono, SIZE)
    assert tracker.finish() == []


def test_a_person_who_comes_near_quickly_is_one_visit() -> None:
    tracker = Tracker()
    for step in range(40):  # from 8 m to 1.2 m in 4 s, as seen 6 times a second
        mono = step / 10
        tracker.update([face(300, 150, 200 / (8 - 1.7 * mono))], mono, SIZE)
    assert len(tracker.finish()) == 1


def attention(fps: float, facing: Callable[[float], bool], patience: float = 2) -> float:
    """Of a person in view for 12 s, whom the verifier alone sees while not `facing`, seconds."""
    tracker = Tracker(patience=patience)
    for step in range(round(12 * fps) + 1):
        mono = step / fps
        tracker.update([replace(face(300), recovered=not facing(mono))], mono, SIZE)
    (visit,) = tracker.finish()
    assert visit.end == pytest.approx(12, abs=0.6)
    return visit.attention_s


@pytest.mark.parametrize("fps", [0.7, 1, 3, 10, 30])
def test_a_face_that_stays_towards_the_camera_has_attention_all_along(fps: float) -> None:
    assert attention(fps, lambda mono: True) == pytest.approx(12, abs=0.6)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_face_turned_away_has_no_attention(fps: float) -> None:
    assert attention(fps, lambda mono: not 4.1 < mono < 8.9) == pytest.approx(7.2, abs=0.6)


@pytest.mark.parametrize("fps", [3, 10])
def test_attention_is_right_on_average_whenever_a_face_turns(fps: float) -> None:
    def error(turns: float) -> float:
        return attention(fps, lambda mono: not turns < mono < turns + 3.1) - (12 - 3.1)

    errors = [error(4 + (n + 0.5) / (20 * fps)) for n in range(20)]
    assert sum(errors) / len(errors) == pytest.approx(0, abs=0.1 / fps)


@pytest.mark.parametrize("fps", [3, 10, 30])
def test_a_frame_in_which_haar_misses_a_face_takes_no_attention(fps: float) -> None:
    missed = {round(step / fps, 6) for step in range(4, round(11 * fps), 3)}
    assert attention(fps, lambda mono: round(mono, 6) not in missed) == pytest.approx(12)


def test_attention_goes_on_if_haar_looks_only_three_times_a_second() -> None:
    assert attention(30, lambda mono: round(30 * mono) % 10 == 0) == pytest.approx(12)


@pytest.mark.parametrize("fps", [3, 10])
def test_time_out_of_sight_has_no_attention(fps: float) -> None:
    """For less than the patience, so that it is one visit."""
    tracker = Tracker(patience=2)
    for step in range(round(9 * fps) + 1):
        mono = step / fps
        tracker.update([] if 3.1 < mono < 4.9 else [face(300)], mono, SIZE)
    (visit,) = tracker.finish()
    assert visit.end - visit.start == pytest.approx(9)
    assert visit.attention_s == pytest.approx(7.2, abs=0.4)


def test_dropped_frames_take_no_attention() -> None:
    tracker, random = Tracker(), Random(1)
    moments = [step / 10 for step in range(101) if step in (0, 100) or random.random() < 0.5]
    for mono in moments:
        tracker.update([face(300)], mono, SIZE)
    (visit,) = tracker.finish()
    assert visit.attention_s == pytest.approx(10)


def test_a_recovered_face_begins_no_track() -> None:
    tracker = Tracker()
    recovered = replace(face(300), recovered=True)
    for step in range(30):
        assert tracker.update([recovered], step / 10, SIZE) == ([], [])
    assert tracker.predict(3.0) == []


def test_the_prediction_is_where_a_walker_will_be() -> None:
    tracker = Tracker()
    end = walk(tracker, 2, 10, x=60, speed=100)
    (place,) = tracker.predict(end + 0.5)
    assert place.cx == pytest.approx(310, abs=5)
    assert place.cy == pytest.approx(150, abs=2)
    assert place.w == pytest.approx(50, abs=2)


def test_half_a_face_behind_another_does_not_mislead() -> None:
    """What is visible of her face seems to stop at his for 0.3 s, but she walks on: to 284."""
    tracker = Tracker()
    for step in range(31):
        mono = step / 10
        tracker.update([face(max(500 - 60 * mono, 338)), face(260, 160, 100)], mono, SIZE)
    tracker.update([face(260, 160, 100)], 3.5, SIZE)
    (place,) = (box for box in tracker.predict(3.6) if box.w < 80)
    assert place.cx < 320


def test_votes_of_small_and_hidden_faces_weigh_less() -> None:
    tracker = Tracker(min_seconds=0.1)
    for step in range(5):
        clear, small, near = face(100), face(300, width=16), face(470)
        tracks, _ = tracker.update([clear, small, near, face(500, 190)], step / 10, SIZE)
    for track in tracks[:3]:
        tracker.vote(track, 0.9)
    weights = [track.weight for track in tracks[:3]]
    assert weights == [1.0, 0.5, 0.25]
    assert [v.confidence for v in tracker.finish()[:3]] == pytest.approx([0.9] * 3)


def poster(tracker: Tracker, start: float, seconds: float, chance: float, seed: int) -> list[Visit]:
    """A face on the wall as Haar sees it: jittering, and not in every frame."""
    random, visits = Random(seed), []
    for step in range(round(seconds * 10)):
        mono = start + step / 10
        jitter = face(300 + random.gauss(0, 1.5), 150 + random.gauss(0, 1.5), random.gauss(50, 2))
        visits += tracker.update([jitter] if random.random() < chance else [], mono, SIZE)[1]
    return visits


def test_a_poster_is_not_a_visitor() -> None:
    tracker = Tracker(static_after=60)
    assert poster(tracker, 0, 120, 0.8, seed=1) == []
    tracks, _ = tracker.update([face(300)], 120, SIZE)
    assert [tracker.wants_vote(track) for track in tracks] == [False]
    assert (tracker.present, tracker.stationary) == (0, 1)
    assert tracker.finish() == []


def test_a_poster_that_haar_sees_now_and_then_is_remembered() -> None:
    tracker = Tracker(static_after=30)
    before = len(poster(tracker, 10_000, 600, 0.1, seed=2))
    assert tracker.stationary == 1
    assert poster(tracker, 10_600, 600, 0.1, seed=3) == []
    assert before < 10
    assert tracker.finish() == []


def test_many_people_who_look_up_at_one_spot_are_not_a_poster() -> None:
    tracker, visits = Tracker(patience=2), 0
    for number in range(360):  # for a day, one each four minutes
        end = walk(tracker, 2, 4, start=240 * number, speed=0, x=300)
        visits += len(tracker.update([], end + 3, SIZE)[1])
    assert (visits, tracker.stationary) == (360, 0)


def test_a_place_is_remembered_for_an_hour_after_its_last_face() -> None:
    tracker = Tracker(patience=2, static_after=30)
    ended = []
    for start in (0, 3000, 6000):  # each time too short for a poster
        end = walk(tracker, 13, 10, start=start, x=300, speed=0)
        ended.append(len(tracker.update([], end + 3, SIZE)[1]))
    assert ended == [1, 1, 0]
    assert tracker.stationary == 1


def test_still_faces_at_two_places_do_not_add_up() -> None:
    tracker = Tracker(patience=2, static_after=30)
    for start, x in ((0, 100), (60, 300)):
        end = walk(tracker, 20, 10, start=start, x=x, speed=0)
        tracker.update([], end + 3, SIZE)
    assert tracker.stationary == 0


def test_a_place_where_people_come_to_stand_is_not_a_poster() -> None:
    tracker = Tracker(static_after=30)
    for minute in range(4):
        end = walk(tracker, 2.4, 10, start=60 * minute, x=180, speed=50)
        walk(tracker, 20, 10, start=end + 0.1, x=300, speed=0)
    assert tracker.stationary == 0
    assert len(tracker.finish()) == 1


def test_a_person_who_stands_in_front_of_a_poster_and_walks_on_is_counted() -> None:
    tracker = Tracker(static_after=30)
    poster(tracker, 0, 60, 0.9, seed=4)
    assert tracker.stationary == 1
    end = walk(tracker, 1, 10, start=70, speed=0, x=300)
    end = walk(tracker, 3, 10, start=end + 0.1, speed=80, x=300)
    (visit,) = tracker.finish()
    assert visit.end == end


def test_a_person_who_stands_for_minutes_sways_and_is_counted_once() -> None:
    tracker = Tracker(static_after=60)
    for step in range(6000):
        sway = 6 * math.sin(step / 70) + 4 * math.sin(step / 23)
        _, visits = tracker.update([face(300 + sway, 150 + sway / 3)], step / 10, SIZE)
        assert visits == []
    assert (tracker.present, tracker.stationary) == (1, 0)
    assert len(tracker.finish()) == 1


def test_a_poster_taken_down_is_forgotten() -> None:
    tracker = Tracker(static_after=60)
    poster(tracker, 0, 120, 0.9, seed=5)
    walk(tracker, 3, 10, start=4000, speed=0, x=300)
    assert tracker.stationary == 0
    assert len(tracker.finish()) == 1


def test_a_flicker_is_not_a_person() -> None:
    tracker = Tracker(min_sightings=3, min_seconds=0.5)
    for mono in (5.0, 5.1, 5.2, 5.3):  # often enough, but not for long enough
        tracker.update([face(300)], mono, SIZE)
    tracker.update([face(100)], 5.4, SIZE)
    tracks, _ = tracker.update([face(100)], 6.0, SIZE)  # long enough, but not often enough
    assert not any(map(tracker.wants_vote, tracks))
    assert tracker.present == 0
    assert tracker.finish() == []


@pytest.mark.parametrize(
    ("sightings", "seconds", "seen"), [(1, 0, [5.0]), (3, 0.5, [5.0, 5.25, 5.5])]
)
def test_what_is_asked_for_is_enough(sightings: int, seconds: float, seen: list[float]) -> None:
    tracker = Tracker(min_sightings=sightings, min_seconds=seconds)
    for mono in seen:
        tracker.update([face(300)], mono, SIZE)
    assert len(tracker.finish()) == 1


@pytest.mark.parametrize(
    ("votes", "label", "confidence"),
    [
        ([0.9, 0.9, 0.9], "male", 0.9),
        ([0.1, 0.2, 0.05], "female", 0.9),
        ([0.9, 0.1, 0.5], "unknown", 0.5),
        ([0.65, 0.65], "male", 0.65),
        ([0.35, 0.35], "female", 0.65),
        ([0.58, 0.58], "unknown", 0.58),
        ([1.0], "male", 0.998),
        ([], "unknown", 0.5),
    ],
)
def test_label_is_the_mean_vote(votes: list[float], label: str, confidence: float) -> None:
    tracker = Tracker(min_confidence=0.6)
    walk(tracker, 1, 10)
    (track,), _ = tracker.update([face(165)], 1.05, SIZE)
    for vote in votes:
        tracker.vote(track, vote)
    (visit,) = tracker.finish()
    assert visit.label == label
    assert math.isclose(visit.confidence, confidence, abs_tol=0.03)


def aged(**likely: float) -> list[float]:
    """Probabilities of all age groups: of these, by their first years, and even of the rest."""
    rest = (1 - sum(likely.values())) / (len(AGE_GROUPS) - len(likely))
    return [likely.get(f"y{group.rstrip('+').split('-')[0]}", rest) for group in AGE_GROUPS]


@pytest.mark.parametrize(
    ("votes", "age"),
    [
        ([aged(y21=0.6, y36=0.3)], "21-35"),
        # a mean of logarithms: one vote does not save what is hardly possible
        ([aged(y21=0.97), *[aged(y21=0.01, y36=0.4)] * 2], "36-45"),
        # a zero of an int8 output proves nothing
        ([aged(y0=0.0, y4=1.0), *[aged(y0=0.9, y4=0.05)] * 3], "0-3"),
        ([], "unknown"),
    ],
)
@pytest.mark.parametrize("male", [0.9, None])
def test_age_is_the_likeliest_group_over_all_votes(
    votes: list[list[float]], age: str, male: float | None
) -> None:
    tracker = Tracker(ages=True, min_confidence=0.5)
    walk(tracker, 1, 10)
    (track,), _ = tracker.update([face(165)], 1.05, SIZE)
    for vote in votes:
        tracker.vote(track, male, vote)
    (visit,) = tracker.finish()
    assert visit.age == age
    assert visit.label == ("male" if votes and male else "unknown")


def test_an_age_vote_of_a_hidden_face_weighs_less() -> None:
    tracker = Tracker(ages=True, min_seconds=0.1)
    for step in range(5):
        (track, _), _ = tracker.update([face(470), face(500, 190)], step / 10, SIZE)
    assert track.hidden
    for vote in [aged(y57=0.7)] * 3:
        tracker.vote(track, None, vote)
    track.hidden = False
    tracker.vote(track, None, aged(y8=0.7))
    assert [visit.age for visit in tracker.finish()] == ["8-13", "unknown"]


@pytest.mark.parametrize("male", [None, 0.99])
def test_ages_are_asked_for_as_often_as_allowed(male: float | None) -> None:
    """However sure the gender is."""
    tracker = Tracker(ages=True, votes=5)
    for step in range(100):
        (track,), _ = tracker.update([face(300)], step / 20, SIZE)
        if tracker.wants_vote(track):
            tracker.vote(track, male, aged(y21=0.99))
    assert track.votes == 5


def test_votes_are_asked_for_until_the_evidence_suffices() -> None:
    tracker = Tracker(votes=5)
    asked = []
    for step in range(100):
        (track,), _ = tracker.update([face(300)], step / 20, SIZE)
        if tracker.wants_vote(track):
            asked.append(step)
            tracker.vote(track, 0.6)
    assert len(asked) == 5
    # not in each frame: two of them show the same
    assert all(after - before >= 3 for before, after in pairwise(asked))
    tracker.finish()
    for step in range(100):
        (track,), _ = tracker.update([face(300)], 10 + step / 20, SIZE)
        if tracker.wants_vote(track):
            tracker.vote(track, 0.99)
    assert track.votes == 2


places = st.tuples(st.floats(30, 600), st.floats(30, 330), st.floats(20, 120))
crowds = st.lists(st.lists(places, max_size=6, unique=True), min_size=1, max_size=30)


# on a grid that is coarse and symmetric, faces are often equally far from a track
grid = st.tuples(st.sampled_from([160, 200, 240, 280]), st.sampled_from([120, 160]), st.just(40))
grids = st.lists(st.lists(grid, max_size=4, unique=True), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("looks", "people"),
    [
        ([0.7] * 5, 1),
        ([0.69] * 5, 0),
        ([-1] * 4, 0),
        ([2, 0, 0, 2], 1),
        ([2, -1, -1, -1], 0),
        ([-1, -1, 2, 2, 2], 1),
        ([-0.69] * 5 + [4] * 3, 1),  # followed on until it is clear
    ],
)
def test_what_is_probably_no_face_is_not_a_person(looks: list[float], people: int) -> None:
    tracker = Tracker()
    tracker.update([face(300)], 0, SIZE)
    for step, evidence in enumerate(looks, 1):
        (track,), _ = tracker.update([face(300 + 2 * step)], step / 5, SIZE)
        assert tracker.wants_check(track)
        tracker.check(track, evidence)
    assert tracker.present == people
    assert len(tracker.finish()) == people


@pytest.mark.parametrize(
    ("evidence", "votes", "people"),
    [
        (0.2, [0.9] * 3, 1),  # ln(9) / 2 more
        (0.2, [0.75] * 3, 1),
        (0.2, [0.7] * 3, 0),
        (0.2, [0.5, 0.5, 0.98], 1),
        (1.5, [0.02] * 3, 0),
        (1.5, [0.3] * 3, 1),
        (1.5, [None] * 3, 1),
        (0.2, [None] * 3, 0),
    ],
)
def test_the_classifier_too_says_whether_it_is_a_face(
    evidence: float, votes: list[float | None], people: int
) -> None:
    tracker = Tracker()
    for step in range(30):
        (track,), _ = tracker.update([face(300)], step / 10, SIZE)
        if tracker.wants_check(track):
            tracker.check(track, evidence)
        if tracker.wants_vote(track):
            tracker.vote(track, 0.6, None, votes[min(track.votes, len(votes) - 1)])
    assert tracker.present == people
    assert len(tracker.finish()) == people


def test_what_the_classifier_takes_for_no_face_is_dropped() -> None:
    tracker = Tracker()
    for step in range(20):
        tracks, _ = tracker.update([face(300)], step / 10, SIZE)
        for track in filter(tracker.wants_check, tracks):
            tracker.check(track, -0.2)
        for track in filter(tracker.wants_vote, tracks):
            tracker.vote(track, 0.6, None, 0.1)
    assert track.id > 1


def test_a_recovered_face_has_no_hits() -> None:
    """Its score is the verifier's, which is asked again in the check."""
    tracker = Tracker()
    tracker.update([face(300)], 0, SIZE)
    hits = []
    for step, (score, recovered) in enumerate([(9.0, False), (0.8, True), (12.0, False)], 1):
        seen = replace(face(300), score=score, recovered=recovered)
        (track,), _ = tracker.update([seen], step / 10, SIZE)
        hits.append(track.haar_hits)
    assert hits == [9.0, 0.0, 12.0]


def test_what_is_no_face_is_dropped_before_a_person_joins_it() -> None:
    tracker = Tracker()
    for step in range(6):
        (track,), _ = tracker.update([face(300)], step / 5, SIZE)
        if tracker.wants_check(track):
            tracker.check(track, -2)
    assert tracker.predict(1.2) == []
    assert not tracker.wants_vote(track)
    # whoever comes to the place is another track
    (person,), _ = tracker.update([face(302)], 1.2, SIZE)
    assert person.id != track.id


@pytest.mark.parametrize("fps", [10, 2])
def test_a_track_that_slips_onto_a_thing_ends_with_the_person(fps: int) -> None:
    """A visitor leaves after 20 s, unseen; from then on the track follows leaves on the wall."""
    tracker = Tracker()
    visits: list[Visit] = []
    ids = set()
    for step in range(40 * fps):
        mono = step / fps
        there = mono <= 20
        seen, ended = tracker.update([face(300 + (3 * mono if there else 60))], mono, SIZE)
        visits += ended
        for track in seen:
            ids.add(track.id)
            if tracker.wants_check(track):
                tracker.check(track, 2 if there else -2)
        if 20 < mono < 22:
            assert len(tracker.predict(mono)) == 1, "a face may be turned away for a while"
    (visit,) = visits + tracker.finish()
    assert 20 <= visit.end <= 22, "checks are 2 s apart by then"
    assert visit.attention_s == pytest.approx(visit.end)
    assert len(ids) > 1


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(1, 8, 10), (10, 28, 34), (100, 48, 60)])
def test_checks_spread_over_the_whole_track(seconds: float, fewest: int, most: int) -> None:
    tracker = Tracker()
    times = []
    for step in range(round(30 * seconds) + 1):
        (track,), _ = tracker.update([face(300 + 20 * math.sin(step / 90))], step / 30, SIZE)
        if tracker.wants_check(track):
            tracker.check(track, 1)
            times.append(track.last)
    assert fewest <= len(times) <= most
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert times[-1] > 0.85 * seconds


def test_what_is_surely_a_face_is_checked_less_often() -> None:
    times: dict[float, list[float]] = {}
    for evidence in (1.4, 1.6):
        tracker = Tracker()
        for step in range(41):
            (track,), _ = tracker.update([face(300 + step)], step / 20, SIZE)
            if tracker.wants_check(track):
                tracker.check(track, evidence)
                times.setdefault(evidence, []).append(track.last)
    doubted, sure = times.values()
    assert doubted[:ENOUGH_CHECKS] == sure[:ENOUGH_CHECKS]
    later = sure[ENOUGH_CHECKS - 1 :]
    assert all(SURE_CHECK_EVERY_S <= b - a < SURE_CHECK_EVERY_S + 0.1 for a, b in pairwise(later))
    assert len(doubted) - ENOUGH_CHECKS > 3 * (len(sure) - ENOUGH_CHECKS)


def test_a_new_or_stationary_face_is_not_checked() -> None:
    tracker = Tracker(static_after=5)
    (track,), _ = tracker.update([face(300)], 0, SIZE)
    assert not tracker.wants_check(track), "the detector has just verified it"
    for second in range(1, 9):
        (track,), _ = tracker.update([face(300)], second, SIZE)
    assert track.stationary
    assert not tracker.wants_check(track)


@settings(max_examples=200, deadline=None)
@given(st.one_of(crowds, grids), st.randoms(use_true_random=False))
def test_order_of_faces_does_not_matter(
    crowd: list[list[tuple[float, float, float]]], random: Random
) -> None:
    def run(shuffled: bool) -> list[Visit]:
        tracker = Tracker(min_sightings=1, min_seconds=0)
        visits: list[Visit] = []
        for step, places in enumerate(crowd):
            faces = [face(*place) for place in places]
            if shuffled:
                random.shuffle(faces)
            visits += tracker.update(faces, step / 10, SIZE)[1]
        return visits + tracker.finish()

    assert sorted(map(repr, run(False))) == sorted(map(repr, run(True)))


def test_of_two_faces_equally_far_the_left_one_goes_on() -> None:
    for xs in ([280.0, 320.0], [320.0, 280.0]):
        tracker = Tracker()
        tracker.update([face(300)], 0, SIZE)
        tracks, _ = tracker.update([face(x) for x in xs], 0.1, SIZE)
        assert [(track.id, track.box.cx) for track in tracks] == [(1, 280), (2, 320)]


def test_of_two_tracks_equally_far_the_older_one_goes_on() -> None:
    for xs in ([280.0, 320.0], [320.0, 280.0]):
        tracker = Tracker()
        tracker.update([face(x) for x in xs], 0, SIZE)
        tracks, _ = tracker.update([face(300)], 0.1, SIZE)
        assert [(track.id, track.box.cx) for track in tracks] == [(1, 300)]


@settings(max_examples=200, deadline=None)
@given(crowds)
def test_a_face_joins_one_track_and_ids_are_never_reused(
    crowd: list[list[tuple[float, float, float]]],
) -> None:
    tracker = Tracker()
    hits_of: dict[int, int] = {}
    for step, places in enumerate(crowd):
        tracks, _ = tracker.update([face(*place) for place in places], step / 10, SIZE)
        assert len({track.id for track in tracks}) == len(tracks) == len(places)
        for track in tracks:
            if track.hits == 1:
                assert track.id not in hits_of, "an id came back"
            # more than one: it goes on as a newer track, whose faces are now its own
            gained = track.hits - hits_of.get(track.id, 0)
            assert gained == 1 or gained - 1 in {
                hits for id_, hits in hits_of.items() if id_ > track.id
            }
            hits_of[track.id] = track.hits
