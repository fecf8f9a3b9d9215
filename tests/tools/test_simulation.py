"""The truth about a simulated crowd is what its pictures show."""

from dataclasses import replace

import numpy as np
import pytest

from edge.types import Image
from tools.simulation import backgrounds, faces
from tools.simulation.camera import Camera
from tools.simulation.casting import MAX_AWAY_S, Cast, draw_crowd
from tools.simulation.crowd import Crowd, Person, Pillar
from tools.simulation.heads import draw_head, make_head
from tools.simulation.stays import IN_VIEW, MIN_VIEW_S, Stay, stays, visible
from tools.simulation.walks import Walk

SIZE = (320, 180)
CAST = Cast(people=10, backs=2, masks=0.0, seconds=12.0, fps=5.0)


@pytest.fixture(scope="module")
def drawn() -> tuple[Crowd, list[Stay]]:
    rng = np.random.default_rng(7)  # at first draw somebody is hidden for 6 s
    background = backgrounds.generated(SIZE, rng)
    people = faces.of_the_demo(CAST.people + CAST.backs, rng)
    return draw_crowd(CAST, people, background, rng)


def changed(crowd: Crowd, number: int, seconds: float) -> float:
    """Fraction of the face's place in the picture, 0 to 1, that one person alone changes."""
    person = crowd.people[number]
    pose = person.walk.pose(seconds, SIZE)
    assert pose is not None
    others = [other for other in crowd.people if other is not person]
    pictures = [crowd.draw(seconds), replace(crowd, people=others).draw(seconds)]
    difference = np.abs(np.diff(np.array(pictures, int), axis=0)[0]).max(axis=2)
    half = 0.3 * pose.side
    x, y = pose.middle.real, pose.middle.imag
    place = difference[max(0, round(y - half)) : round(y + half), max(0, round(x - half)) :]
    return float(np.mean(place[:, : round(2 * half)] > 3))


def test_everybody_in_the_truth_is_visible(drawn: tuple[Crowd, list[Stay]]) -> None:
    crowd, truth = drawn
    assert len(truth) == CAST.people
    looked = 0
    for seconds in np.arange(0, CAST.seconds, 0.8):
        for number, fraction in enumerate(visible(crowd, float(seconds))):
            if fraction >= IN_VIEW:
                assert changed(crowd, number, float(seconds)) > 0.8
                looked += 1
    assert looked > CAST.people
    for stay in truth:
        assert stay.last_s - stay.first_s >= MIN_VIEW_S - 1 / CAST.fps
        assert stay.away_s <= MAX_AWAY_S


def test_backs_are_never_in_view(drawn: tuple[Crowd, list[Stay]]) -> None:
    crowd, _ = drawn
    everybody = stays(crowd, CAST.seconds, CAST.fps)
    assert len(everybody) == CAST.people + CAST.backs
    assert everybody[CAST.people :] == [None] * CAST.backs


def walker(x: float, distance: float) -> Person:
    """Somebody who stands for 10 s at this place, metres."""
    (face,) = faces.of_the_demo(1, np.random.default_rng(1))
    head = make_head(face.image, face.box, face.label, np.random.default_rng(1))
    return Person(head, (90, 90, 90), Walk((0, 10), ((x, distance),) * 2, drop=0.38, lively=0))


def test_nearer_people_and_pillars_hide_faces() -> None:
    wall = np.zeros((180, 320, 3), np.uint8)
    far, near = walker(0, 2.0), walker(0, 1.9)
    alone = Crowd(SIZE, wall, [far])
    assert visible(alone, 5) == pytest.approx([1], abs=0.1)
    assert visible(alone, 11) == [0]
    assert visible(replace(alone, people=[far, near]), 5) == pytest.approx([0, 1], abs=0.1)
    beside = replace(alone, people=[far, walker(0.6, 1.9)])
    assert visible(beside, 5) == pytest.approx([1, 1], abs=0.1)
    for distance, fraction in ((1.5, 0), (2.5, 1)):
        pillar = Pillar(0.45, 0.55, distance, 100)
        behind = replace(alone, pillars=[pillar])
        assert visible(behind, 5) == pytest.approx([fraction], abs=0.1)
    half = replace(alone, pillars=[Pillar(0.3, 0.5, 1.5, 100)])
    assert visible(half, 5) == pytest.approx([0.5], abs=0.1)
    away = replace(alone, people=[replace(far, walk=replace(far.walk, away=(2, 6)))])
    fractions = [visible(away, moment)[0] for moment in (1, 4, 7)]
    assert fractions == pytest.approx([1, 0, 1], abs=0.1)


