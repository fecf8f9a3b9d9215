"""The lines of C++ libraries on standard error: which reach the user, and which do not."""

import os
import subprocess
import sys

import pytest

from edge.native_log import captured, quiet
from edge.vision.tflite import RUNTIMES
from tests.support.paths import MODEL, ROOT

OPEN = (
    "import sys; from pathlib import Path; from edge.vision.tflite import open_interpreter as o; "
)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_opened_model_is_silent_unless_asked(runtime: str) -> None:
    if runtime == "tflite-runtime":
        pytest.importorskip("tflite_runtime")

    def stderr(*args: str) -> str:
        code = OPEN + f"o(Path({str(MODEL)!r}), {runtime!r})"
        run = subprocess.run(
            [sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=ROOT
        )
        assert run.returncode == 0, run.stderr
        return run.stderr

    assert stderr() == ""
    # XNNPACK runs int8 in one of them alone, so the other has nothing to say
    assert ("XNNPACK delegate" in stderr("--verbose")) == (runtime == "ai-edge-litert")


def test_failures_are_not_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    lines = (
        b"INFO: Created a delegate\nERROR: no memory\nI0000 00:00:17.2 1 x.cc:1] fine\nINFO up\n"
    )
    with pytest.raises(RuntimeError), quiet():
        os.write(2, lines)
        raise RuntimeError
    assert capfd.readouterr().err == "ERROR: no memory\nINFO up\n"
    with captured() as lines_inside, quiet():
        os.write(2, b"ERROR: inside\n")
    assert lines_inside == [b"ERROR: inside\n"]
    assert capfd.readouterr().err == ""
