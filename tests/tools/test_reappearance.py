"""Pairs of lost and new faces in films of crowds, and the odds that are fitted to them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.types import Box
from tests.conftest import MadeOnce
from tests.support.commands import tool
from tools import reappearance
from tools.evaluation import reappearances
from tools.evaluation.count_matching import person_at, sightings_on
from tools.evaluation.reappearances import Pair

INTERCEPT, WEIGHTS = -1.0, (-1.2, -0.8, 0.5, -3.0, 0.0)


def made_pairs(number: int, seed: int) -> list[Pair]:
    """Pairs of 20 films, same with the probability that these weights give."""
    rng = np.random.default_rng(seed)
    pairs = []
    for index in range(number):
        features = tuple(map(float, rng.normal(0, 1, len(WEIGHTS))))
        log_odds = INTERCEPT + float(np.dot(WEIGHTS, features))
        is_same = bool(rng.random() < 1 / (1 + np.exp(-log_odds)))
        track = float(index // 2), Box(0, 0, 50, 50)  # two candidates each
        pairs.append(Pair(f"{index % 40 // 2}.mp4", 4, features, track, is_same, True))
    return pairs


def test_the_fit_finds_the_weights() -> None:
    fitted = reappearances.fit(made_pairs(6000, 1))
    assert fitted == pytest.approx((INTERCEPT, *WEIGHTS), abs=0.25)


def test_log_odds_hold_for_films_that_were_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = made_pairs(6000, 2)
    log_odds = reappearances.log_odds_left_out(pairs)
    best = reappearances.likeliest(pairs, log_odds)
    assert len(best) == 3000
    assert all(log_odds[at] >= log_odds[at ^ 1] for at in best)
    reappearance.print_check(pairs, 4, log_odds)
    title, header, *rows = capsys.readouterr().out.strip().splitlines()
    assert title == "--every 4"
    assert header.split() == ["log", "odds", "faces", "expected", "same", "counted", "before"]
    assert len(rows) == len(reappearance.RANGES) + 1
    values = [row.replace("%", "").split()[3:] for row in rows]
    assert sum(int(faces) for faces, *_ in values) == 3000
    for _, expected, same, counted in values:
        assert int(same) == pytest.approx(int(expected), abs=6)
        assert counted == "100"


def test_a_sighting_is_of_the_person_whose_face_is_nearest() -> None:
    """One walks from 100 to 200 in a second, another stands at 200."""
    truth = [
        {"path": [[0, 100, 80, 50], [1, 200, 80, 50]]},
        {"path": [[0, 200, 80, 50], [1, 200, 80, 50]]},
    ]

    def box(x: float, width: float = 50) -> Box:
        return Box(x - width / 2, 80 - width / 2, width, width)

    assert [person_at(0.9, box(x), truth) for x in (160, 192, 198, 226)] == [None, 0, 1, None]
    assert person_at(0.5, box(150), truth) == 0
    assert person_at(0.5, box(150, 100), truth) is None, "of another size"
    assert person_at(2.0, box(200), truth) is None, "when nobody is in view"
    sightings = [(moment, box(150)) for moment in (0.0, 0.4, 0.5, 0.6, 1.0)]
    assert [sightings_on(sightings, one) for one in truth] == [3, 0]
    assert sightings_on([], truth[0]) == 0


@pytest.fixture(scope="module")
def films(made_once: MadeOnce) -> Path:
    """Two dense films of 20 seconds with the faces of the demo's people."""

    def make(folder: Path) -> None:
        for seed in ("1", "3"):
            run = tool(
                "crowd", folder / f"{seed}.mp4", "--seed", seed, "--people", "16",
                "--seconds", "20", "--size", "480x270",
            )  # fmt: skip
            assert run.returncode == 0, run.stderr

    return made_once("reappearances", make)


def test_some_of_the_faces_in_a_crowd_were_lost_before(films: Path) -> None:
    pairs = reappearance.collect([films], Path("config.yaml"), [3])
    assert {Path(pair.film).name for pair in pairs} == {"1.mp4", "3.mp4"}
    same = [pair for pair in pairs if pair.is_same]
    others = [pair for pair in pairs if not pair.is_same]
    assert same
    assert others
    assert all(pair.is_counted for pair in same)
    # paths, and where going straight on would have led, are nearer if it is the same person
    for feature in (0, 1):
        nearer, farther = (
            np.mean([p.features[feature] for p in group]) for group in (same, others)
        )
        assert nearer < farther


def test_too_few_films_are_refused(films: Path) -> None:
    run = tool("reappearance", films, "--every", "3")
    assert run.returncode == 2
    assert run.stderr == "reappearance: faces reappear in fewer than 5 films: make more\n"


def test_a_film_without_paths_is_refused(films: Path, tmp_path: Path) -> None:
    (tmp_path / "1.mp4").write_bytes((films / "1.mp4").read_bytes())
    truth = yaml.safe_load((films / "1.yaml").read_text())
    for visit in truth["visits"]:
        del visit["path"]
    (tmp_path / "1.yaml").write_text(yaml.safe_dump(truth))
    run = tool("reappearance", tmp_path)
    assert run.returncode == 2
    clip = tmp_path / "1.mp4"
    assert run.stderr == (
        f"reappearance: truth of {clip}: has no paths; tools/crowd.py makes such films\n"
    )
