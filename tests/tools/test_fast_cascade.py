"""A cascade gets early stages that reject sooner what is no face, and keeps what it finds."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources.demo import Scene
from edge.types import Image
from edge.vision.cascade import FACE, FAST_FILE, OPENCV_FILE, STEP
from edge.vision.pyramid import Pyramid
from tests.support.commands import tool
from tools.conversion.cascade_file import Stage, cascade_text, read_cascade
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.false_finds import random_part
from tools.fast_cascade import LAST, REPLACED
from tools.training.early_stages import Booster, Plan, Sums, Windows, passes, upright_features
from tools.training.windows import everything, hits, loaded, passing


def noise(number: int, seed: int = 1) -> Windows:
    """Windows with blots of all sizes."""
    rng = np.random.default_rng(seed)
    windows = np.full((number, FACE, FACE), 128.0, np.float32)
    for size in (2, 6, 12):
        blots = rng.normal(0, 30, (number, FACE // size, FACE // size)).astype(np.float32)
        windows += blots.repeat(size, axis=1).repeat(size, axis=2)
    return np.clip(windows, 0, 255).astype(np.uint8)


def as_opencv_decides(stages: list[Stage], windows: Windows) -> list[bool]:
    """Which windows pass, each looked at for itself."""
    cascade = loaded(stages)
    decisions = []
    for window in windows:
        picture = cv2.copyMakeBorder(window, 0, STEP, 0, STEP, cv2.BORDER_REPLICATE)
        found = cascade.detectMultiScale(
            picture, minNeighbors=0, minSize=(FACE, FACE), maxSize=(FACE, FACE)
        )
        decisions.append((0, 0) in [(x, y) for x, y, _, _ in np.reshape(found, (-1, 4)).tolist()])
    return decisions


def stumps_looked_at(stages: list[Stage], windows: Windows) -> float:
    """How many stumps decide about one of the windows, on average."""
    total, left = 0, windows
    for stage in stages:
        total += len(left) * len(stage.stumps)
        left = left[passes([stage], left)]
    return total / len(windows)


@pytest.fixture(scope="module")
def views(clouds: Path) -> list[Image]:
    files, rng = DataFiles(clouds), np.random.default_rng(2)
    parts = [
        random_part(np.asarray(cv2.imread(str(clouds / name)), np.uint8), rng)
        for name in files.images()
    ]
    return [np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), np.uint8) for part in parts]


def test_windows_pass_the_stages_that_opencv_lets_them_pass() -> None:
    _, stages = read_cascade(OPENCV_FILE)
    windows = noise(1500)
    for number in (1, 3):
        passed = passes(stages[:number], windows)
        assert 30 < passed.sum() < len(windows) - 30
        # sums of so many votes differ in the last digit
        assert np.mean(passed == as_opencv_decides(stages[:number], windows)) > 0.998


def test_a_feature_is_a_weighted_sum_by_the_deviation() -> None:
    windows = noise(40)
    values = Sums(windows)
    features = list(upright_features())
    for index in np.random.default_rng(2).integers(0, len(features), 50):
        expected = np.zeros(len(windows))
        for left, top, width, height, weight in features[index]:
            part = windows[:, top : top + height, left : left + width]
            expected += weight * part.sum(axis=(1, 2), dtype=np.int64)
        expected /= 22 * 22 * windows[:, 1:-1, 1:-1].std(axis=(1, 2))
        assert values.feature(features[index]) == pytest.approx(expected, abs=1e-4)


def test_a_flat_part_of_a_feature_counts_nothing() -> None:
    flat = np.full((3, FACE, FACE), 77, np.uint8)
    assert np.all(Sums(flat).feature(next(upright_features())) == 0)


def test_a_stage_keeps_what_is_wanted_and_rejects_the_rest_by_few_stumps() -> None:
    unwanted = noise(3000)
    banded = noise(2000, seed=2).astype(np.int16)
    banded[:, 6:12, 4:20] -= 70  # dark, as of eyes
    wanted: Windows = np.clip(banded, 0, 255).astype(np.uint8)
    features = [f for i, f in enumerate(upright_features()) if i % 400 == 0]
    plan = Plan(kept=0.99, most_stumps=10, later_stumps=20)
    booster = Booster(features, wanted[:500], unwanted[:500])
    stage = booster.stage(plan, wanted[:1000], unwanted[:1500])
    assert 1 <= len(stage.stumps) <= 10
    assert passes([stage], wanted[:1000]).mean() >= 0.99
    assert passes([stage], wanted[1000:]).mean() >= 0.97
    assert passes([stage], unwanted[1500:]).mean() < 0.3


def test_a_cascade_is_the_same_after_it_was_written(tmp_path: Path) -> None:
    notice, stages = read_cascade(OPENCV_FILE)
    assert [len(stages), sum(len(stage.stumps) for stage in stages)] == [25, 2913]
    assert "Intel License Agreement" in notice
    (tmp_path / "again.xml").write_text(cascade_text(notice, stages))
    # the numbers are those of float32
    assert cascade_text(*read_cascade(tmp_path / "again.xml")) == cascade_text(notice, stages)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<width>24<", "<width>20<"), "it is not a cascade for faces of 24 pixels"),
        (("</rects></_>", "</rects><tilted>1</tilted></_>"), "it has tilted features"),
        (("0 -1 0 ", "1 0 0 0.5 0 -1 0 "), "it has trees instead of stumps"),
        (("</opencv_storage>", ""), "no element found"),
        (("opencv_storage>", "storage>"), None),
        (("<leafValues>0 0<", "<leafValues><"), "list index out of range"),
    ],
)
def test_what_is_no_cascade_of_stumps_is_named(
    change: tuple[str, str], message: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "cascade.xml"
    text = cascade_text("", [everything()])
    assert change[0] in text
    file.write_text(text.replace(*change))
    if message is None:
        assert len(read_cascade(file)[1]) == 1
        return
    with pytest.raises(DataError) as caught:
        read_cascade(file)
    assert str(caught.value).startswith(f"cascade {file}: ")
    assert message in str(caught.value)


def test_the_daemons_cascade_goes_on_as_opencvs() -> None:
    notice, stages = read_cascade(FAST_FILE)
    opencv_notice, opencv_stages = read_cascade(OPENCV_FILE)
    assert notice.startswith(opencv_notice)
    kept = opencv_stages[REPLACED:LAST]
    assert len(stages) > len(kept)
    for mine, theirs in zip(stages[-len(kept) :], kept, strict=True):
        assert mine.threshold == pytest.approx(theirs.threshold, abs=1e-6)
        assert [stump.feature for stump in mine.stumps] == [s.feature for s in theirs.stumps]


def test_the_daemons_cascade_rejects_by_a_third_of_the_features(views: list[Image]) -> None:
    windows = passing(views, loaded([everything()]), 100, np.random.default_rng(3))
    fast, opencv = (
        stumps_looked_at(read_cascade(file)[1], windows) for file in (FAST_FILE, OPENCV_FILE)
    )
    assert fast < opencv / 2.5


def test_the_daemons_cascade_finds_what_opencvs_does() -> None:
    fast, opencv = (cv2.CascadeClassifier(str(file)) for file in (FAST_FILE, OPENCV_FILE))
    found = kept = 0
    for second in range(0, 40, 2):
        gray = np.asarray(cv2.cvtColor(Scene().draw(second), cv2.COLOR_BGR2GRAY), np.uint8)
        pyramid = Pyramid(gray)
        for scale in (1.5, 1.7, 2.0, 2.3, 2.7, 3.2):
            level = pyramid.level(scale)
            for shift in ((0, 0), (0, 1), (1, 0), (1, 1)):
                known = set(map(tuple, hits(opencv, level, shift).tolist()))
                found += len(known)
                kept += len(known & set(map(tuple, hits(fast, level, shift).tolist())))
    assert found > 200
    assert kept > 0.85 * found


def test_a_cascade_learns_to_reject_sooner(
    few_faces: Path, clouds: Path, views: list[Image], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "fast.xml"
    command = (
        "fast_cascade", "--data", few_faces, "--without-faces", clouds, "--features", "300",
        "--out", out,
    )  # fmt: skip
    run = tool(*command)
    assert run.returncode == 0, run.stderr
    lines = [line.split()[0] for line in run.stdout.splitlines()]
    assert lines == ["learning", *["stage"] * 6, "kept", "rejected", "written"]
    kept = re.search(r"^kept +([\d.]+)%", run.stdout, re.MULTILINE)
    assert kept is not None
    assert float(kept[1]) > 60  # of faces that it has not seen, after 80 that it has
    windows = passing(views, loaded([everything()]), 100, np.random.default_rng(3))
    mine, opencv = (stumps_looked_at(read_cascade(file)[1], windows) for file in (out, OPENCV_FILE))
    assert mine < opencv / 5
    assert "not OpenCV's" in read_cascade(out)[0]
    assert not cv2.CascadeClassifier(str(out)).empty()
    again = tool(*command)
    assert again.returncode == 2
    assert "--force replaces it" in again.stderr


def test_a_cascade_of_early_stages_alone_is_refused(
    few_faces: Path, clouds: Path, tmp_path: Path
) -> None:
    notice, stages = read_cascade(OPENCV_FILE)
    (tmp_path / "early.xml").write_text(cascade_text(notice, stages[:REPLACED]))
    run = tool(
        "fast_cascade", "--data", few_faces, "--without-faces", clouds,
        "--cascade", tmp_path / "early.xml", "--out", tmp_path / "fast.xml",
    )  # fmt: skip
    assert run.returncode == 2
    assert f"early.xml: has {REPLACED} stages" in run.stderr
    assert not (tmp_path / "fast.xml").exists()


def test_flat_pictures_teach_nothing(few_faces: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    cv2.imwrite(str(tmp_path / "flat" / "1.png"), np.full((300, 300, 3), 90, np.uint8))
    run = tool(
        "fast_cascade", "--data", few_faces, "--without-faces", tmp_path / "flat",
        "--max-faces", "10", "--features", "20", "--out", tmp_path / "fast.xml",
    )  # fmt: skip
    assert run.returncode == 2
    assert "places that are not flat; at least 20 are needed" in run.stderr
    assert not (tmp_path / "fast.xml").exists()


def test_without_pictures_nothing_is_learned(few_faces: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "1.png").write_bytes(b"no picture")
    run = tool(
        "fast_cascade", "--data", few_faces, "--without-faces", tmp_path / "empty",
        "--out", tmp_path / "fast.xml",
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr == "fast_cascade: --without-faces: has no picture that can be read\n"
    assert not (tmp_path / "fast.xml").exists()
