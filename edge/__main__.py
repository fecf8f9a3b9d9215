"""Command line of the daemon: builds the parts, runs them, ends with the right exit code."""

import argparse
import contextlib
import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import cv2

import edge
from edge import build, systemd
from edge.cameras import shown_source
from edge.config import Config, load_config
from edge.deliver import Courier
from edge.errors import ConfigError, EdgeError
from edge.health import Health
from edge.lines import JsonLinesPublisher
from edge.live import THREAD
from edge.machine import clock_synced
from edge.orders import Orders
from edge.probe import probe
from edge.records import Frame
from edge.report import Reporter

log = logging.getLogger("edge")

DELIVERY_WAIT_S = 5.0
"""How long the end of the program waits for the broker; what is left stays in the outbox."""


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 a failure, 2 a mistake in configuration or use."""
    args = _arguments(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if args.verbose else logging.INFO,
        format="%(levelname)s %(message)s",
    )
    overrides = {} if args.source is None else {"source": args.source}

    def load() -> Config:
        return load_config(args.config, **overrides)

    try:
        if args.command == "run":
            return run(load, args.stdout)
        return check(load(), args.config) if args.command == "check" else forget(load())
    except EdgeError as error:
        log.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:  # `run` had nothing to end yet; the others did not do their work
        return 0 if args.command == "run" else EdgeError.exit_code


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m edge", description="Anonymous audience counter."
    )
    parser.add_argument("--version", action="version", version=f"edge-tally {edge.__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=Path("config.yaml"),
        metavar="FILE",
        help="default: config.yaml in this folder",
    )
    common.add_argument("--source", help="replaces the configuration's source")
    common.add_argument("--verbose", action="store_true", help="log each visit")
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser(
        "run", parents=[common], help="count people and publish until the source ends"
    )
    runs.add_argument(
        "--stdout",
        action="store_true",
        help="print messages as JSON lines instead of using a broker; keeps nothing on disk",
    )
    commands.add_parser(
        "check", parents=[common], help="prove configuration, model, camera and broker"
    )
    commands.add_parser(
        "forget",
        parents=[common],
        help="take the device away from the broker and from Home Assistant; counts stay on disk",
    )
    return parser.parse_args(argv)


def run(load: Callable[[], Config], to_stdout: bool) -> int:
    """Count until the source ends or a signal comes; SIGHUP has the configuration read again."""

    def reread() -> Config:
        fresh = load()
        build.prove(fresh)
        return fresh

    config: Config | None = load()
    orders = Orders(reread)
    while config is not None:
        count(config, orders, to_stdout)
        config = orders.successor()
    return 0


def count(config: Config, orders: Orders, to_stdout: bool) -> None:
    """Count with one configuration, until the source ends or `orders` say so."""
    recorded = Path(config.source).exists()

    def stopped() -> bool:
        # a recording is counted to its end, and not from its beginning again
        return orders.ended if recorded else orders.stopped()

    cv2.setNumThreads(config.detector.threads)
    models = build.models(config)
    messages = build.messages(
        config, models, legacy_ids=not to_stdout and build.has_legacy_ids(config)
    )
    frames = build.frames(config, stopped)
    wake = threading.Event()
    health = Health()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(frames))
        outbox = build.outbox(None if to_stdout else config.state_dir, config.outbox)
        stack.callback(outbox.close)
        publisher = (
            JsonLinesPublisher() if to_stdout else build.mqtt_publisher(config, messages, wake.set)
        )
        stack.callback(publisher.close, messages.availability("stopped"))
        courier = Courier(outbox, publisher, wake)
        stack.callback(_deliver_rest, courier, "lost" if to_stdout else "kept in the outbox")
        reporter = Reporter(
            messages=messages,
            outbox=outbox,
            publisher=publisher,
            courier=courier,
            health=health,
            health_seconds=config.health.seconds,
            # a recording's times come from its file, not from this machine's clock
            time_synced=lambda: not recorded and clock_synced(),
        )
        stack.callback(reporter.close)
        stack.callback(lambda: systemd.notify("RELOADING=1" if orders.reloading else "STOPPING=1"))
        pipeline = build.pipeline(
            config,
            models,
            health,
            on_window=reporter.window,
            on_frame=reporter.frame,
            on_blind=reporter.blind,
        )
        reporter.open(build.info(config, models))
        pipeline.run(itertools.takewhile(lambda _: not stopped(), frames))


def _deliver_rest(courier: Courier, otherwise: str) -> None:
    left = courier.close(DELIVERY_WAIT_S)
    if left:
        windows = "1 window" if left == 1 else f"{left} windows"
        log.warning("%s not delivered; %s", windows, otherwise)


def forget(config: Config) -> int:
    """Remove the device's retained messages, after the daemon was stopped for good."""
    legacy_ids = build.has_legacy_ids(config)
    messages = build.messages(config, legacy_ids=legacy_ids)
    probe(
        build.broker(config),
        messages.forgotten(),
        # a broker's rules may grant the one in use alone
        optional=[(message, message) for message in messages.forgotten_ids()],
    )
    build.drop_legacy_ids(config)
    print(f"forgotten: {config.site}/{config.device} on {config.mqtt.host}:{config.mqtt.port}")
    return 0


