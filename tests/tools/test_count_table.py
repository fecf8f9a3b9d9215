"""Counts of many clips: matched by place, summed up, and held to limits."""

from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.types import Box, People, Visit
from tools.evaluation.count_matching import CountedVisit
from tools.evaluation.count_metrics import Figures, compare
from tools.evaluation.count_table import excesses, lines, spreads
from tools.evaluation.count_truth import Truth, clips_in, read_truth


def figures(people: int, counted: int, right: int | None = None, **values: Any) -> Figures:
    matched = min(people, counted)
    surplus = max(0, counted - people)
    return Figures(
        people=people,
        counted=counted,
        missed=people - matched,
        doubled=surplus if people else 0,
        invented=0 if people else surplus,
        matched=matched,
        gender_right=matched if right is None else right,
        unknown=values.get("unknown", 0),
        dwell_error_s=values.get("dwell"),
        attention_error_s=values.get("attention"),
    )


def test_clips_add_up() -> None:
    found = spreads([figures(10, 12, dwell=1.0), figures(30, 27, dwell=2.0), figures(0, 1)])
    assert found["error"].all == 0
    assert found["error"].median == pytest.approx(0.2)
    assert found["error"].range == pytest.approx((-0.1, 1.0))
    assert (found["missed"].all, found["doubled"].all) == (3 / 40, 2 / 40)
    assert found["invented"].all == 1 / 40
    assert found["dwell"].all == pytest.approx((10 * 1.0 + 27 * 2.0) / 37)
    interval = found["doubled"].interval
    assert interval is not None
    assert interval[0] == 0 < 2 / 40 < interval[1] <= 0.2


def test_one_clip_has_no_interval() -> None:
    found = spreads([figures(10, 9)])
    assert found["missed"].all == found["missed"].median == 0.1
    assert found["missed"].interval is None
    assert spreads([figures(0, 0)])["gender"].all is None


def test_equal_clips_have_a_narrow_interval() -> None:
    assert spreads([figures(10, 9)] * 5)["missed"].interval == pytest.approx((0.1, 0.1))


def test_unknown_visits_are_not_wrong() -> None:
    assert figures(10, 10, right=6, unknown=3).with_gender == 7
    assert spreads([figures(10, 10, right=6, unknown=3)])["gender"].all == 6 / 7


def test_rows() -> None:
    first = figures(10, 12, dwell=1.0, attention=0.5)
    rows = lines([("a.mp4", first), ("long-name.mp4", figures(0, 0))])
    assert rows[1].split() == [
        "a.mp4", "10", "12", "0", "2", "0", "10/10", "1.00", "s", "0.50", "s",
    ]  # fmt: skip
    assert rows[2].split() == ["long-name.mp4", "0", "0", "0", "0", "0", "-", "-", "-"]
    assert rows[5].split()[:2] == ["error", "+20.0%"]
    assert rows[-2].split()[:2] == ["dwell", "1.00"]
    assert rows[-1].split()[:2] == ["attention", "0.50"]


@pytest.mark.parametrize(
    ("limits", "texts"),
    [
        ({}, []),
        ({"error": 0.1, "missed": 0.1, "doubled": 0, "invented": 0, "gender": 0.5}, []),
        ({"error": 0.09}, ["error -10.0%, above 9.0%"]),
        ({"missed": 0.05}, ["missed 10.0%, above 5.0%"]),
        ({"gender": 0.6}, ["gender 55.6% right, below 60.0%"]),
    ],
)
def test_limits(limits: dict[str, float], texts: list[str]) -> None:
    assert excesses([figures(10, 9, right=5)], limits) == texts


def test_limits_without_people() -> None:
    assert excesses([figures(0, 0)], {"invented": 0, "gender": 0.5}) == [
        "gender: nothing to compare"
    ]
    assert excesses([figures(0, 1)], {"invented": 0.5}) == ["invented 100.0%, above 50.0%"]


def seen(start: float, end: float, x: float, speed: float = 0, px: float = 50) -> CountedVisit:
    """A visit seen ten times a second, from x on at `speed` pixels per second, at y = 100."""
    times = [start + 0.1 * n for n in range(round(10 * (end - start)) + 1)]
    boxes = [Box(x + speed * (t - start) - px / 2, 100 - px / 2, px, px) for t in times]
    return CountedVisit(Visit(start, end, "female", 0.9), px, tuple(zip(times, boxes, strict=True)))


def walk(start: float, end: float, x: float, speed: float = 0) -> dict[str, Any]:
    """The truth about somebody who moves as `seen` does."""
    path = [[start, x, 100, 50], [end, x + speed * (end - start), 100, 50]]
    return {"gender": "female", "first_s": start, "last_s": end, "face_px": 50, "path": path}


