"""Types of the tools' options, and a tool's exit code when nobody reads its output."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import tool
from tests.support.paths import ROOT
from tools.cli import options


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (options.at_least(2), "2", 2),
        (options.positive, "1e-3", 0.001),
        (options.not_negative, "0", 0.0),
        (options.not_zero, "-1", -1.0),
        (options.fraction, "0", 0.0),
        (options.fraction, "1", 1.0),
        (options.separated(options.at_least(1)), "4", [4]),
        (options.separated(options.positive), "1,0.5", [1.0, 0.5]),
        (options.picture_size, "640x360", (640, 360)),
        (options.numbers, "104.5,-117,1e2", [104.5, -117.0, 100.0]),
        (options.output_file(".keras"), "build/x.keras", Path("build/x.keras")),
        (options.output_file(".jpg", ".png"), "x.PNG", Path("x.PNG")),
    ],
)
def test_options_are_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "rule"),
    [
        (options.at_least(2), "1", "1: must be a whole number, 2 or more"),
        (options.at_least(2), "2.5", "whole number"),
        (options.at_least(2), "", "whole number"),
        (options.positive, "0", "0: must be a number above 0"),
        (options.positive, "nan", "above 0"),
        (options.positive, "inf", "above 0"),
        (options.not_negative, "-0.1", "0 or more"),
        (options.not_zero, "0.0", "other than 0"),
        (options.fraction, "1.01", "from 0 to 1"),
        (options.separated(options.at_least(1)), "4,0", "0: must be a whole number"),
        (options.separated(options.positive), "1,", ": must be a number above 0"),
        (options.picture_size, "640", "640: must be WIDTHxHEIGHT, such as 640x360"),
        (options.picture_size, "641x360", "both even, 160 to 4096"),
        (options.picture_size, "640x100", "both even, 160 to 4096"),
        (options.picture_size, "9640x360", "both even, 160 to 4096"),
        (options.fraction, "half", "half: must be a number from 0 to 1"),
        (options.numbers, "1,", ": must be a number"),
        (options.numbers, "1;2", "1;2: must be a number"),
        (options.output_file(".keras"), "x.h5", "x.h5: must be a file that ends in .keras"),
        (options.output_file(".jpg", ".png"), "x", "ends in .jpg or .png"),
    ],
)
def test_options_that_are_refused(read: Callable[[str], Any], text: str, rule: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rule):
        read(text)


def test_a_folder_is_not_a_file_to_write(tmp_path: Path) -> None:
    (tmp_path / "x.keras").mkdir()
    with pytest.raises(argparse.ArgumentTypeError, match="must be a file"):
        options.output_file(".keras")(str(tmp_path / "x.keras"))


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("train", "keras"),
        ("quantize", "keras"),
        ("distill", "keras"),
        ("predict", "matplotlib"),
        ("crowd", "matplotlib"),
        ("replay", "matplotlib"),
        ("live", "matplotlib"),
        ("bench", "matplotlib"),
        ("web", "gradio"),
    ],
)
def test_help_and_mistakes_wait_for_no_large_library(
    name: str, library: str, tmp_path: Path
) -> None:
    (tmp_path / f"{library}.py").write_text("raise SystemExit('imported')")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    for option, code, answer in (("--help", 0, "usage: "), ("--nonsense", 2, "error: ")):
        run = tool(name, option, PYTHONPATH=path)
        assert run.returncode == code, run.stderr
        assert answer in run.stdout + run.stderr


def test_a_failure_that_nobody_reads_is_still_a_failure() -> None:
    reader, stdout = os.pipe()
    os.close(reader)
    program = (
        "from tools.cli.exit import run_command; run_command(lambda: print('half of it') or 3)"
    )
    command = [sys.executable, "-E", "-c", program]  # -E: output is buffered until the end
    run = subprocess.run(command, cwd=ROOT, stdout=stdout, check=False)
    os.close(stdout)
    assert run.returncode == 3
