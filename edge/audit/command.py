"""`edge audit`: how often the counts are wrong at this door, by somebody who stands there."""

import argparse
import threading
import time
from pathlib import Path
from typing import Any

from edge.audit.report import Report
from edge.audit.session import Session
from edge.audit_result import LEAST_TAPPED
from edge.config import Config
from edge.delivery.messages import iso
from edge.errors import ConfigError
from edge.sources.name import is_recorded
from edge.types import LABELS, UNKNOWN
from edge.web import command
from edge.web.deadline import Deadline
from edge.web.server import Action
from edge.web.views import Views

PAGE = Path(__file__).parent / "page" / "audit.html"
MINUTES = 15.0
RECEIVED_S = 5.0
"""Longest wait until the page has the report, seconds."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    command.add_options(parser, MINUTES)


def audit(config: Config, args: argparse.Namespace) -> int:
    """Serve the page, count, and report the error. Returns 0; raises EdgeError.

    `args` has the common options and those of `add_options`.
    """
    views, deadline, received = Views(), Deadline(args.minutes), threading.Event()
    session = Session(config, views)
    with command.serving_page(
        config,
        args,
        PAGE,
        views=views,
        actions=_actions(config, session, deadline, received),
        deadline=deadline,
        notes=["keeps     the numbers of the report, for the topic info; no picture is stored"],
    ):
        try:
            session.run(deadline.is_over)
        finally:  # a camera that is lost takes nothing of this with it
            if session.has_begun:
                session.show_report()
                print(
                    "\n".join(session.report().lines(gender=config.classifier.gender)), flush=True
                )
                received.wait(RECEIVED_S)
                if not is_recorded(config.source):  # which is not this place
                    print(_keep(config, session.report()), flush=True)
    return 0


def _keep(config: Config, report: Report) -> str:
    """Keep the numbers for `info`; returns what became of them, in words."""
    result = report.result(iso(time.time()))
    if not result.is_enough:
        return f"kept      nothing: fewer than {LEAST_TAPPED} people were tapped"
    try:
        result.keep(config.state_dir)
    except OSError as error:
        return f"kept      nothing: {config.state_dir}: {error.strerror or error}"
    return f"kept      in {config.state_dir}, for the topic info"


def _actions(
    config: Config, session: Session, deadline: Deadline, received: threading.Event
) -> dict[str, Action]:
    """The commands of the page by path."""

    def begin(_: dict[str, Any]) -> dict[str, Any]:
        return {
            "seconds": deadline.seconds_left,
            "gender": config.classifier.gender,
            "tapped": session.tapped,
        }

    def tap(values: dict[str, Any]) -> dict[str, Any]:
        label = values.get("label")
        if label not in (*LABELS, UNKNOWN):
            raise ConfigError("label: must be female, male or unknown")
        session.tap(label)
        return {"tapped": session.tapped}

    def undo(_: dict[str, Any]) -> dict[str, Any]:
        session.undo()
        return {"tapped": session.tapped}

    def end(_: dict[str, Any]) -> dict[str, Any]:
        deadline.end()
        return {}

    def has_report(_: dict[str, Any]) -> dict[str, Any]:
        received.set()
        return {}

    return {
        "/viewer": begin,
        "/start": begin,
        "/tap": tap,
        "/undo": undo,
        "/end": end,
        "/received": has_report,
    }
