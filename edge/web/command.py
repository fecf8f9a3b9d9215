"""What every command with a page does: its options, the camera, how it begins and ends."""

import argparse
import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2

from edge import wiring
from edge.config import Config
from edge.errors import ConfigError, SourceError
from edge.sources.name import is_live
from edge.web.access import Access
from edge.web.deadline import Deadline
from edge.web.server import HOST, Action, Server, serving
from edge.web.views import Views

PORT = 8765
MAX_PORT = 65535
MAX_MINUTES = 60.0
FREE_THE_CAMERA = (
    "a daemon with the same state_dir lends its camera; stop any other one first:\n"
    "  sudo systemctl stop edge-tally\n"
    "  and start it again afterwards: sudo systemctl start edge-tally"
)


def add_options(parser: argparse.ArgumentParser, minutes: float) -> None:
    """Add the options of a command with a page, which ends after `minutes` by default."""
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=minutes,
        metavar="N",
        help=f"end after this time, at most {MAX_MINUTES:g}; default: {minutes:g}",
    )
    parser.add_argument(
        "--port", type=_port, default=PORT, metavar="N", help=f"default: {PORT}; 0 takes a free one"
    )


def _minutes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (minutes := float(text)) <= MAX_MINUTES:
            return minutes
    raise argparse.ArgumentTypeError(f"must be a number above 0, at most {MAX_MINUTES:g}")


def _port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= (port := int(text)) <= MAX_PORT:
            return port
    raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {MAX_PORT}")


@contextmanager
def serving_page(
    config: Config,
    args: argparse.Namespace,
    page: Path,
    *,
    views: Views,
    actions: Mapping[str, Action],
    deadline: Deadline,
    notes: Sequence[str],
) -> Iterator[None]:
    """Serve `page` while the camera is used, and print its address with `notes`, a line each.

    Signals bring the deadline forward. Raises ConfigError if the camera is to stay closed or the
    port cannot be used; a SourceError from within gets a line about the daemon.
    """
    if wiring.is_paused(config):
        key = "paused" if config.paused else "quiet_hours"
        raise ConfigError(f"{args.config}: {key}: keeps the camera closed now; change that first")
    cv2.setNumThreads(config.detector.threads)
    server = Server(args.port, page, access=Access(), views=views, actions=actions)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: deadline.end())
    with serving(server):
        print("\n".join(_introduction(server, args.minutes, notes)), flush=True)
        try:
            yield
        except SourceError as error:
            if is_live(config.source) and "://" not in config.source:
                raise SourceError(f"{error}\n  {FREE_THE_CAMERA}") from error
            raise


def _introduction(server: Server, minutes: float, notes: Sequence[str]) -> list[str]:
    port = server.server_address[1]
    return [
        f"open      {server.address}",
        "          once, in one browser on this machine, or on another one through",
        f"          ssh -L {port}:{HOST}:{port} {socket.gethostname()}",
        *notes,
        f"ends      after {minutes:g} minutes, with Done on the page, or with Ctrl-C",
    ]
