"""What the shipped configuration counts on a made crowd, against exact truth."""

from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from replay import configured, match, read_truth, replay

from edge.errors import ConfigError
from edge.records import Visit


def test_crowd(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    clip = str(clips / "crowd-a.mp4")
    run = replay(configured(ROOT / "config.yaml", clip))
    truth = read_truth(clips, clip)["visits"]
    assert run.frames == 1125
    assert run.people.total == len(run.visits)
    assert abs(run.people.total - len(truth)) <= 0.15 * len(truth)
    pairs = match(run.visits, truth)
    assert len(pairs) >= 0.85 * len(truth)
    right = [run.visits[i].label == truth[j]["gender"] for i, j in pairs]
    assert sum(right) >= 0.85 * len(right)


def visit(start: float, end: float) -> Visit:
    return Visit(start, end, "female", 0.9)


def true(start: float, end: float) -> dict[str, Any]:
    return {"first_s": start, "last_s": end, "gender": "female"}


def test_visits_are_matched_by_the_time_they_share() -> None:
    truth = [true(0, 10), true(5, 15), true(40, 50)]
    assert match([visit(5, 15), visit(0, 9)], truth) == [(0, 1), (1, 0)]
    # one true visit counted twice: only the better one is it
    assert match([visit(0, 4), visit(4, 10)], [true(0, 10)]) == [(1, 0)]
    assert match([visit(60, 70)], truth) == []
    assert match([], truth) == []


def test_truth_of_a_folder_or_a_file(clips: Path) -> None:
    assert read_truth(clips, "people-detection.gif")["female"] == 0
    assert len(read_truth(clips, "x/crowd-b.mp4")["visits"]) == 40
    assert read_truth(clips / "crowd-a.yaml", "crowd-a.mp4")["male"] == 6
    with pytest.raises(ConfigError, match=r"says nothing about other\.mp4"):
        read_truth(clips, "other.mp4")