def outcome(counted: list[CountedVisit], people: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Missed, doubled and invented."""
    truth = Truth(People(len(people)), tuple(people))
    result = compare(counted, truth)
    return result.missed, result.doubled, result.invented


def test_visits_are_matched_by_place() -> None:
    # at the same times, so that the time alone could not tell them apart
    people = [walk(0, 10, 100), walk(0, 10, 400)]
    assert outcome([seen(0, 10, 100), seen(0, 10, 400)], people) == (0, 0, 0)
    assert outcome([seen(0, 4, 100), seen(5, 10, 100)], people) == (1, 1, 0)
    assert outcome([seen(0, 10, 100), seen(0, 10, 250)], people) == (1, 0, 1)
    assert outcome([seen(0, 10, 100, px=90)], people) == (2, 0, 1)
    assert outcome([seen(20, 30, 100)], people) == (2, 0, 1)
    assert outcome([], people) == (2, 0, 0)


def test_the_longest_visit_of_a_person_is_the_one() -> None:
    person = walk(0, 9, 100)
    counted = [seen(0, 1, 100), seen(2, 10, 100)]  # the second is still seen when nobody is there
    result = compare(counted, Truth(People(1), (person,)))
    assert (result.doubled, result.dwell_error_s) == (1, 1)


def test_people_who_pass_each_other_are_told_apart() -> None:
    people = [walk(0, 10, 100, 40), walk(0, 10, 500, -40)]
    assert outcome([seen(0, 10, 100, 40), seen(0, 10, 500, -40)], people) == (0, 0, 0)
    # one visit that follows the first person, and one that repeats a part of it
    assert outcome([seen(0, 10, 100, 40), seen(6, 10, 340, 40)], people) == (1, 1, 0)


def test_somebody_who_passes_by_is_not_whom_a_visit_follows() -> None:
    people = [walk(0, 10, 100), walk(0, 10, -100, 40)]  # the second passes the first at 5 s
    assert outcome([seen(0, 5, 100), seen(5.1, 10, 100)], people) == (1, 1, 0)


def test_a_visit_that_changes_over_to_somebody_else_counts_for_one() -> None:
    people = [walk(0, 5, 100), walk(5, 10, 120)]
    assert outcome([seen(0, 10, 110)], people) == (1, 0, 0)


def test_a_visit_of_many_people_is_of_the_one_it_follows_longest() -> None:
    people = [walk(10 * n, 10 * n + 8 + (n == 2), 100 + 5 * n) for n in range(5)]
    chain = seen(0, 48, 110)  # a quarter at most on each
    assert outcome([chain], people) == (4, 0, 0)
    third = seen(20, 29, 110)
    assert outcome([chain, third], people) == (4, 1, 0)
    assert outcome([seen(0, 100, 110)], people) == (5, 0, 1)  # mostly on nobody


def test_truth_without_paths_is_matched_by_time() -> None:
    person = walk(0, 10, 100)
    del person["path"]
    assert not Truth(People(1), (person,)).has_paths
    assert outcome([seen(0, 10, 400)], [person]) == (0, 0, 0)


@pytest.mark.parametrize(
    "path", ["[]", "[[0, 1, 2]]", "[[1, 0, 0, 9], [0, 0, 0, 9]]", "[[0, 0, 0, 0]]", "3"]
)
def test_a_path_that_is_not_one(tmp_path: Path, path: str) -> None:
    file = tmp_path / "clip.yaml"
    visit = f"{{gender: female, first_s: 0, last_s: 1, path: {path}}}"
    file.write_text(f"female: 1\nvisits: [{visit}]\n")
    with pytest.raises(ConfigError, match=r"clip\.yaml: must hold .* and path"):
        read_truth(file, "clip.mp4")


def test_clips_of_a_folder(tmp_path: Path) -> None:
    for name in ("c10.mp4", "c9.mp4", "c9.yaml", "c9.jpg", "c10.yaml", "other.mp4", "b.gif"):
        (tmp_path / name).write_text("")
    assert [clip.name for clip in clips_in(tmp_path)] == ["c9.mp4", "c10.mp4"]
    (tmp_path / "truth.yaml").write_text("b.gif: {female: 0, male: 0}\n")
    assert [clip.name for clip in clips_in(tmp_path)] == ["b.gif", "c9.mp4", "c10.mp4"]
    assert read_truth(tmp_path, "b.gif").people.total == 0
    (tmp_path / "b.gif").unlink()
    with pytest.raises(ConfigError, match=r"b\.gif, named in truth\.yaml, is not there"):
        clips_in(tmp_path)
