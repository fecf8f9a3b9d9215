"""How fast is mosquitto while windows wait for a collector, and what does its death lose?

    python -m tests.fleet.backlog

For each way of saving, windows are published to a broker whose only subscriber is away. Then the
broker is killed (SIGKILL) and started again, and the subscriber gets what it still has. Prints a
table; `lost` are windows that were acknowledged: no device has them any more.
"""

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.fleet.brokers import Mosquitto
from tests.fleet.recorder import Recorder
from tests.support.published import window

WAYS = {
    "on changes, 1": "autosave_on_changes true\nautosave_interval 1\n",
    "on changes, 10": "autosave_on_changes true\nautosave_interval 10\n",
    "on changes, 100": "autosave_on_changes true\nautosave_interval 100\n",
    "every 1 s": "autosave_on_changes false\nautosave_interval 1\n",
    "every 10 s": "autosave_on_changes false\nautosave_interval 10\n",
    "every 60 s": "autosave_on_changes false\nautosave_interval 60\n",
}
IN_FLIGHT = 20
"""As a device."""
ARRIVE_S = 60.0
ROW = "| {:<15} | {:>16} | {:>16} | {:>10} | {:>9} | {:>6} |"


class Publisher:
    """Publishes windows and counts acknowledgements."""

    def __init__(self, port: int) -> None:
        self.acknowledged = 0
        self._slots = threading.Semaphore(IN_FLIGHT)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="devices")
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_publish = self._on_publish
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_publish(self, *_: object) -> None:
        self.acknowledged += 1
        self._slots.release()

    def publish(self, first: int, number: int) -> float:
        """Publish windows from the number `first` on; return how many a second are acknowledged."""
        start = time.monotonic()
        for seq in range(first, first + number):
            self._slots.acquire()
            message = window(seq, start + 60 * seq)
            self._client.publish(message.topic, message.payload, 1)
        while self.acknowledged < first + number - 1:
            time.sleep(0.001)
        return number / (time.monotonic() - start)

    def close(self) -> None:
        self._client.loop_stop()


@dataclass(frozen=True)
class Result:
    """What one way of saving did."""

    first_rate: float
    """Windows a second, while few were waiting."""
    last_rate: float
    """The same, when almost all were."""
    written_mb: float
    memory_mb: float
    lost: int


def measure(folder: Path, rules: str, backlog: int) -> Result:
    """Let `backlog` windows wait at a broker, and kill it."""
    broker = Mosquitto(folder, rules)
    (node,) = broker.nodes
    node.start()
    node.wait_ready()
    recorder = Recorder(["127.0.0.1"], broker.port)
    recorder.leave()
    time.sleep(1)
    publisher = Publisher(broker.port)
    part = backlog // 4
    rates = [publisher.publish(1 + number * part, part) for number in range(4)]
    written_mb = node.written_mb()
    node.measure()
    node.kill()
    publisher.close()
    node.start()
    node.wait_ready()
    recorder.come_back()
    began = time.monotonic()
    while len(recorder.copies) < publisher.acknowledged and time.monotonic() < began + ARRIVE_S:
        if time.monotonic() - max(recorder.newest_at, began) > 5:
            break
        time.sleep(0.05)
    recorder.close()
    node.kill()
    lost = publisher.acknowledged - len(recorder.copies)
    return Result(rates[0], rates[-1], written_mb, node.memory_mb, lost)


def main() -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.fleet.backlog",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--windows", type=int, default=2000, help="how many wait at last (2000)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY")
    args = parser.parse_args()
    print(
        ROW.format(
            "saved", "first quarter, /s", "last quarter, /s", "MB written", "memory MB", "lost"
        )
    )
    print(ROW.format(*["---"] * 6))
    for way in args.ways:
        with tempfile.TemporaryDirectory(prefix="edge-tally-backlog-") as folder:
            result = measure(Path(folder), WAYS[way], args.windows)
        rates = f"{result.first_rate:.0f}", f"{result.last_rate:.0f}"
        sizes = f"{result.written_mb:.0f}", f"{result.memory_mb:.0f}"
        print(ROW.format(way, *rates, *sizes, result.lost), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
