"""The dashboard as its user starts it, and devices that publish to it."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.types import Message
from tests.support import preloaded
from tests.support.broker import Mosquitto
from tests.support.commands import wait_for
from tests.support.paths import ROOT

HOUR_NOW = datetime.now(UTC).hour
NOON = f"Etc/GMT{HOUR_NOW - 12:+d}" if HOUR_NOW != 12 else "UTC"
"""The time zone in which it is noon now: a test does not run past midnight there."""


@dataclass
class Dashboard:
    """The program, its page and its database."""

    folder: Path
    broker_url: str
    options: tuple[str, ...] = ()
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    file: Path = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.file, self.log = self.folder / "tally.db", self.folder / "dashboard.log"

    def start(self) -> None:
        self.log.write_bytes(b"")
        with self.log.open("wb") as log:
            self.process = preloaded.Popen(
                [
                    sys.executable, "tools/dashboard.py", "--broker", self.broker_url,
                    "--store", str(self.file), "--listen", "127.0.0.1:0", "--timezone", NOON,
                    *self.options,
                ],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        last = "store  " if "--no-page" in self.options else "page  "
        wait_for(lambda: last in self.log.read_text() or self._has_ended(), f"no {last}")
        if "--no-page" in self.options:
            return
        found = re.search(r"page +(\S+)", self.log.read_text())
        assert found, self.log.read_text()
        self.url = found[1]

    def _has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> int:
        """Its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def publisher(broker: Mosquitto, in_flight: int = 1) -> Iterator[mqtt.Client]:
    """With more than one `in_flight` the broker might get them in another order."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(in_flight)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def publish(broker: Mosquitto, *messages: Message) -> None:
    """As devices do; returns once the broker has them."""
    with publisher(broker) as client:
        for message in messages:
            sent = client.publish(message.topic, message.payload, 1, message.retain)
            sent.wait_for_publish(20)


def publish_fast(broker: Mosquitto, messages: Iterable[Message]) -> None:
    """The same of many topics, in any order."""
    with publisher(broker, in_flight=500) as client:
        sent = [client.publish(m.topic, m.payload, 1, m.retain) for m in messages]
        for each in sent:
            each.wait_for_publish(20)


def retained(device: str, kind: str, value: dict[str, Any] | str, site: str = "store-7") -> Message:
    """What the broker keeps of a device; an empty text removes it."""
    payload = value if isinstance(value, str) else json.dumps(value)
    return Message(f"tally/v1/{site}/{device}/{kind}", payload, qos=1, retain=True)


def minute(ago: int = 0) -> float:
    """The minute that ended so many minutes ago, seconds since 1970."""
    return time.time() // 60 * 60 - 60 * ago