def test_a_break_in_view_is_measured() -> None:
    person = walker(0, 2.0)
    person = replace(person, walk=replace(person.walk, away=(3, 6)))
    (stay,) = stays(Crowd(SIZE, np.zeros((180, 320, 3), np.uint8), [person]), 10, 10)
    assert stay is not None
    assert (stay.first_s, stay.last_s) == (0, 9.9)
    assert stay.away_s == pytest.approx(3 - 0.2, abs=0.15)  # turned by 40 degrees within 0.1 s
    assert stay.attention_s == pytest.approx(9.9 - 2.8, abs=0.15)
    assert len(stay.path) == 50
    assert stay.path[0][3] == stay.face_px == round(0.9 * 320 * 0.17 / 2)


def test_people_start_and_stop_gently() -> None:
    walk = Walk((0, 4, 8), ((-2, 2), (2, 2), (2, 2)), drop=0.38, lively=0)
    xs = [pose.middle.real for t in np.arange(0, 8, 0.1) if (pose := walk.pose(float(t), SIZE))]
    assert xs[-1] - xs[0] == pytest.approx(0.9 * 320 * 4 / 2, rel=0.03)
    steps = np.diff(xs)
    assert np.abs(np.diff(steps)).max() < 0.4 * steps.max()


@pytest.mark.parametrize(("right", "away_s"), [(0.4, 0), (0.52, 4.4), (1.0, None)])
def test_somebody_who_stands_half_hidden_is_away(right: float, away_s: float | None) -> None:
    there, hidden = (0.5, 2.0), (0.0, 2.0)
    walk = Walk((0, 2, 3, 7, 8, 10), (there, there, hidden, hidden, there, there), 0.38, lively=0)
    person = replace(walker(0, 2.0), walk=walk)
    pillars = [Pillar(0.3, right, 1.5, 100)]
    (stay,) = stays(Crowd(SIZE, np.zeros((180, 320, 3), np.uint8), [person], pillars), 10, 10)
    assert (None if stay is None else stay.away_s) == pytest.approx(away_s, abs=0.3)


def test_somebody_who_comes_back_half_hidden_is_back() -> None:
    walk = Walk((0, 3, 4, 10), ((0.5, 2.0), (0.5, 2.0), (0.0, 2.0), (0.0, 2.0)), 0.38, lively=0)
    person = replace(walker(0, 2.0), walk=walk)
    for right, away_s in ((0.49, 6), (0.54, 0)):  # half of the face is seen at the end, or none
        pillars = [Pillar(0.3, right, 1.5, 100)]
        (stay,) = stays(Crowd(SIZE, np.zeros((180, 320, 3), np.uint8), [person], pillars), 10, 10)
        assert stay is not None
        assert stay.away_s == pytest.approx(away_s, abs=0.8)


def head_on(background: int, yaw: float) -> Image:
    (face,) = faces.of_the_demo(1, np.random.default_rng(1))
    view = np.full((180, 180, 3), background, np.uint8)
    head = make_head(face.image, face.box, face.label, np.random.default_rng(1))
    draw_head(view, head, 90 + 90j, 60, yaw=yaw)
    return view


def test_a_head_has_no_square_edge_and_turns_away() -> None:
    front, back = head_on(255, 0), head_on(255, 150)
    assert (front[85:95, 85:95] != back[85:95, 85:95]).any(axis=2).mean() > 0.9
    assert (back[85:95, 85:95] < 200).all()  # hair
    for view in (front, back):
        assert (view[:30, :30] == 255).all()
        # from the corner of the face's box to its middle the picture changes step by step
        steps = np.diff(view[[range(45, 91)], [range(45, 91)]].astype(int), axis=1)
        assert np.abs(steps).max() < 110


def test_a_camera_in_the_dark() -> None:
    view = np.full((100, 100, 3), 100, np.uint8)
    taken = Camera(light=0.5, noise=4, blur=0).take(view, np.random.default_rng(1))
    assert taken.mean() == pytest.approx(50, abs=1)
    assert taken.std() == pytest.approx(4, abs=0.3)
    assert (Camera(noise=0, blur=0).take(view, np.random.default_rng(1)) == view).all()


def test_rooms_differ_by_seed() -> None:
    rooms = [backgrounds.generated(SIZE, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert rooms[0].shape == (180, 320, 3)
    assert (rooms[0] == rooms[1]).all()
    assert (rooms[0] != rooms[2]).mean() > 0.5
