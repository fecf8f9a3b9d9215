"""Counts of the shipped configuration on real and synthetic clips, against the truth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.sources.recordings import open_file
from edge.types import AGE_GROUPS, People, Visit
from edge.vision.detector import HaarDetector
from tests.support.commands import NO_ESTIMATES, tool
from tests.support.paths import CLIP, MODEL, PICTURE, ROOT
from tests.support.recordings import write_video
from tools.evaluation.count_matching import CountedVisit, match, similarities
from tools.evaluation.count_metrics import Figures, compare
from tools.evaluation.count_truth import Truth, read_truth
from tools.evaluation.replay import load_unrestricted, replay


def count(clips: Path, name: str, every: int = 1) -> Figures:
    clip = str(clips / name)
    run = replay(load_unrestricted(ROOT / "config.yaml", clip), every)
    assert run.people.total == len(run.visits)
    return compare(run.visits, read_truth(clips, clip))


@pytest.mark.parametrize(
    ("clip", "error", "every"),
    # at a third of the rate the error may double
    [("crowd-a.mp4", 0.05, 1), ("crowd-b.mp4", 0.15, 3)],
)
def test_crowd(
    clips: Path, monkeypatch: pytest.MonkeyPatch, clip: str, error: float, every: int
) -> None:
    monkeypatch.chdir(ROOT)
    figures = count(clips, clip, every)
    assert abs(figures.count_error) <= error
    assert figures.missed <= 0.1 * figures.people
    assert figures.doubled <= 2
    assert figures.invented == 0
    assert figures.gender_right >= 0.9 * figures.matched


@pytest.mark.parametrize("every", [1, 3])
def test_people_of_the_demo(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.chdir(ROOT)
    figures = count(CLIP.parent, CLIP.name, every)
    assert (figures.people, figures.matched, figures.gender_right) == (2, 2, 2)
    assert figures.accuracy == 1
    assert figures.dwell_error_s is not None
    assert figures.dwell_error_s < 0.3


def test_people_of_the_demo_by_the_model_from_free_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = load_unrestricted(ROOT / "config.yaml", str(CLIP))
    free = config.classifier.model_copy(update={"model": Path("models/gender-free.tflite")})
    people = replay(config.model_copy(update={"classifier": free})).people
    assert (people.female, people.male, people.unknown) == (1, 1, 0)


@pytest.mark.parametrize("every", [1, 3])
def test_real_people(clips: Path, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.chdir(ROOT)
    for clip in ("face-demographics-walking.gif", "head-pose-face-detection-female-and-male.gif"):
        figures = count(clips, clip, every)
        assert (figures.people, figures.counted, figures.gender_right) == (2, 2, 2)
    assert count(clips, "people-detection.gif", every).counted == 0
    seated = count(clips, "classroom.gif", every)  # faces of 20 to 28 px: two are large enough
    assert (seated.counted, seated.gender_right) == (2, 2)


def visit(start: float, end: float, label: str = "female", px: float = 50) -> CountedVisit:
    return CountedVisit(Visit(start, end, label, 0.9), px)


def true(start: float, end: float, gender: str = "female") -> dict[str, Any]:
    return {"first_s": start, "last_s": end, "gender": gender, "face_px": 50}


def matched(counted: list[CountedVisit], people: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return match(similarities(counted, people))


def test_visits_are_matched_by_the_time_they_share() -> None:
    truth = [true(0, 10), true(5, 15), true(40, 50)]
    assert matched([visit(5, 15), visit(0, 9)], truth) == [(0, 1), (1, 0)]
    # one true visit counted twice: only the better one is it
    assert matched([visit(0, 4), visit(4, 10)], [true(0, 10)]) == [(1, 0)]
    assert matched([visit(60, 70)], truth) == []
    assert matched([visit(0, 10, px=20)], truth) == []
    assert matched([], truth) == []


def test_figures_of_a_clip_with_visits() -> None:
    truth = Truth(People(2, 1), (true(0, 10), true(5, 15, "male"), true(40, 50)))
    counted = [visit(0, 4), visit(5, 10), visit(5, 16, "unknown"), visit(70, 80)]
    figures = compare(counted, truth)
    assert figures == Figures(
        people=3, counted=4, missed=1, doubled=1, invented=1, matched=2, gender_right=1,
        unknown=1, dwell_error_s=(5 + 1) / 2,
    )  # fmt: skip
    assert figures.count_error == pytest.approx(1 / 3)
    assert figures.accuracy == 0
    assert figures.f1 == pytest.approx(4 / 7)

    # nobody is known to have faced the camera meanwhile; now everybody is
    attentive = tuple({**one, "attention_s": 4} for one in truth.visits)
    assert compare(counted, replace(truth, visits=attentive)).attention_error_s == 4
    assert compare(counted, replace(truth, visits=(*attentive[:2], true(40, 50)))) == figures


def test_figures_of_a_clip_with_numbers_alone() -> None:
    truth = Truth(People(1, 1, 1))
    figures = compare([visit(0, 1), visit(0, 1)], truth)
    assert (figures.missed, figures.doubled, figures.gender_right) == (1, 0, 1)
    figures = compare([visit(0, 1)], Truth(People()))
    assert (figures.invented, figures.count_error, figures.accuracy) == (1, 1, 0)
    figures = compare([], Truth(People()))
    assert (figures.accuracy, figures.f1) == (1, 1)


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), max_size=8),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), min_size=1, max_size=8),
)
def test_every_visit_is_matched_doubled_or_invented(
    counted: list[tuple[int, int]], people: list[tuple[int, int]]
) -> None:
    truth = Truth(People(len(people)), tuple(true(a, a + n) for a, n in people))
    figures = compare([visit(a, a + n) for a, n in counted], truth)
    assert figures.matched + figures.doubled + figures.invented == figures.counted == len(counted)
    assert figures.matched + figures.missed == figures.people
    assert figures.accuracy <= figures.f1 <= 1


def test_truth_of_a_folder_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "clips.yaml").write_text(
        "empty.gif: {female: 0, male: 0}\nclass.gif: {people: 4, male: 3, unsure: 1}\n"
    )
    own = CLIP.with_suffix(".yaml")
    (tmp_path / own.name).write_text(own.read_text())
    assert read_truth(tmp_path, "empty.gif").people.total == 0
    assert read_truth(tmp_path, "class.gif").people == People(0, 3, 1)
    assert len(read_truth(tmp_path, "x/people.mp4").visits) == 2
    assert read_truth(own, "people.mp4").people == People(1, 1)
    with pytest.raises(ConfigError, match=r"says nothing about other\.mp4"):
        read_truth(tmp_path, "other.mp4")


def test_truth_of_real_clips(clips: Path) -> None:
    assert read_truth(clips, "people-detection.gif").people.total == 0
    assert read_truth(clips, "classroom.gif").people == People(0, 3, 1)
    assert len(read_truth(clips, "x/crowd-b.mp4").visits) == 40
    assert read_truth(clips / "crowd-a.yaml", "crowd-a.mp4").people.male == 6


@pytest.mark.parametrize(
    "text",
    [
        "female: x\nmale: 1",
        "female: -1",
        "male: 2.7",
        "male: true",
        "female: 1\nvisits: 3",
        "female: 1\nvisits: [{gender: female, first_s: 1}]",
        "female: 1\nvisits: [{gender: woman, first_s: 1, last_s: 2}]",
        "female: 1\nvisits: [{gender: female, first_s: 2, last_s: 2}]",
        "female: 1\nvisits: [{gender: female, first_s: 1, last_s: 2, face_px: big}]",
        "female: 1\nvisits: [{gender: female, first_s: 1, last_s: 2, attention_s: -1}]",
        "female: 1\nvisits: [{gender: female, first_s: 1, last_s: 2, attention_s: long}]",
    ],
)
def test_a_truth_that_is_not_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clip.yaml"
    file.write_text(text)
    with pytest.raises(
        ConfigError, match=r"clip\.yaml: must hold whole numbers of female, male and"
    ):
        read_truth(file, "clip.mp4")


def test_a_truth_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "clip.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_truth(file, "clip.mp4")


def test_pauses_are_ignored_while_a_clip_is_compared(configure: Callable[..., Path]) -> None:
    config = configure(paused=True, quiet_hours=["00:00-23:59"])
    run = tool("replay", CLIP, "--config", config, timeout_s=300)
    assert run.returncode == 0, run.stderr
    assert "counted   2 " in run.stdout


@pytest.mark.parametrize("source", ["demo", "v4l2:/dev/video99", "rtsp://user:secret@host/live"])
def test_a_source_without_end_is_refused(source: str) -> None:
    for name in ("replay", "bench"):
        run = tool(name, source, timeout_s=120)
        assert run.returncode == 2
        assert "has no end; name a file" in run.stderr.splitlines()[-1]
        assert "secret" not in run.stderr


def test_an_annotated_clip_is_saved(tmp_path: Path) -> None:
    run = tool("replay", CLIP, "--truth", CLIP.parent, "--save", tmp_path / "out.mp4")
    assert run.returncode == 0, run.stderr
    for line in ("counted   2 (1 female, 1 male, 0 unknown)", "error     +0.0%", "invented  0"):
        assert line in run.stdout
    film, original = cv2.VideoCapture(str(tmp_path / "out.mp4")), cv2.VideoCapture(str(CLIP))
    frames = original.get(cv2.CAP_PROP_FRAME_COUNT)
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(frames - 1, abs=1)
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == original.get(cv2.CAP_PROP_FRAME_WIDTH)
    run = tool("replay", CLIP, "--show", MPLBACKEND="agg")
    assert run.returncode == 1
    assert "there is no screen here" in run.stderr
    run = tool("replay", CLIP, "--save", tmp_path / "none" / "out.mp4")
    assert run.returncode == 1
    assert "cannot be written as a video" in run.stderr


def test_ages_are_shown_if_they_are_counted(
    configure: Callable[..., Path], age_models: Path
) -> None:
    model = {"model": str(MODEL), "age": True, "age_model": str(age_models / "age.tflite")}
    run = tool("replay", CLIP, "--config", configure(classifier=model))
    assert run.returncode == 0, run.stderr
    _, _, counted, ages = run.stdout.splitlines()
    assert counted.startswith("  counted   2 (1 female, 1 male, 0 unknown)")
    groups = dict(
        part.split(" of ")[::-1] for part in ages.removeprefix("  ages      ").split(", ")
    )
    assert set(groups) <= set(AGE_GROUPS)
    assert sum(map(int, groups.values())) == 2


@pytest.mark.parametrize("name", ["replay", "live", "bench"])
def test_a_source_is_named_as_to_the_daemon(
    configure: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    source, other = PICTURE, CLIP
    # the time of a model, which bench measures at length, is not the point here
    estimates = NO_ESTIMATES if name == "bench" else {"model": str(MODEL)}
    config = configure(source=str(source), classifier=estimates)
    save: list[str | Path] = ["--save", tmp_path / "out.mp4", "--force"] if name == "live" else []
    counted = "3 people" if name == "bench" else "counted   3 (1 female, 2 male, 0 unknown)"
    named: tuple[list[str | Path], ...] = ([], ["--source", source], [source])
    for words in named:
        run = tool(name, "--config", config, *words, *save)
        assert run.returncode == 0, run.stderr
        assert counted in run.stdout
    if name == "replay":  # each of several
        run = tool(name, "--config", config, other, "--source", source)
        assert [line for line in run.stdout.splitlines() if line in (other.name, source.name)] == [
            other.name, source.name,
        ]  # fmt: skip
    else:
        run = tool(name, "--config", config, other, "--source", source, *save)
        assert run.returncode == 2
        assert f"name one source, not 2: {other}, {source}" in run.stderr
    run = tool(name, "--source", "none.mp4", *save)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{name}: source: 'none.mp4': no such file or folder; allowed are")
    assert "config.yaml" not in run.stderr


def test_a_shoe_that_haar_takes_for_a_face_is_not_counted(clips: Path) -> None:
    config = load_unrestricted(ROOT / "config.yaml", str(clips / "real" / "woman-full-length.mp4"))
    assert replay(config).people == People(female=1)


def test_every_third_frame() -> None:
    full = tool("replay", CLIP)
    third = tool("replay", CLIP, "--every", "3")
    counts = [int(run.stdout.split(" in ")[1].split()[0]) for run in (full, third)]
    assert counts[1] == -(-counts[0] // 3)


def test_people_out_of_focus_are_counted(tmp_path: Path) -> None:
    """BlazeFace alone is too unsure of one of them."""
    frames = [frame.image for frame in open_file(CLIP)]
    blurred = [np.asarray(cv2.GaussianBlur(image, (0, 0), 1.8), np.uint8) for image in frames]
    write_video(tmp_path / "blurred.avi", blurred, "MJPG", 12.5)
    config = load_unrestricted(ROOT / "config.yaml", str(tmp_path / "blurred.avi"))
    assert replay(config).people == People(female=1, male=1)


@pytest.mark.parametrize(("evidence", "people"), [(-1.5, 0), (-0.5, 2)])
def test_verifier_and_classifier_together_decide_what_is_a_person(
    monkeypatch: pytest.MonkeyPatch, evidence: float, people: int
) -> None:
    """The classifier takes both people for faces."""
    config = load_unrestricted(ROOT / "config.yaml", str(CLIP))
    monkeypatch.setattr(
        HaarDetector, "face_evidence", lambda self, frame, box, hits, view=0: evidence
    )
    assert replay(config).people.total == people
