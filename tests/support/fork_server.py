"""Imports modules once and runs Python programs in forks of itself.

    python -m tests.support.fork_server DESCRIPTOR MODULE ...

`tests.support.preloaded` starts it, and sends it programs through the socket of this descriptor.
"""

import atexit
import contextlib
import gc
import importlib
import io
import os
import pickle
import runpy
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

LONGEST = 1 << 17
"""Of a request, bytes; the kernel takes no longer packet by default."""


@dataclass(frozen=True)
class Program:
    """What a new process needs to know, beside its standard input, output and error."""

    arguments: list[str]
    """As Python gets them: a file, or -m and a module, and the program's own."""
    environment: dict[str, str]
    new_session: bool


def run(program: Program) -> None:
    """Run it in this process, as Python would from its start."""
    if program.new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(program.environment)
    time.tzset()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    first, *rest = program.arguments
    if first == "-m":
        sys.argv = rest
        sys.modules.pop(f"{rest[0]}.__main__", None)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(first).absolute().parent)
        sys.argv = program.arguments
        runpy.run_path(first, run_name="__main__")


def run_and_exit(program: Program) -> None:
    """Run it and end this process as Python would, but without freeing all that is imported.

    Memory that is shared with the server would be copied for that, which takes a quarter of a
    second with TensorFlow.
    """
    code = 1

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)  # called last: after the program's own, and when its threads have ended
    try:
        run(program)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        raise
    except KeyboardInterrupt:
        atexit.unregister(leave)  # Python ends itself with the signal
        raise


def serve(connection: socket.socket) -> Program | None:
    """Fork for each request; return the program in its own process, None when all is done.

    A program becomes a child of this process's parent, whose subprocess module then controls it:
    it is the fork of a fork that ends, and orphans go to the nearest process that wants them.
    """
    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, LONGEST, 3)
        if not request:
            return None
        between = os.fork()
        if between == 0:
            process = os.fork()
            if process:
                connection.send(str(process).encode())
                os._exit(0)
            connection.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            os.closerange(min(descriptors), max(descriptors) + 1)
            program: Program = pickle.loads(request)
            return program
        os.waitpid(between, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(b"ended")


def main() -> None:
    descriptor, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # a program that ends need not look through all that is imported
    program = None
    with contextlib.suppress(KeyboardInterrupt):  # of the tests
        program = serve(socket.socket(fileno=int(descriptor)))
    if program:
        run_and_exit(program)


if __name__ == "__main__":
    main()
