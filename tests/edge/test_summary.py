"""The summary at the end of a recording."""

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from edge.summary import Summary
from edge.types import People, Window
from tests.support import preloaded
from tests.support.paths import ROOT

NOON = datetime(2026, 11, 21, 12).timestamp()


def window(
    people: People, minute: int = 0, *, broken_down: bool = True, seconds: float = 60
) -> Window:
    start = NOON + 60 * minute
    return Window(
        start=start,
        end=start + seconds,
        seconds=seconds,
        people=people,
        broken_down=broken_down,
        dwell_mean=None,
        dwell_bins=(0,) * 5,
        presence_peak=0,
        presence_mean=0.0,
        coverage=1.0,
    )


def summary(*windows: Window, gender: bool = True, ages: bool = False) -> Summary:
    result = Summary(window_seconds=60, min_people=3, gender=gender, ages=ages)
    for each in windows:
        result.add(each)
    return result


def test_everybody_is_shown() -> None:
    counts = summary(window(People(2, 1, 1)), window(People(1, 2), 1, seconds=30.5))
    assert counts.lines() == [
        "people    7: 3 women, 3 men, 1 of unknown gender",
        "time      2026-11-21 12:00:00 to 12:01:30",
        "windows   2 published",
    ]


def test_what_is_withheld_is_not_told_and_the_key_is_named() -> None:
    counts = summary(
        window(People(3, 1), seconds=180),
        window(People(unknown=1), 3, broken_down=False),
        ages=True,
    )
    assert counts.lines() == [
        "people    5: 3 women, 1 man, 1 withheld",
        "time      2026-11-21 12:00:00 to 12:04:00",
        "windows   2 published, 1 of them without gender and age; "
        "2 with few people joined to the next",
        "withheld  gender and age of 1 person, in windows with fewer than 3",
        "          privacy.min_people in the configuration sets that limit; 1 withholds nothing",
    ]
    (alone, *_) = summary(window(People(unknown=2), broken_down=False)).lines()
    assert alone == "people    2: 2 withheld"


@pytest.mark.parametrize(
    ("counts", "people"),
    [
        (summary(window(People())), "nobody"),
        (summary(window(People(unknown=4)), gender=False), "4; classifier.gender is off"),
    ],
)
def test_nobody_or_no_gender(counts: Summary, people: str) -> None:
    first, _, *rest = counts.lines()
    assert first == f"people    {people}"
    assert rest == ["windows   1 published"]


def test_a_view_without_a_frame_has_no_summary() -> None:
    assert summary().lines() == []


def test_what_was_not_delivered_is_not_called_published() -> None:
    counts = summary(window(People(3)))
    counts.undelivered = 1
    assert counts.lines()[-1] == "windows   1 counted; 1 not delivered"


def test_midnight_shows_both_days() -> None:
    counts = summary(window(People(3), 11 * 60 + 59, seconds=120))
    assert counts.lines()[1] == "time      2026-11-21 23:59:00 to 2026-11-22 00:01:00"


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "run", *map(str, options)]
    return preloaded.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_a_clip_with_few_people(example: Path, configure: Callable[..., Path]) -> None:
    config = configure(window={"seconds": 10}, privacy={"max_hold": 0})
    done = run("--config", config, "--source", example / "clip.mp4", "--stdout")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert "people    4: 4 withheld" in lines
    assert "withheld  gender of 4 people, in windows with fewer than 3" in lines
    assert "privacy.min_people" in lines[-1]
    assert "people    " not in done.stdout


def test_a_broker_that_is_away(example: Path, configure: Callable[..., Path]) -> None:
    config = configure(mqtt={"host": "127.0.0.1", "port": 1})
    done = run("--config", config, "--source", example / "clip.mp4")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "windows   1 counted; 1 not delivered"
