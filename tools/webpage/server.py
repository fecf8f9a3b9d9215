"""The socket that the page is served on, and the server."""

import argparse
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import uvicorn

from edge.errors import ConfigError
from tools.webpage.access import App

PORT = 8330
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_S = 3
"""How long answers under way may take once the program is stopped, seconds."""


class Address(NamedTuple):
    """Where the page is served."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """An argparse type: HOST, HOST:PORT or [HOST]:PORT."""
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or host.isdecimal() or not port.isdecimal() or int(port) > 65535:
            raise argparse.ArgumentTypeError(
                f"{text}: must be like 127.0.0.1:{PORT} or [::1]:{PORT}"
            )
        return cls(host, int(port))

    def url(self, scheme: str, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}/"


def bind(address: Address) -> socket.socket:
    """Raises ConfigError if something else listens there."""
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        reason, _, _ = (error.strerror or str(error)).partition(" (while")
        raise ConfigError(
            f"--listen {address.host}:{address.port}: {reason}; name another address"
        ) from None


def check_certificate(cert: Path | None, key: Path | None) -> None:
    """Raises ConfigError if they do not serve."""
    if cert is None or key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except OSError as error:  # also ssl.SSLError
        raise ConfigError(f"--cert {cert}, --key {key}: {error.strerror or error}") from None


class _Server(uvicorn.Server):
    """Leaves signals to `run_server`, which also ends the events."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def run_server(
    app: App, listening: socket.socket, *, cert: Path | None, key: Path | None,
    stopped: Callable[[], None],
) -> None:  # fmt: skip
    """Serve until SIGINT, SIGTERM or SIGHUP, and then call `stopped`."""
    server = _Server(uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off",
        ssl_certfile=cert, ssl_keyfile=key, timeout_graceful_shutdown=END_S,
    ))  # fmt: skip

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True
        stopped()

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    server.run(sockets=[listening])
