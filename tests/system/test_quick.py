"""`make quick` runs the tests of single parts, and leaves out what takes its time."""

from pathlib import Path

import pytest

from tests.conftest import is_quick
from tests.support.paths import ROOT

TESTS = ROOT / "tests"


def test_the_pure_rooms_are_in_and_whole_programs_are_not() -> None:
    quick = {file.stem.removeprefix("test_") for file in TESTS.rglob("test_*.py") if is_quick(file)}
    assert {"tracker", "counting", "messages", "pipeline", "config", "hours", "crop"} <= quick
    assert (
        not {
            "program",
            "storm",
            "soak",
            "install",
            "web",
            "train",
            "quantize",
            "access_rules",
            "quick",
        }
        & quick
    )


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess",
        "def test_x(mosquitto: Mosquitto) -> None: ...",
        "run = tool('train')",
        "def test_x(few_faces: Path) -> None: ...",
        "    import keras",
        "server = socket.create_server(('127.0.0.1', 0))",
    ],
)
def test_what_takes_its_time(tmp_path: Path, text: str) -> None:
    quick, slow = tmp_path / "test_quick.py", tmp_path / "test_slow.py"
    quick.write_text("import pytest\n")
    slow.write_text(f"import pytest\n{text}\n")
    assert is_quick(quick)
    assert not is_quick(slow)
