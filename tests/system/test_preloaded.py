"""A program that is forked behaves as one that is started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import preloaded
from tests.support.paths import CLIP, ROOT


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "edge", "--version"],
        ["-m", "edge", "run", "--help"],
        ["-m", "edge", "run", "--config", "none.yaml"],
        ["tools/replay.py", "none.mp4"],
        ["tools/train.py", "--nonsense"],
    ],
)
def test_it_prints_and_ends_the_same(arguments: list[str]) -> None:
    command = [sys.executable, *arguments]
    started = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    forked = preloaded.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert forked.args == started.args
    assert forked.returncode == started.returncode
    assert forked.stdout == started.stdout
    assert forked.stderr == started.stderr


@pytest.mark.parametrize(
    "body",
    [
        "print('half', end='')",
        "sys.exit(3)",
        "sys.exit('why')",
        "sys.exit()",
        "raise ValueError('why')",
        "raise KeyboardInterrupt",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "atexit.register(print, 'last')",
        "threading.Timer(0.2, print, ['late']).start(); sys.exit(4)",
    ],
)
def test_a_program_ends_the_same(body: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import atexit, os, signal, sys, threading\n{body}\n")
    fork = "import os; from tests.support.fork_server import Program, run_and_exit\n"
    fork += f"run_and_exit(Program([{str(program)!r}], dict(os.environ), False))"
    started, forked = (
        subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT)
        for words in ([program], ["-c", fork])
    )
    assert forked.returncode == started.returncode
    assert forked.stdout == started.stdout
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def status(process: subprocess.Popen[bytes], name: str) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)[name]


def is_forked(process: subprocess.Popen[bytes]) -> bool:
    return b"fork_server" in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def test_it_is_a_process_of_ours(configure: Callable[..., Path]) -> None:
    command = [sys.executable, "-m", "edge", "run", "--config", str(configure())]
    command += ["--source", "demo"]
    with preloaded.Popen[bytes](
        command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline()  # it runs
        assert is_forked(process)
        assert status(process, "PPid") == str(os.getpid())
        assert os.getsid(process.pid) == process.pid
        open_files = {file.readlink() for file in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert not [file for file in open_files if file.name.startswith("socket:")]
        process.kill()
        assert process.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "LD_BIND_NOW"])
def test_it_is_started_where_its_environment_matters_early(name: str) -> None:
    command = [sys.executable, "tools/replay.py", *[str(CLIP)] * 50]
    for environment, forked in ({}, True), ({name: "1"}, False):
        with preloaded.Popen[bytes](
            command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ | environment
        ) as process:
            assert is_forked(process) == forked
            process.kill()
