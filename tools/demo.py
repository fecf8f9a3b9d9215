"""Run a broker, the daemon, the dashboard, and a subscriber that prints what it receives.

python tools/demo.py
python tools/demo.py --source clip.mp4
"""

import argparse
import contextlib
import importlib.util
import json
import queue
import shutil
import signal
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.messages import Messages
from edge.errors import EdgeError, SourceError
from edge.sources.demo import CYCLE_S, Scene
from edge.sources.devices import find_camera
from edge.sources.name import redacted_source
from edge.types import People
from edge.vision.model_card import read_card
from tools.cli.exit import run_command
from tools.cli.options import add_sources, named_source
from tools.cli.programs import free_port, running, wait_until_it_listens
from tools.collection.database import Database
from tools.collection.published import read_window
from tools.collection.store import Store
from tools.simulation.past import past
from tools.webpage.calendar import Calendar, open_zone

SITE, DEVICE = "demo", "edge-1"
MODEL = Path("models/gender.tflite")
"""The daemon's default."""
PAST_DAYS = 36
"""How much history the dashboard has, so that there is something to compare with."""


class DemoError(EdgeError):
    """The demo cannot run."""


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run an MQTT broker on loopback; gives its port."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    if program is None:
        raise DemoError("nats-server is not installed; run: make setup")
    port = free_port()
    config = folder / "broker.conf"
    config.write_text(
        f'server_name: demo\nlisten: "127.0.0.1:-1"\n'
        f"jetstream {{ store_dir: {json.dumps(str(folder / 'broker'))} }}\n"
        f'mqtt {{ listen: "127.0.0.1:{port}" }}\n'
    )
    log = folder / "broker.log"
    with running([program, "-c", str(config)], "the broker", log) as process:
        wait_until_it_listens(port, process, "the broker", log)
        yield port


def fill_past(store: Path, model: str) -> None:
    """Give the dashboard weeks that nobody counted."""
    messages = Messages(site=SITE, device=DEVICE, model=model, discovery_prefix=None)
    now = time.time()
    windows = past(messages, now - PAST_DAYS * 86400, now)
    shift = Calendar(open_zone(None)).shift
    kept = Store(Database(str(store)), min_people=1, shift=shift)
    kept.save((read_window(message.payload), message.payload) for message in windows)


@contextlib.contextmanager
def dashboard(folder: Path, broker_port: int) -> Iterator[str]:
    """Run the dashboard on loopback; gives the address of its page."""
    port = free_port()
    store, log = folder / "tally.db", folder / "dashboard.log"
    fill_past(store, read_card(MODEL).id)
    began = time.strftime("%H:%M")
    command = [
        sys.executable, str(Path(__file__).with_name("dashboard.py")),
        "--broker", f"mqtt://127.0.0.1:{broker_port}", "--store", str(store),
        "--listen", f"127.0.0.1:{port}", "--min-people", "1",
        "--notice", f"A demo: everything before {began} today is made up. Since then it counts.",
    ]  # fmt: skip
    if sys.stdout.isatty():
        command.append("--open")
    with running(command, "the dashboard", log) as process:
        wait_until_it_listens(port, process, "the dashboard", log)
        yield f"http://127.0.0.1:{port}/"


class MessagePrinter:
    """Prints what messages report, beside the truth if the scene is the demo's."""

    def __init__(self, scene: Scene | None) -> None:
        self._scene = scene
        self._started = time.monotonic()
        self._counting = False
        self.windows = 0
        self.messages: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        """Filled by the subscriber's thread, as the broker delivers them."""

    def print_new(self) -> None:
        """Print what has arrived since the last call."""
        while not self.messages.empty():
            message = self.messages.get()
            if message.topic.endswith("/health") and not self._counting:
                # health comes with the first analyzed frame, or earlier if the camera is lost
                self._counting = json.loads(message.payload)["frames"] > 0
                if not self._counting:
                    continue
                elapsed = time.monotonic() - self._started
                print(f"counting  first frame analyzed after {elapsed:.1f} s", flush=True)
                print(f"          one line for each {CYCLE_S:.0f} s from now on", flush=True)
            elif message.topic.endswith("/window"):
                print(self._line(json.loads(message.payload)), flush=True)
                self.windows += 1

    def _line(self, payload: dict[str, Any]) -> str:
        start, end = (_clock(payload["window"][key]) for key in ("start", "end"))
        people = payload["people"]
        counted = _by_label(People(people["female"], people["male"], people["unknown"]))
        line = f"{start} - {end}  counted {counted}"
        seconds = payload["window"]["seconds"]
        if seconds < CYCLE_S:
            line += f"   cut short after {seconds:.1f} s"
        elif self._scene is not None and seconds == CYCLE_S:
            line += f"   really {_by_label(self._scene.people(payload['seq'] - 1))}"
        return f"{line}   in all {payload['totals']['total']}"


