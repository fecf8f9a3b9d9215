"""The counts keep to limits on made crowds that anyone can make, and on real clips."""

from pathlib import Path

import pytest

from tests.conftest import MadeOnce
from tests.support.commands import tool

SEEDS = ("431", "432")


@pytest.fixture(scope="module")
def crowds(made_once: MadeOnce) -> Path:
    """Two small films of the demo's faces."""

    def make(folder: Path) -> None:
        for seed in SEEDS:
            run = tool(
                "crowd", folder / f"{seed}.mp4", "--seed", seed, "--people", "6", "--backs", "1",
                "--seconds", "10", "--size", "480x270",
            )  # fmt: skip
            assert run.returncode == 0, run.stderr

    return made_once("limits", make)


def test_small_crowds(crowds: Path) -> None:
    limits = (
        "--max-count-error", "0.1", "--max-missed", "0.1", "--max-doubled", "0.1",
        "--max-invented", "0", "--min-gender", "0.9",
    )  # fmt: skip
    run = tool("replay", "--clips", crowds, "--every", "2", *limits)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n  expected  missed ") == len(SEEDS)


def test_too_few_frames_break_the_limits(crowds: Path) -> None:
    run = tool("replay", "--clips", crowds, "--every", "12", "--max-missed", "0.1")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("replay: one frame in 12: missed ")
    assert line.endswith(", above 10.0%")


def test_real_clips(clips: Path) -> None:
    limits = (
        "--max-count-error", "0.4", "--max-missed", "0.4", "--max-doubled", "0.06",
        "--max-invented", "0.03", "--min-gender", "0.85",
    )  # fmt: skip
    run = tool("replay", "--clips", clips / "real", *limits)
    assert (run.returncode, run.stderr) == (0, "")
