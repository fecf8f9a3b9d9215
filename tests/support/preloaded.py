"""Starts the project's programs in forks of processes that have imported their modules already.

The imports take half a second of processor time, with TensorFlow five, and the tests start hundreds
of programs. `Popen` and `run` are those of subprocess and do the same with any other command.
"""

import atexit
import ctypes
import inspect
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, AnyStr

from tests.support.fork_server import LONGEST, Program
from tests.support.paths import ROOT

WITH_TENSORFLOW = frozenset({"distill", "quantize", "train"})
Modules = tuple[str, ...]
MODULES: Modules = (
    "edge.__main__", "edge.aim.command", "edge.audit.command", "edge.delivery.mqtt_probe",
    "edge.enrollment.command", "edge.probes", "matplotlib.figure", "matplotlib.image",
    "PIL.ImageDraw", "rich.progress", "scipy.optimize", "tools.bench", "tools.crowd",
    "tools.dashboard", "tools.demo", "tools.evaluate", "tools.example", "tools.expected_error",
    "tools.latency", "tools.live", "tools.make_model", "tools.predict", "tools.replay",
)  # fmt: skip
"""What the daemon's commands and the tools import."""
TENSORFLOW_MODULES: Modules = (
    "matplotlib.figure", "matplotlib.image", "tools.conversion.quantization",
    "tools.training.distillation", "tools.training.training",
)  # fmt: skip
"""The same of the tools that need TensorFlow."""
READ_EARLY = (
    "KERAS", "LANG", "LC_", "LD_", "MALLOC", "MPL", "OMP", "OPENBLAS", "OPENCV", "PYTHON", "TF_",
)  # fmt: skip
"""Beginnings of variables that Python or a library reads when it starts or is imported."""
PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h"""

_libc = ctypes.CDLL(None, use_errno=True)
_execute = vars(subprocess.Popen)["_execute_child"]
_parameters = inspect.signature(_execute)


class ForkServer:
    """A process with modules, of which programs are forked."""

    def __init__(self, modules: Modules) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())]
            self._process = subprocess.Popen(
                [*command, *modules],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"KERAS_BACKEND": "tensorflow"},
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._ours.close()
        self._process.wait()

    def fork(self, program: Program, descriptors: Sequence[int]) -> int:
        """Start a program, a child of this process; returns its process id."""
        request = pickle.dumps(program)
        assert len(request) < LONGEST, program
        with self._lock:
            _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
            socket.send_fds(self._ours, [request], descriptors)
            process = int(self._ours.recv(LONGEST))
            assert self._ours.recv(LONGEST) == b"ended"
            _libc.prctl(PR_SET_CHILD_SUBREAPER, 0)
        return process


_servers: dict[Modules, ForkServer] = {}


def _server(arguments: Sequence[str]) -> ForkServer | None:
    """The one whose forks run what Python gets these arguments for, if there is one."""
    if "--verbose" in arguments:  # decides what the libraries write when they are imported
        return None
    modules = MODULES
    if list(arguments[:2]) != ["-m", "edge"]:
        program = ROOT / (arguments or ["-"])[0]
        if program.parent != ROOT / "tools":
            return None
        if program.stem in WITH_TENSORFLOW:
            modules = TENSORFLOW_MODULES
    if modules not in _servers:
        _servers[modules] = ForkServer(modules)
    return _servers[modules]


class Popen(subprocess.Popen[AnyStr]):
    """A program; forked, if it is one of the project's and is run in its folder."""

    def _execute_child(self, *values: Any) -> None:
        options = _parameters.bind(self, *values).arguments
        if not self._fork(options):
            _execute(self, *values)

    def _fork(self, options: Mapping[str, Any]) -> bool:
        """Whether it was started."""
        if Path(options["cwd"] or Path.cwd()) != ROOT or options["shell"] or options["preexec_fn"]:
            return False
        executable, *arguments = [os.fspath(word) for word in options["args"]]
        server = _server(arguments) if executable == sys.executable else None
        environment = dict(os.environ if options["env"] is None else options["env"])
        differences = environment.items() ^ os.environ.items()
        if server is None or any(name.startswith(READ_EARLY) for name, _ in differences):
            return False
        ends = [options[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = server.fork(
            Program(arguments, environment, options["start_new_session"]),
            [number if end < 0 else end for number, end in enumerate(ends)],
        )
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        vars(subprocess.Popen)["_close_pipe_fds"](self, *(options[name] for name in pipes))
        return True


def run(
    command: Sequence[str | Path],
    *,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **keys: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as subprocess.run does."""
    if capture_output:
        keys |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **keys) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    if check:
        done.check_returncode()
    return done
