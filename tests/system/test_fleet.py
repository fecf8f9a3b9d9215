"""A small fleet and the death of its broker; `python -m tests.fleet` simulates large ones."""

from pathlib import Path

import pytest

from tests.fleet.__main__ import main


def test_nothing_is_lost_when_the_broker_of_ten_devices_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = ["--every", "1", "--calm", "3", "--down", "2", "--drain", "60"]
    options = ["--devices", "10", "--faults", "kill", "--folder", str(tmp_path)]
    assert main([*times, *options]) == 0
    printed = capsys.readouterr().out
    assert "10 devices: good" in printed
    assert "next window after the return" in printed


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--devices", "0"], "must be above 0"),
        (["--devices", "2001"], "at most 2000"),
        (["--given", "localhost"], "HOST:PORT"),
        (["--given", "broker.example:1883"], "on this machine"),
        (["--given", "localhost:1883", "--faults", "kill"], "cannot be killed"),
    ],
)
def test_mistakes_in_its_options(
    options: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(options)
    assert exit_.value.code == 2
    assert error in capsys.readouterr().err
