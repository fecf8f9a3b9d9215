"""`edge aim`: a page that helps to mount the camera, for a few minutes."""

import argparse
import os
from pathlib import Path

from edge.aim.actions import Actions
from edge.aim.config_file import zones_yaml
from edge.aim.session import Session
from edge.config import Config
from edge.errors import ConfigError
from edge.web import command
from edge.web.deadline import Deadline
from edge.web.views import Views

PAGE = Path(__file__).parent / "page" / "aim.html"
MINUTES = 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    command.add_options(parser, MINUTES)
    parser.add_argument(
        "--write", action="store_true", help="let the page write the zones into the configuration"
    )
    parser.add_argument(
        "--full-picture", action="store_true", help="show people as they are, not blurred"
    )


def aim(config: Config, args: argparse.Namespace) -> int:
    """Serve the page until its time, its button or a signal ends it. Returns 0; raises EdgeError.

    `args` has the common options and those of `add_options`.
    """
    if args.write and not os.access(args.config.resolve().parent, os.W_OK):
        raise ConfigError(f"{args.config}: cannot be written by this user, as --write asks")
    views, deadline = Views(), Deadline(args.minutes)
    session = Session(config, views, full_picture=args.full_picture)
    actions = Actions(session, deadline, args.config, write=args.write)
    picture = (
        "as it is: whoever opens the page sees the people in it"
        if args.full_picture
        else "blurred until nobody can be recognized; --full-picture shows it as it is"
    )
    with command.serving_page(
        config,
        args,
        PAGE,
        views=views,
        actions=actions.by_path,
        deadline=deadline,
        notes=[f"picture   {picture}"],
    ):
        session.run(deadline.is_over)
    print("ended")
    if session.zones != config.zones:
        print(zones_yaml(session.zones), end="")
    return 0
