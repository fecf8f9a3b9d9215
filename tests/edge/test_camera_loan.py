"""A daemon closes its camera for a page, and takes it back however the page ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.camera_loan import Lender, borrowed
from edge.errors import ConfigError

HOLD = """
import sys, time
from pathlib import Path
from edge.camera_loan import borrowed
with borrowed(Path(sys.argv[1])):
    print("has it", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def returns() -> list[bool]:
    return []


@pytest.fixture
def lender(tmp_path: Path, returns: list[bool]) -> Lender:
    return Lender(tmp_path, lambda: returns.append(True))


def test_the_camera_is_lent_and_comes_back(
    tmp_path: Path, lender: Lender, returns: list[bool]
) -> None:
    assert not lender.is_lent()
    for times in (1, 2):
        with borrowed(tmp_path):
            assert lender.is_lent()
            assert lender.is_lent()
        assert len(returns) == times - 1
        assert not lender.is_lent()
        assert not lender.is_lent()
        assert len(returns) == times
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def borrower(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A program that has the camera."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == "has it\n"
        yield program
        program.kill()


def test_a_borrower_that_is_killed_gives_it_back(
    lender: Lender, borrower: "subprocess.Popen[str]", returns: list[bool]
) -> None:
    assert lender.is_lent()
    borrower.kill()
    borrower.wait()
    assert not lender.is_lent()
    assert returns == [True]


def test_it_is_lent_to_one_at_a_time(
    tmp_path: Path, borrower: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.camera_loan.LOCK_WAIT_S", 0.05)
    with pytest.raises(ConfigError, match="already has the camera"), borrowed(tmp_path):
        pass


def test_without_a_folder_there_is_nobody_to_borrow_from(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lender = Lender(folder, lambda: None)
    with borrowed(folder):
        assert not lender.is_lent()
    assert not folder.exists()
