"""Command line of the daemon: runs a command and ends with its exit code."""

import argparse
import contextlib
import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import cv2

import edge
from edge import sd_notify, wiring
from edge.config import Config, load_config
from edge.delivery.courier import Courier
from edge.delivery.jsonl_publisher import JsonLinesPublisher
from edge.errors import ConfigError, EdgeError
from edge.health import Health
from edge.host import clock_synced
from edge.progress import LogHandler, ProgressLine
from edge.reporter import Reporter
from edge.signals import SignalHandler
from edge.sources.name import is_recorded
from edge.sources.reconnecting import THREAD_NAME
from edge.sources.recordings import length
from edge.summary import Summary
from edge.types import CaptureSettings, Frame, Window

log = logging.getLogger("edge")

SCRIPT = "edge-tally"
"""Name of the console script in pyproject.toml, and of the program in `--version`."""
DELIVERY_WAIT_S = 5.0
"""Seconds to wait for the broker when the program ends; undelivered windows stay in the outbox."""


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 a failure, 2 a mistake in configuration or use."""
    args = _arguments(argv)
    line = ProgressLine(sys.stderr)
    logging.basicConfig(
        handlers=[LogHandler(sys.stderr, line)],
        level=logging.DEBUG if getattr(args, "verbose", False) else logging.INFO,
        format="%(levelname)s %(message)s",
    )
    source = getattr(args, "source", None)
    overrides = {} if source is None else {"source": source}

    def load() -> Config:
        return load_config(args.config, **overrides)

    try:
        if args.command == "enroll":
            from edge.enrollment.command import enroll

            return enroll(args.bundle, args.root, keep=args.keep)
        if args.command == "run":
            return run(load, args.stdout, line)
        if args.command == "aim":
            from edge.aim.command import aim

            return aim(load(), args)
        if args.command == "audit":
            from edge.audit.command import audit

            return audit(load(), args)
        return check(load(), args.config) if args.command == "check" else forget(load())
    except EdgeError as error:
        log.error("%s", error)
        return error.exit_code
    except KeyboardInterrupt:  # these had not started yet; the other commands were cut short
        return 0 if args.command in ("run", "aim", "audit") else EdgeError.exit_code


def _add_options(name: str, command: argparse.ArgumentParser) -> None:
    """Only this command's module is loaded: the daemon should be small."""
    if name == "aim":
        from edge.aim.command import add_options
    elif name == "audit":
        from edge.audit.command import add_options
    else:
        from edge.enrollment.command import add_options
    add_options(command)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_program(), description="Anonymous audience counter.")
    parser.add_argument("--version", action="version", version=f"{SCRIPT} {edge.__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=Path("config.yaml"),
        metavar="FILE",
        help="default: config.yaml in this folder",
    )
    common.add_argument("--source", help="use this source, not the configuration's")
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
        "check",
        parents=[common],
        help="try configuration, models, camera and broker, a line for each",
    )
    commands.add_parser(
        "forget",
        parents=[common],
        help="remove the device from the broker and from Home Assistant; counts stay on disk",
    )
    others = {
        "aim": "serve a page, to this machine alone, to mount the camera and to draw zones",
        "audit": "serve a page to tap who passes, and report how often the counts are wrong",
        "enroll": "install what a bundle of tools/fleet.py holds, and delete the bundle",
    }
    argv = sys.argv[1:] if argv is None else argv
    for name, what in others.items():
        parents = [] if name == "enroll" else [common]
        command = commands.add_parser(name, parents=parents, help=what)
        if name in argv:
            _add_options(name, command)
    return parser.parse_args(argv)


def _program() -> str:
    """The command as the user wrote it: the console script, or the package run by Python."""
    return SCRIPT if Path(sys.argv[0]).name == SCRIPT else "python -m edge"


def run(load: Callable[[], Config], to_stdout: bool, line: ProgressLine) -> int:
    """Count until the source ends or a signal comes; SIGHUP rereads the configuration."""

    def reread() -> Config:
        config = load()
        wiring.validate(config)
        return config

    config: Config | None = load()
    signals = SignalHandler(reread)
    while config is not None:
        count(config, signals, to_stdout, line)
        config = signals.take_config()
    return 0


