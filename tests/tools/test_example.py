"""The walk-through's example: generated people, and the truth about them."""

from collections import Counter
from pathlib import Path

import pytest

from edge.sources.demo import Scene
from edge.sources.pictures import read as read_picture
from tests.support.commands import tool
from tests.support.paths import ROOT
from tools.datasets.dataset import load
from tools.evaluation.count_metrics import compare
from tools.evaluation.count_truth import read_truth
from tools.evaluation.replay import load_unrestricted, replay


def test_its_faces_are_a_data_set_in_which_nobody_is_in_two_parts(example: Path) -> None:
    data = load(example / "faces")
    assert (data.layout, data.has_splits) == ("folders", True)
    splits = Counter((sample.split, sample.label) for sample in data.samples)
    assert splits == {
        (split, label): number
        for split, number in (("train", 360), ("val", 60), ("test", 60))
        for label in (0, 1)
    }
    people = {part: set[str]() for part in ("train", "val", "test")}
    for sample in data.samples:
        people[sample.split].add(Path(sample.name).stem.rpartition("-")[0])
    assert [len(names) for names in people.values()] == [12, 4, 4]
    assert len(set().union(*people.values())) == 20


def test_the_daemon_counts_its_clip_as_the_truth_says(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    clip = str(example / "clip.mp4")
    truth = read_truth(example / "clip.yaml", clip)
    scene = Scene()
    assert truth.people == scene.people(0) + scene.people(1)
    run = replay(load_unrestricted(Path("config.yaml"), clip))
    figures = compare(run.visits, truth)
    assert (figures.missed, figures.doubled, figures.invented) == (0, 0, 0)
    assert figures.gender_right == figures.people == 4
    assert figures.dwell_error_s is not None
    assert figures.dwell_error_s < 0.5


def test_three_people_are_in_its_picture(example: Path) -> None:
    assert read_picture(example / "group.png").shape == (360, 640, 3)
    run = tool("predict", example / "group.png")
    assert run.stdout.splitlines()[0].endswith("group.png: 3 faces")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--seconds", "15"], "--seconds must be 10, 20, ..."),
        (["--seed", "-1"], "--seed: -1: must be a whole number, 0 or more"),
        (["--out", "README.md"], "--out README.md: cannot be made (File exists)"),
        (["--out", "/proc/none"], "--out /proc/none: cannot be made"),
    ],
)
def test_mistakes_of_use(args: list[str], expected: str) -> None:
    run = tool("example", *args)
    assert run.returncode == 2
    assert expected in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
