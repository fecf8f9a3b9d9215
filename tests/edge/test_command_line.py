"""The console script and `python -m edge` are the same program."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import edge
from edge.__main__ import SCRIPT, run_command
from tests.support.paths import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """What an installer writes for the entry point."""
    path = tmp_path / SCRIPT
    module, _, function = PROJECT["scripts"][SCRIPT].partition(":")
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from {module} import {function}\nsys.exit({function}())\n"
    )
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


def test_the_entry_point_is_the_daemons_command() -> None:
    entry = EntryPoint(SCRIPT, PROJECT["scripts"][SCRIPT], "console_scripts")
    assert entry.load() is run_command


def test_the_script_prints_the_version(script: Path) -> None:
    for command in ((script,), ("-m", "edge")):
        result = run(*command, "--version")
        assert (result.returncode, result.stdout) == (0, f"edge-tally {edge.__version__}\n")
    assert re.fullmatch(r"\d+\.\d+\.\d+", edge.__version__)


def test_the_usage_names_the_command_that_was_run(script: Path) -> None:
    assert run(script, "run", "--help").stdout.startswith("usage: edge-tally run ")
    assert run("-m", "edge", "run", "--help").stdout.startswith("usage: python -m edge run ")


def test_the_script_ends_with_the_daemons_exit_code(script: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    result = run(script, "check", "--config", missing)
    assert result.returncode == 2
    assert f"{missing}: cannot be read" in result.stderr


def test_the_package_is_typed() -> None:
    assert (ROOT / "edge" / "py.typed").is_file()


def test_an_installed_package_has_all_files() -> None:
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]
    packaged = {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    files = {file for file in (ROOT / "edge").rglob("*") if file.is_file()}
    data = {file for file in files if file.suffix not in (".py", ".pyc")}
    assert {"aim.html", "py.typed"} <= {file.name for file in data}
    assert data <= packaged


def test_the_daemon_loads_nothing_that_only_other_commands_need() -> None:
    """It should be small, and count soon."""
    others = ("edge.aim", "edge.audit", "edge.enrollment", "edge.web", "edge.probes", "http.server")
    script = f"import sys, edge.__main__; print([name for name in {others} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "[]\n", run.stderr
