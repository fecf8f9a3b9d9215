"""Commands that pause the daemon: only two are obeyed, and a pause survives a restart."""

from pathlib import Path

import pytest

from edge.pause import PauseSwitch


def test_pause_and_resume(tmp_path: Path) -> None:
    switch = PauseSwitch(tmp_path / "paused")
    assert not switch.is_on()
    switch.command(b"pause")
    assert switch.is_on()
    assert PauseSwitch(tmp_path / "paused").is_on(), "a restart must not open the camera"
    switch.command(b"resume")
    assert not switch.is_on()
    assert not PauseSwitch(tmp_path / "paused").is_on()
    assert list(tmp_path.iterdir()) == []


def test_the_newest_command_counts(tmp_path: Path) -> None:
    switch = PauseSwitch(tmp_path / "paused")
    for command in (b"pause", b"resume", b"resume", b"pause", b"pause"):
        switch.command(command)
    assert switch.is_on()


def test_nothing_else_is_obeyed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    switch = PauseSwitch(tmp_path / "paused")
    commands = (b"", b"PAUSE", b"pause\n", b'"pause"', b"on", b"\xff\0", b"stop", b"pause" * 9999)
    for command in commands:
        switch.command(command)
    assert not switch.is_on()
    assert caplog.text.count("only pause and resume are obeyed") == 1
    switch.command(b"pause")
    for command in (*commands, b"RESUME", b"resume;"):
        switch.command(command)
    assert switch.is_on()
    assert "pausepause" not in caplog.text, "what others send must not get into the log"


def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    assert not PauseSwitch(tmp_path / ("x" * 300) / "paused").is_on()


def test_a_disk_that_refuses_does_not_open_the_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    switch = PauseSwitch(tmp_path / "missing" / "paused")
    switch.command(b"pause")
    assert switch.is_on()
    assert "paused only until a restart (No such file or directory)" in caplog.text
