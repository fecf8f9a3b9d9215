"""`edge aim`: a page that helps to mount the camera, for a few minutes."""

import argparse
import contextlib
import os
import signal
import socket
from pathlib import Path

import cv2

from edge import wiring
from edge.aim.actions import Actions, Options
from edge.aim.config_file import zones_yaml
from edge.aim.session import Session
from edge.config import Config
from edge.errors import ConfigError, SourceError
from edge.sources.name import is_live
from edge.web.access import Access
from edge.web.server import HOST, Server, serving
from edge.web.views import Views

PAGE = Path(__file__).parent / "page" / "aim.html"
PORT = 8765
MAX_PORT = 65535
MINUTES = 10.0
MAX_MINUTES = 60.0
FREE_THE_CAMERA = (
    "if the daemon has the camera, stop it first: sudo systemctl stop edge-tally\n"
    "  and start it again afterwards: sudo systemctl start edge-tally"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=MINUTES,
        metavar="N",
        help=f"end after this time, at most {MAX_MINUTES:g}; default: {MINUTES:g}",
    )
    parser.add_argument(
        "--port", type=_port, default=PORT, metavar="N", help=f"default: {PORT}; 0 takes a free one"
    )
    parser.add_argument(
        "--write", action="store_true", help="let the page write the zones into the configuration"
    )
    parser.add_argument(
        "--full-picture", action="store_true", help="show people as they are, not blurred"
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


def aim(config: Config, args: argparse.Namespace) -> int:
    """Serve the page until its time, its button or a signal ends it. Returns 0; raises EdgeError.

    `args` has the common options and those of `add_options`.
    """
    options = Options(args.config, args.minutes, args.write, args.full_picture)
    if wiring.is_paused(config):
        key = "paused" if config.paused else "quiet_hours"
        raise ConfigError(
            f"{options.config}: {key}: keeps the camera closed now; change that first"
        )
    if options.write and not os.access(options.config.resolve().parent, os.W_OK):
        raise ConfigError(f"{options.config}: cannot be written by this user, as --write asks")
    cv2.setNumThreads(config.detector.threads)
    views, access = Views(), Access()
    session = Session(config, views, full_picture=options.full_picture)
    actions = Actions(session, options)
    server = Server(args.port, PAGE, access=access, views=views, actions=actions.by_path)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: actions.end())
    with serving(server):
        print("\n".join(_introduction(server, options)), flush=True)
        try:
            session.run(actions.is_over)
        except SourceError as error:
            if is_live(config.source) and "://" not in config.source:
                raise SourceError(f"{error}\n  {FREE_THE_CAMERA}") from error
            raise
    print("ended")
    if session.zones != config.zones:
        print(zones_yaml(session.zones), end="")
    return 0


def _introduction(server: Server, options: Options) -> list[str]:
    port = server.server_address[1]
    picture = (
        "as it is: whoever opens the page sees the people in it"
        if options.full_picture
        else "blurred until nobody can be recognized; --full-picture shows it as it is"
    )
    return [
        f"open      {server.address}",
        "          once, in one browser on this machine, or on another one through",
        f"          ssh -L {port}:{HOST}:{port} {socket.gethostname()}",
        f"picture   {picture}",
        f"ends      after {options.minutes:g} minutes, with Done on the page, or with Ctrl-C",
    ]
