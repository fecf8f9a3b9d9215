"""The fit of the expected error finds what made the errors, and its ranges hold on other films."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import expected_error_fit
from edge.conditions import Conditions
from edge.expected_error import ErrorModel
from tests.support.commands import tool
from tools.evaluation import error_check
from tools.evaluation.error_counts import read_counts
from tools.replay import expectation

SPREAD = 0.03


def made_films(number: int, seed: int) -> list[dict[str, Any]]:
    """Films, each counted at a random rate; fewer frames a second miss more people."""
    rng = np.random.default_rng(seed)
    clips = []
    for film in range(number):
        fps = float(rng.choice([3, 6, 12.5]))
        share = 1 / (1 + np.exp(2.0 + 1.5 * np.log(fps / 6)))
        ratio = 1 / SPREAD - 1
        people = int(rng.integers(15, 40))
        missed = rng.binomial(people, rng.beta(share * ratio, (1 - share) * ratio))
        doubled = rng.binomial(people - missed, 0.03)
        conditions = {
            "people": people - missed + doubled, "fps": fps,
            "light": rng.uniform(50, 120), "face_px": rng.uniform(30, 60),
            "crowding": rng.uniform(1, 6),
        }  # fmt: skip
        clips.append({
            "clip": f"{film}.mp4", "people": people, "counted": people - missed + doubled,
            "missed": int(missed), "doubled": int(doubled), "invented": 0, "matched": 0,
            "gender_right": 0, "unknown": 0, "dwell_error_s": None,
            "conditions": conditions,
        })  # fmt: skip
    return clips


def write(path: Path, clips: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"replays": [{"every": 1, "light": 1, "clips": clips}]}))
    return path


def test_the_fit_finds_what_made_the_errors(tmp_path: Path) -> None:
    nobody = {**made_films(1, 3)[0], "conditions": None}
    file = write(tmp_path / "fit.json", [*made_films(150, 1), nobody])
    out = tmp_path / "fit.py"
    run = tool("expected_error", "--fit", file, "--out", out)
    assert run.returncode == 0, run.stderr
    written = runpy.run_path(str(out))
    public = {name for name in vars(expected_error_fit) if name.isupper()}
    assert {name for name in written if name.isupper()} == public
    assert (written["FILMS"], written["REPLAYS"]) == (150, 150)
    assert written["MISSED"]["fps"] == pytest.approx(-1.5, abs=0.4)
    assert written["MISSED"]["crowding"] == pytest.approx(0, abs=0.4)
    model = ErrorModel(written["MISSED"], written["MISSED_TYPICAL"], written["MISSED_SPREAD"])
    counts = read_counts([write(tmp_path / "new.json", made_films(300, 2))])
    *groups, total = error_check.by_expectation(model, counts, "missed")
    assert [group.replays for group in groups] == [100, 100, 100]
    assert groups[0].observed < groups[1].observed < groups[2].observed
    for group in (*groups, total):
        assert group.observed == pytest.approx(group.expected, rel=0.25)
    assert 0.88 <= total.covered / total.replays <= 0.98
    run = tool("expected_error", "--fit", file, "--out", out)
    assert run.returncode == 2
    assert "is there already" in run.stderr


def test_the_shipped_fit_is_compared_with_films(tmp_path: Path) -> None:
    clips = made_films(9, 1)
    clips[0]["conditions"]["light"] = 1.0
    run = tool("expected_error", "--check", write(tmp_path / "a.json", clips))
    assert run.returncode == 0, run.stderr
    first, *lines = run.stdout.splitlines()
    assert first == "9 replays, 1 of them in conditions never measured"
    words = [line.split() for line in lines if line]
    assert [first for first, *_ in words[:10]] == [
        "missed", "group", "group", "group", "all", "surplus", "group", "group", "group", "all",
    ]  # fmt: skip
    assert words[4][1] == words[9][1] == "8"
    people = str(sum(clip["people"] for clip in clips))
    for name, start in (("--every", 10), ("--light", 18)):
        assert words[start] == [name, "1:", people, "people", "in", "9", "replays"]
        errors = [first for first, *_ in words[start + 1 : start + 7]]
        assert errors == ["error", "missed", "doubled", "invented", "gender", "dwell"]


def test_the_expected_error_in_words() -> None:
    typical = Conditions(30, **expected_error_fit.TYPICAL)
    share = r"\d+\.\d% \(\d+\.\d% to \d+\.\d%\)"
    assert re.fullmatch(f"missed {share}, surplus {share}", expectation(typical))
    dark = replace(typical, light=1.0, fps=0.5)
    assert expectation(dark) == "unknown: never measured in such fps, light"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "is not what tools/replay.py --clips DIR --json prints"),
        ("no", "is not what tools/replay.py --clips DIR --json prints"),
        (
            '{"replays": [{"every": 1, "light": 1, "clips": [{"clip": "a.mp4"}]}]}',
            "is not what tools/replay.py",
        ),
        (None, "cannot be read (No such file or directory)"),
        (
            json.dumps({"replays": [{"every": 1, "light": 1, "clips": made_films(5, 1)}]}),
            "5 films are too few, 6 are the",
        ),
    ],
)
def test_what_cannot_be_fitted_to(tmp_path: Path, text: str | None, problem: str) -> None:
    file = tmp_path / "a.json"
    if text is not None:
        file.write_text(text)
    run = tool("expected_error", "--fit", file, "--out", tmp_path / "fit.py")
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert problem in line
    assert not (tmp_path / "fit.py").exists()
