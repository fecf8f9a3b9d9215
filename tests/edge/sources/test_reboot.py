"""The machine is restarted for a camera rarely, and never in a loop."""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from edge.errors import SourceError
from edge.sources.reboot import RebootGuard
from edge.types import Frame, Frames, NoFrame

PICTURE = np.zeros((4, 4, 3), np.uint8)
FRAME = Frame(0, 0.0, 0.0, PICTURE, PICTURE[:, :, 0])
BLIND = NoFrame(0.0, 0.0, 1.0, "lost")


@pytest.fixture
def reboots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A `systemctl` that only records its arguments."""
    program, calls = tmp_path / "bin" / "systemctl", tmp_path / "calls"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return lambda: calls.read_text().splitlines() if calls.exists() else []


def start(state: Path, frames: Iterable[Frame | NoFrame], error: str = "lost") -> None:
    """One start of the daemon that ends with its camera's failure."""

    def source() -> Frames:
        yield from frames
        raise SourceError(error)

    with pytest.raises(SourceError, match=error):
        list(RebootGuard(state).guard(source()))


def test_three_starts_without_a_frame(tmp_path: Path, reboots: Callable[[], list[str]]) -> None:
    state = tmp_path / "state"
    for expected in ([], [], ["reboot"]):
        start(state, [BLIND])
        assert reboots() == expected
    # the restart did not help
    for _ in range(10):
        start(state, [BLIND])
    assert reboots() == ["reboot"]


@pytest.mark.parametrize("hours", [-7, 7])
def test_hours_later_once_more_whichever_way_the_clock_was_set(
    tmp_path: Path, reboots: Callable[[], list[str]], hours: float
) -> None:
    record = {"starts_without_frame": 2, "rebooted": time.time() - hours * 3600}
    (tmp_path / "camera.json").write_text(json.dumps(record))
    start(tmp_path, [])
    start(tmp_path, [])
    assert reboots() == ["reboot"]


def test_a_single_frame_starts_the_count_again(
    tmp_path: Path, reboots: Callable[[], list[str]]
) -> None:
    for frames in ([], [], [FRAME], [], []):
        start(tmp_path, frames)
    assert reboots() == []
    start(tmp_path, [])
    assert reboots() == ["reboot"]


def test_a_daemon_that_is_stopped_is_not_a_failed_start(
    tmp_path: Path, reboots: Callable[[], list[str]]
) -> None:
    def source() -> Frames:
        yield BLIND
        yield BLIND

    for _ in range(5):
        guarded = RebootGuard(tmp_path).guard(source())
        next(guarded)
        guarded.close()
    assert list(tmp_path.glob("camera.json")) == []
    assert reboots() == []


def test_without_a_saved_record_there_is_no_reboot(
    tmp_path: Path, reboots: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    for _ in range(5):
        start(tmp_path / "state", [])
    assert reboots() == []
    assert "camera.json: cannot be written" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", '{"starts_without_frame": null, "rebooted": 0}'])
def test_a_file_without_a_record_is_not_a_reason(
    tmp_path: Path, reboots: Callable[[], list[str]], text: str
) -> None:
    (tmp_path / "camera.json").write_text(text)
    start(tmp_path, [])
    assert json.loads((tmp_path / "camera.json").read_text())["starts_without_frame"] == 1
    assert reboots() == []


def test_a_reboot_that_is_refused_is_logged(
    tmp_path: Path, reboots: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho Access denied >&2\nexit 1\n")
    for _ in range(3):
        start(tmp_path, [])
    assert "systemctl reboot: Access denied" in caplog.text
