"""The walk-through can be followed to its end: each of its commands is run, in small."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "walkthrough.md").read_text()
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


def test_each_command_works_with_what_those_before_it_made(tmp_path: Path) -> None:
    script = COMMANDS.replace("make tools\n", "").replace("build/", f"{tmp_path}/")
    script = script.replace(".venv/bin/python", shlex.quote(sys.executable))
    script = script.replace("--epochs 20", "--epochs 2")
    script = script.replace("example.py", "example.py --seconds 20")
    script = script.replace("quantize.py", "quantize.py --calibration-faces 100")
    run = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert run.returncode == 0, run.stderr
    made = {file.name for file in (tmp_path / "example").iterdir()}
    assert made >= {"gender.png", "gender.mistakes.png", "gender.tflite", "seen.png", "live.mp4"}
    assert run.stdout.count("gender-ann48@") >= 1  # the daemon counted with the new network
    assert "people    4: " in run.stderr
    assert run.stdout.count("invented  0") == 2


def test_it_needs_nothing_but_what_it_makes() -> None:
    files = re.findall(
        r"(?:--data|--calibrate|--source|--truth|--config|predict\.py) (\S+)", COMMANDS
    )
    assert len(files) > 8
    assert {file.split("/")[0] for file in files} == {"build"}