def _by_label(people: People) -> str:
    unknown = f", {people.unknown} unknown" if people.unknown else ""
    return f"{people.total} ({people.female} female, {people.male} male{unknown})"


def _clock(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone().strftime("%H:%M:%S")


def run_demo(source: str, windows: int | None, *, page: bool) -> None:
    """Run until Ctrl-C, until this many windows were printed, or until the source ends.

    With `page` the dashboard runs too.
    """
    scene = Scene() if source == "demo" else None
    about = ": people who do not exist walk past, so the true number is known" if scene else ""
    print(f"source    {redacted_source(source)}{about}")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-tally-")))
        port = stack.enter_context(broker(folder))
        topic = f"tally/v1/{SITE}/{DEVICE}/#"
        print(f"broker    127.0.0.1:{port}, topics {topic}")
        print(f"windows   {CYCLE_S:.0f} s each; a person counts in the one in which they leave")
        print("privacy   few people are not withheld here: min_people and min_present are 1, not 3")
        if page:
            address = stack.enter_context(dashboard(folder, port))
            print(f"page      {address}; its past is made up, and says so", flush=True)
        printer = MessagePrinter(scene)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-display")
        client.on_message = lambda _client, _data, message: printer.messages.put(message)
        client.on_connect = lambda c, *_: c.subscribe(topic, qos=1)
        client.connect("127.0.0.1", port)
        client.loop_start()
        stack.callback(client.loop_stop)
        stack.callback(client.disconnect)
        config = folder / "config.yaml"
        settings = {
            "site": SITE,
            "device": DEVICE,
            "source": source,
            # the user learns at once that a camera is lost
            "camera": {"give_up": 0},
            "window": {"seconds": CYCLE_S},
            "privacy": {"min_people": 1, "min_present": 1},
            # NATS speaks no other version
            "mqtt": {
                "host": "127.0.0.1",
                "port": port,
                "version": "3.1.1",
                # the page shows people as they come
                "presence": True,
            },
            "state_dir": str(folder / "state"),
        }
        config.write_text(yaml.safe_dump(settings))
        log = folder / "daemon.log"
        command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
        with running(command, "the daemon", log) as daemon:
            print("starting  the daemon; Ctrl-C ends it", flush=True)
            while not stopped.wait(0.1) and daemon.poll() is None:
                printer.print_new()
                if windows is not None and printer.windows >= windows:
                    break
            failed = daemon.poll()  # None if it still runs, and is stopped below
        if failed:
            raise DemoError(f"the daemon ended with {failed}:\n{log.read_text().strip()}")
        # the daemon's last window may still be on its way
        time.sleep(0.3)
        printer.print_new()
    print("stopped")


def main() -> int:
    parser = argparse.ArgumentParser(description="Show the daemon at work, broker included.")
    add_sources(parser, "default: the first camera, else the demo scene")
    parser.add_argument("--windows", type=int, help="end after this many windows")
    parser.add_argument("--no-page", action="store_true", help="leave the dashboard out")
    args = parser.parse_args()
    # an environment of before the dashboard lacks its libraries
    page = not args.no_page and importlib.util.find_spec("starlette") is not None
    named = named_source(parser, args)
    try:
        source = find_camera() if named is None else named
    except SourceError:
        source = "demo"
    try:
        run_demo(source, args.windows, page=page)
    except EdgeError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