def check(config: Config, path: Path) -> int:
    """Prove each part, a line each on stdout; 0 where all are well, else 2."""
    settings = config.classifier
    cv2.setNumThreads(config.detector.threads)

    def model() -> str:
        classifier = build.classifier(config)
        if classifier is None:
            return "gender: off"
        opened = f"{settings.model}: {classifier.card.id} on {classifier.runtime}"
        if not settings.age or settings.separate_ages:
            return opened
        return f"{opened}, for {'gender and age' if settings.gender else 'age alone'}"

    def ages() -> str:
        classifier = build.age_classifier(config)
        assert classifier is not None  # nobody asks otherwise
        return f"{settings.separate_ages}: {classifier.card.id} on {classifier.runtime}"

    def faces() -> str:
        build.detector(config)
        return f"{config.detector.judge}: BlazeFace"

    def camera() -> str:
        if build.rests(config):
            return f"{'paused' if config.paused else 'rests'}: it is not opened"
        with contextlib.closing(build.frames(config, heal=False)) as frames:
            first = next(frame for frame in frames if isinstance(frame, Frame))
            width, height = first.image.shape[1::-1]
        return f"{shown_source(config.source)}: {width} x {height}"

    def broker() -> str:
        models = build.Models()
        with contextlib.suppress(EdgeError):  # told above
            models = build.models(config)
        made = build.messages(config, models, legacy_ids=build.has_legacy_ids(config))
        needed = made.check()
        optional = [made.info(build.info(config, models)), *made.discovery(edge.__version__)]
        there = build.broker(config)
        found = probe(
            there,
            needed,
            optional=[(made.blank(message), message) for message in optional],
            will=needed[0],
            birth_topic=build.birth_topic(config),
        )
        warnings.extend(f"{there.where}: {warning}" for warning in found.warnings)
        return f"{there.where}: speaks MQTT {found.version}, takes our topics"

    def state() -> None:  # nothing to tell where all is well
        build.prove_state_dir(config.state_dir)

    failed, warnings = False, list[str]()
    print(f"ok    config  {path}: site {config.site}, device {config.device}")
    parts: list[tuple[str, Callable[[], str | None]]] = [
        ("model", model),
        ("faces", faces),
        ("state", state),
        ("camera", camera),
        ("broker", broker),
    ]
    if settings.separate_ages:
        parts.insert(1, ("ages", ages))
    for name, prove in parts:
        try:
            if told := prove():
                print(f"ok    {name:<6}  {told}")
            for warning in warnings:
                print(f"warn  {name:<6}  {warning}")
            warnings.clear()
        except EdgeError as error:
            failed = True
            print(f"FAIL  {name:<6}  {str(error).removeprefix(f'{name} ')}")
    return ConfigError.exit_code if failed else 0


def leave(code: int) -> NoReturn:
    """End the process, even where a camera's driver hangs: Python would wait, or abort."""
    if any(thread.name == THREAD for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