def count(config: Config, signals: SignalHandler, to_stdout: bool, line: ProgressLine) -> None:
    """Count with one configuration until the source ends or a signal comes.

    For a recording, `line` shows the progress, and a summary of the counts is printed at the end.
    """
    recorded = is_recorded(config.source)

    def stopped() -> bool:
        # rereading the configuration must not start a recording from its beginning again
        return signals.is_ending if recorded else signals.should_stop()

    cv2.setNumThreads(config.detector.threads)
    models = wiring.models(config)
    messages = wiring.messages(
        config, models, legacy_ids=not to_stdout and wiring.has_legacy_ids(config)
    )
    pause = None if to_stdout else wiring.pause_switch(config)
    # after `edge aim` zones may be others, after `edge audit` the result for `info`
    lender = wiring.lender(config, signals.request_reload)
    frames = wiring.frames(config, stopped, pause=pause, lender=lender)
    wake = threading.Event()
    health = Health(config.privacy.min_people)
    summary = Summary(
        window_seconds=config.window.seconds,
        min_people=config.privacy.min_people,
        gender=config.classifier.gender,
        ages=config.classifier.age,
    )
    with contextlib.ExitStack() as stack:
        if recorded:
            stack.callback(_print_summary, summary)
        stack.enter_context(contextlib.closing(frames))
        outbox = wiring.outbox(None if to_stdout else config.state_dir, config.outbox)
        stack.callback(outbox.close)
        publisher = (
            JsonLinesPublisher(around=line.hidden)
            if to_stdout
            else wiring.mqtt_publisher(config, messages, wake.set, pause)
        )
        stack.callback(publisher.close, messages.availability("stopped"))
        courier = Courier(outbox, publisher, wake)
        fate = "lost" if to_stdout else "kept in the outbox"
        stack.callback(_deliver_rest, courier, fate, summary)
        reporter = Reporter(
            messages=messages,
            outbox=outbox,
            publisher=publisher,
            courier=courier,
            health=health,
            health_seconds=config.health.seconds,
            # a recording's times come from its file, not from this machine's clock
            time_synced=lambda: not recorded and clock_synced(),
            presence=wiring.presence(config),
            is_paused=lambda: config.paused or (pause is not None and pause.is_on()),
        )
        stack.callback(reporter.close)
        stack.callback(
            lambda: sd_notify.notify("RELOADING=1" if signals.is_reloading else "STOPPING=1")
        )

        def on_window(window: Window) -> None:
            summary.add(window)
            reporter.on_window(window)

        def on_frame(frame: Frame, tracks: object) -> None:
            reporter.on_frame(frame, tracks)
            if recorded:
                line.update(frame.seq + 1)

        pipeline = wiring.pipeline(
            config,
            models,
            health,
            on_window=on_window,
            on_frame=on_frame,
            on_no_frame=reporter.on_no_frame,
            on_present=reporter.on_present,
        )
        reporter.open(wiring.info(config, models))
        stack.callback(line.end)
        if recorded and line.enabled:
            line.begin(length(config.source, CaptureSettings(fps=config.camera.fps)))
        pipeline.run(itertools.takewhile(lambda _: not stopped(), frames))


def _deliver_rest(courier: Courier, fate: str, summary: Summary) -> None:
    summary.undelivered = number = courier.close(DELIVERY_WAIT_S)
    if number:
        windows = "1 window" if number == 1 else f"{number} windows"
        log.warning("%s not delivered; %s", windows, fate)


def _print_summary(summary: Summary) -> None:
    with contextlib.suppress(OSError):  # stderr was closed by its reader
        for line in summary.lines():
            print(line, file=sys.stderr)


def forget(config: Config) -> int:
    """Remove the device's retained messages, once the daemon has been stopped for good."""
    from edge.delivery.mqtt_probe import probe

    legacy_ids = wiring.has_legacy_ids(config)
    messages = wiring.messages(config, legacy_ids=legacy_ids)
    probe(
        wiring.broker(config),
        messages.forgotten(),
        # the broker's access rules may allow only the topic in use
        optional=[(message, message) for message in messages.forgotten_ids()],
    )
    wiring.drop_legacy_ids(config)
    print(f"forgotten: {config.site}/{config.device} on {config.mqtt.host}:{config.mqtt.port}")
    return 0


def check(config: Config, path: Path) -> int:
    """Probe each part and print a line about it. Returns 0 if all work, otherwise 2."""
    from edge.probes import PROBES

    cv2.setNumThreads(config.detector.threads)
    failed = False
    print(f"ok    config  {path}: site {config.site}, device {config.device}")
    for name, probe_part in PROBES.items():
        try:
            finding = probe_part(config)
        except EdgeError as error:
            failed = True
            print(f"FAIL  {name:<6}  {str(error).removeprefix(f'{name} ')}")
            continue
        if finding.text is not None:
            print(f"ok    {name:<6}  {finding.text}")
        for warning in finding.warnings:
            print(f"warn  {name:<6}  {warning}")
    return ConfigError.exit_code if failed else 0


def leave(code: int) -> NoReturn:
    """End the process, even if a camera's driver hangs: Python would wait, or abort."""
    if any(thread.name == THREAD_NAME for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run_command() -> NoReturn:
    """Run the command line and end the process: the console script `edge-tally`."""
    leave(main())


if __name__ == "__main__":
    run_command()
