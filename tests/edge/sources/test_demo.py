"""The demo's people: known in number, gone before the next ones come."""

import numpy as np

from edge.sources.demo import CYCLE_S, HEIGHT, PEOPLE, WIDTH, Scene
from edge.types import People


def test_the_faces_are_enough_and_small() -> None:
    files = list(PEOPLE.glob("*.jpg"))
    women = [file for file in files if file.name.startswith("female-")]
    assert len(files) >= 16
    assert 2 * len(women) == len(files)
    assert sum(file.stat().st_size for file in files) < 400 * 1024


def test_the_same_seed_shows_the_same_people() -> None:
    assert np.array_equal(Scene(3).draw(12.5), Scene(3).draw(12.5))
    assert [Scene(3).group(n) for n in range(9)] != [Scene(4).group(n) for n in range(9)]


def test_each_group_comes_and_goes_within_its_cycle() -> None:
    scene = Scene()
    empty = scene.draw(CYCLE_S - 0.01)
    for cycle in range(20):
        assert np.array_equal(scene.draw((cycle + 1) * CYCLE_S - 2.5), empty)
        assert not np.array_equal(scene.draw(cycle * CYCLE_S + 3), empty)
        group, people = scene.group(cycle), scene.people(cycle)
        assert people.total == len(group) > 0
    assert empty.shape == (HEIGHT, WIDTH, 3)


def test_both_genders_walk_past() -> None:
    scene = Scene()
    people = sum((scene.people(cycle) for cycle in range(30)), People())
    assert people.female > 15
    assert people.male > 15
    assert people.unknown == 0
