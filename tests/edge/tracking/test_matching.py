"""Genders tell tracks apart where place and size cannot."""

from collections.abc import Mapping

import pytest

from edge.tracking.tracker import Tracker
from edge.types import Box, Face, Visit

SIZE = (640, 360)
FPS = 4
MALE = {"woman": 0.02, "man": 0.98}


class Scene:
    """Shows faces of known people to a tracker, and answers what it asks about them."""

    def __init__(self) -> None:
        self.tracker = Tracker(patience=3)
        self.visits: list[Visit] = []
        self.asked: list[str] = []
        self.ids: dict[str, set[int]] = {person: set() for person in MALE}
        """Of the tracks that followed each of them."""
        self._step = 0

    def show(self, places: Mapping[str, tuple[float, float]]) -> None:
        """One more frame, with the middles of the faces."""
        faces = {
            Face(Box(x - 25, y - 25, 50, 50), 5.0): person for person, (x, y) in places.items()
        }

        def gender(face: Face) -> float:
            person = next(p for f, p in faces.items() if f.box == face.box)
            self.asked.append(person)
            return MALE[person]

        mono = self._step / FPS
        self._step += 1
        tracks, visits = self.tracker.update(list(faces), mono, SIZE, gender)
        self.visits += visits
        people = {face.box: person for face, person in faces.items()}
        for track in tracks:
            self.ids[people[track.box]].add(track.id)
            if self.tracker.wants_vote(track):
                self.tracker.vote(track, MALE[people[track.box]])

    def end(self) -> list[tuple[str, float]]:
        """The visits by their begin: label and length, seconds."""
        self.visits += self.tracker.finish()
        return [(v.label, v.end - v.start) for v in sorted(self.visits, key=lambda v: v.start)]


@pytest.mark.parametrize(
    ("person", "x", "away", "expected"),
    [
        ("woman", 320, 3, [("female", 4.5)]),
        # at her place, and farther away, where whoever was lost might reappear
        ("man", 320, 3, [("female", 1.75), ("male", 1.75)]),
        ("man", 440, 4, [("female", 1.75), ("male", 1.75)]),
    ],
)
def test_who_appears_where_a_woman_turned_away(
    person: str, x: float, away: int, expected: list[tuple[str, float]]
) -> None:
    scene = Scene()
    for _ in range(8):
        scene.show({"woman": (300, 150)})
    for _ in range(away):
        scene.show({})
    for _ in range(8):
        scene.show({person: (x, 150)})
    assert scene.end() == expected


def test_a_woman_and_a_man_who_stop_and_turn_back_keep_their_tracks() -> None:
    """By motion alone, each would go on as the other."""
    scene = Scene()
    for step in (*range(6), *reversed(range(5))):
        scene.show({"woman": (125 + 30 * step, 150), "man": (475 - 30 * step, 150)})
    assert scene.end() == [("female", 2.5), ("male", 2.5)]
    assert [len(ids) for ids in scene.ids.values()] == [1, 1]


@pytest.mark.parametrize("people", [["woman"], ["woman", "man"]])
def test_nobody_is_asked_about_while_places_suffice(people: list[str]) -> None:
    scene = Scene()
    for step in range(20):
        scene.show({p: (100 + 300 * n + 5 * step, 150) for n, p in enumerate(people)})
    assert len(scene.end()) == len(people)
    assert scene.asked == []
