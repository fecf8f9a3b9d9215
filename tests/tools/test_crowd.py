"""Films of crowds, their truth, and the counts of a folder of clips compared with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from tests.conftest import MadeOnce
from tests.support.commands import tool
from tests.support.paths import CLIP
from tools.evaluation.count_truth import read_truth

SMALL = ("--seconds", "5", "--size", "480x270", "--fps", "10")


def make(film: Path, *args: str | Path) -> dict[str, Any]:
    """Make a small film; returns its truth."""
    run = tool("crowd", film, *SMALL, *args)
    assert run.returncode == 0, run.stderr
    truth: dict[str, Any] = yaml.safe_load(film.with_suffix(".yaml").read_text())
    return truth


@pytest.fixture(scope="module")
def films(made_once: MadeOnce) -> Path:
    """A folder with a film of 4 people and one of nobody's face."""

    def films_in(folder: Path) -> None:
        make(folder / "crowd-4.mp4", "--people", "4", "--seed", "4")
        make(folder / "crowd-10.mp4", "--people", "0", "--backs", "3")

    return made_once("films", films_in)


def test_a_seed_always_gives_the_same_film(films: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.mp4", tmp_path / "other.mp4"
    make(again, "--people", "4", "--seed", "4")
    make(other, "--people", "4", "--seed", "5")
    for suffix in (".mp4", ".yaml"):
        first = (films / "crowd-4").with_suffix(suffix).read_bytes()
        assert again.with_suffix(suffix).read_bytes() == first
        assert other.with_suffix(suffix).read_bytes() != first


def test_the_truth_fits_the_film(films: Path) -> None:
    truth = yaml.safe_load((films / "crowd-4.yaml").read_text())
    film = cv2.VideoCapture(str(films / "crowd-4.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == truth["seconds"] * truth["fps"] == 50
    assert [film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)] == [480, 270]
    assert truth["female"] + truth["male"] == len(truth["visits"]) == 4
    assert truth["visits"] == sorted(truth["visits"], key=lambda visit: visit["first_s"])
    for visit in truth["visits"]:
        times = [place[0] for place in visit["path"]]
        assert times[0] <= visit["first_s"] <= visit["last_s"] - 0.9
        assert visit["last_s"] <= times[-1] + 0.2
        assert 0.9 <= visit["attention_s"] <= visit["last_s"] - visit["first_s"] + 0.01
    assert read_truth(films, "crowd-4.mp4").has_paths


def test_light_and_posters(tmp_path: Path) -> None:
    bright, dark = tmp_path / "bright.mp4", tmp_path / "dark.mp4"
    (poster,) = make(bright, "--people", "0", "--posters", "1")["posters"]
    x, y, side = poster
    make(dark, "--people", "0", "--light", "0.5", "--noise", "0", "--jpeg", "50")
    pictures = [cv2.VideoCapture(str(file)).read()[1] for file in (bright, dark)]
    means = [picture[:, :, 1].mean() for picture in pictures]
    assert means[1] == pytest.approx(0.5 * means[0], rel=0.1)
    around = np.abs(pictures[0].astype(int) - 2.0 * pictures[1]).mean(axis=2)
    inside = around[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2]
    assert inside.mean() > 3 * np.median(around)  # only the bright film has the poster


def test_faces_and_background_of_ones_own(few_faces: Path, tmp_path: Path) -> None:
    background = tmp_path / "room.png"
    cv2.imwrite(str(background), np.full((90, 200, 3), (10, 200, 90), np.uint8))
    film = tmp_path / "film.mp4"
    make(film, "--data", few_faces, "--background", background, "--people", "2", "--masks", "1")
    picture = cv2.VideoCapture(str(film)).read()[1]
    assert np.median(picture, axis=(0, 1)) == pytest.approx([10, 200, 90], abs=8)
    assert all(visit["mask"] for visit in read_truth(tmp_path, "film.mp4").visits)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["x.avi"], "x.avi: must be a file that ends in .mp4"),
        (["x.mp4", "--size", "640"], "640: must be WIDTHxHEIGHT, such as 640x360"),
        (["x.mp4", "--jpeg", "101"], "--jpeg must be 1 to 100"),
        (["x.mp4", "--data", "none"], "data none: does not exist"),
        (["x.mp4", "--background", "none"], "--background none: cannot be read"),
        (["x.mp4", "--background", "tests/tools"], "tests/tools: holds no pictures"),
        (["x.mp4", "--background", "README.md"], "--background README.md: "),
        (["x.mp4", "--seconds", "1"], "24 people cannot all be seen within 1 s"),
        (["README.md/x.mp4"], "film README.md/x.mp4: cannot be made"),
    ],
)
def test_mistakes(args: list[str], message: str) -> None:
    run = tool("crowd", *args)
    assert run.returncode == 2
    assert message in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert not Path("x.mp4").exists()


