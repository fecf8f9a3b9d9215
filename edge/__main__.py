"""Command line of the daemon: builds the parts, runs them, ends with the right exit code."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

import edge
from edge import build, systemd
from edge.config import Config, load_config
from edge.deliver import Courier
from edge.errors import ConfigError, EdgeError
from edge.health import Health, clock_synced
from edge.pipeline import Pipeline
from edge.publish import JsonLinesPublisher, probe
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
    overrides = {"source": args.source} if args.source else {}
    try:
        config = load_config(args.config, **overrides)
        cv2.setNumThreads(config.detector.threads)
        return check(config, args.config) if args.command == "check" else run(config, args.stdout)
    except EdgeError as error:
        log.error("%s", error)
        return error.exit_code


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m edge", description="Anonymous audience counter."
    )
    parser.add_argument("--version", action="version", version=f"edge-tally {edge.__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE")
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
    return parser.parse_args(argv)


def run(config: Config, to_stdout: bool) -> int:
    """Count until the source ends or a signal comes."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    classifier = build.classifier(config)
    messages = build.messages(config, classifier.card.id)
    frames = build.frames(config, stop.is_set)
    outbox = build.outbox(None if to_stdout else config.state_dir)
    wake = threading.Event()
    publisher = (
        JsonLinesPublisher() if to_stdout else build.mqtt_publisher(config, messages, wake.set)
    )
    courier = Courier(outbox, publisher, wake)
    health = Health()
    recorded = Path(config.source).exists()
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
    pipeline = Pipeline(
        detect=build.detector(config),
        tracker=build.tracker(config),
        classify=classifier,
        counter=build.counter(config),
        health=health,
        on_window=reporter.window,
        on_frame=reporter.frame,
    )
    try:
        reporter.open(build.info(config, classifier))
        pipeline.run(_until(frames, stop.is_set))
    finally:
        systemd.notify("STOPPING=1")
        left = courier.close(DELIVERY_WAIT_S)
        if left:
            windows = "1 window" if left == 1 else f"{left} windows"
            log.warning("%s not delivered yet; kept in the outbox", windows)
        publisher.close(messages.availability("stopped"))
        outbox.close()
    return 0


def _until(frames: Iterator[Frame], stopped: Callable[[], bool]) -> Iterator[Frame]:
    for frame in frames:
        if stopped():
            return
        yield frame


def check(config: Config, path: Path) -> int:
    """Prove each part, a line each on stdout; 0 where all are well, else 2."""

    def model() -> str:
        classifier = build.classifier(config)
        return f"{config.classifier.model}: {classifier.card.id} on {classifier.runtime}"

    def camera() -> str:
        frames = build.frames(config)
        frame = next(frames)
        frames.close()  # type: ignore[attr-defined]  # every source is a generator
        width, height = frame.image.shape[1::-1]
        return f"{config.source}: {width} x {height}"

    def broker() -> str:
        probe(build.broker(config))
        return f"{config.mqtt.host}:{config.mqtt.port}: answers"

    failed = False
    print(f"ok    config  {path}: site {config.site}, device {config.device}")
    for name, prove in (("model", model), ("camera", camera), ("broker", broker)):
        try:
            print(f"ok    {name:<6}  {prove()}")
        except EdgeError as error:
            failed = True
            print(f"FAIL  {name:<6}  {error}")
    return ConfigError.exit_code if failed else 0


if __name__ == "__main__":
    sys.exit(main())
