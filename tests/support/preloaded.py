"""Runs tools that need TensorFlow in forks of one process that has imported it already.

The import takes five seconds of CPU, and the tests start such tools a hundred times.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.paths import ROOT

TOOLS = frozenset({"distill", "quantize", "train"})

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.support.tensorflow_imports"])


def run(name: str, args: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run one of `TOOLS` in a process of its own, as subprocess.run would."""
    script = f"tools/{name}.py"
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder, "stdout"), Path(folder, "stderr")
        process = _forks.Process(
            target=_run, args=(script, args, (stdout, stderr), dict(os.environ))
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(script, timeout_s)
        result = subprocess.CompletedProcess(
            [script, *args],
            process.exitcode,
            stdout.read_text(encoding="utf-8"),
            stderr.read_text(encoding="utf-8"),
        )
        process.close()
    return result


def _run(
    script: str, args: Sequence[str], outputs: tuple[Path, Path], environment: Mapping[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for descriptor, output in enumerate(outputs, 1):
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = [script, *args]
    runpy.run_path(script, run_name="__main__")