def test_a_film_is_not_replaced_unasked(films: Path) -> None:
    run = tool("crowd", films / "crowd-4.mp4", *SMALL)
    assert run.returncode == 2
    assert "is there already; --force replaces it" in run.stderr


def test_a_folder_is_compared_in_one_table(films: Path) -> None:
    run = tool("replay", "--clips", films, "--every", "2", "--json")
    assert run.returncode == 0, run.stderr
    (replay,) = json.loads(run.stdout)["replays"]
    crowd, nobody = replay["clips"]
    assert (crowd["clip"], nobody["clip"]) == ("crowd-4.mp4", "crowd-10.mp4")  # 4 before 10
    assert (crowd["people"], nobody["people"], nobody["counted"]) == (4, 0, 0)
    conditions = crowd["conditions"]
    assert nobody["conditions"] is None
    assert conditions["people"] == crowd["counted"]
    assert conditions["fps"] == pytest.approx(5)
    for clip in replay["clips"]:
        right = clip["people"] - clip["missed"]
        assert right + clip["doubled"] + clip["invented"] == clip["counted"]
    for name in ("missed", "doubled", "invented"):
        assert replay["all"][name]["all"] == crowd[name] / 4
    assert replay["all"]["error"]["all"] == (crowd["counted"] - 4) / 4


def test_limits_decide_the_exit_code(tmp_path: Path) -> None:
    for name, women in (("a", 1), ("b", 3)):
        shutil.copy(CLIP, tmp_path / f"{name}.mp4")
        (tmp_path / f"{name}.yaml").write_text(f"female: {women}\nmale: 1\n")
    # 4 of 6 people are counted, in both manners
    manners = ("--clips", tmp_path, "--every", "2,4", "--light", "0.9")
    run = tool("replay", *manners, "--max-missed", "0.34", "--max-count-error", "0.34")
    assert run.returncode == 0, run.stderr
    assert [line for line in run.stdout.splitlines() if line.startswith("---")] == [
        "--- one frame in 2, light 0.9",
        "--- one frame in 4, light 0.9",
    ]
    rows = [line.split() for line in run.stdout.splitlines() if line.startswith("b.mp4 ")]
    assert rows == [["b.mp4", "4", "2", "2", "0", "0", "2/2", "-", "-"]] * 2
    run = tool("replay", *manners, "--max-missed", "0.3", "--min-gender", "1")
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        "replay: one frame in 2, light 0.9: missed 33.3%, above 30.0%",
        "replay: one frame in 4, light 0.9: missed 33.3%, above 30.0%",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--clips", "none"], "clips none: cannot be read (No such file or directory)"),
        (["--clips", "docs"], "clips docs: holds no clip with a truth: NAME.mp4 needs NAME.yaml"),
        (["--max-missed", "0.1"], "--json and limits need --truth or --clips"),
        (["--clips", "tests/data", "--save", "x.mp4"], "--save needs a single clip"),
        (["--every", "1,0"], "0: must be a whole number, 1 or more"),
        (["--light", "0"], "0: must be a number above 0"),
    ],
)
def test_mistakes_in_what_to_compare(args: list[str], message: str) -> None:
    run = tool("replay", *args)
    assert run.returncode == 2
    assert message in run.stderr.splitlines()[-1]
