"""A process of simulated devices: the daemon's own delivery, without a camera.

Each device has its outbox on disk, courier, publisher and reporter, built by the daemon's wiring.
Only the frames, and the people in them, are made up.
"""

import concurrent.futures
import contextlib
import heapq
import logging
import random
import resource
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from edge import wiring
from edge.config import Config, load_config
from edge.delivery.courier import Courier
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.health import Health
from edge.reporter import Reporter
from edge.types import AckResult, Frame, Message, People, Window

PER_PROCESS = 125
"""Devices in one process, at most. Each has seven open files, and the daemon waits for its socket
with select(), which takes no descriptor above 1023."""
NAME = "brokers.test"
"""The name that stands for all addresses of the brokers."""
PICTURE = np.zeros((9, 16, 3), np.uint8)


@dataclass(frozen=True)
class Plan:
    """What one process does."""

    folder: Path
    first: int
    number: int
    """Devices `first` up to, not including, `first + number`."""
    addresses: tuple[str, ...]
    port: int
    every_s: float
    """Seconds that a window lasts."""
    keepalive: int
    version: str
    resolve: bool = True
    """Whether `NAME` is resolved here; otherwise by the system."""
    log_level: str = "ERROR"


@dataclass
class Record:
    """What happened to one device's windows; times are monotonic, the same in all processes."""

    made: list[float] = field(default_factory=list)
    """When each was made, by its number, from 1 on."""
    acknowledged: dict[int, float] = field(default_factory=dict)
    """When the broker had taken it, by its number."""
    connects: int = 0


@dataclass
class Report:
    """What a process measured."""

    records: dict[str, Record]
    cpu_s: float
    memory_mb: float


class TimedPublisher:
    """The daemon's publisher; notes when windows are acknowledged."""

    def __init__(self, publisher: MqttPublisher, record: Record) -> None:
        self._publisher, self._record = publisher, record

    @property
    def capacity(self) -> int:
        return self._publisher.capacity

    @property
    def paused_topics(self) -> frozenset[str]:
        return self._publisher.paused_topics

    def publish(self, message: Message) -> None:
        self._publisher.publish(message)

    def poll(self) -> AckResult:
        settled, now = self._publisher.poll(), time.monotonic()
        for key in settled.delivered:
            self._record.acknowledged.setdefault(key, now)
        return settled

    def status(self) -> dict[str, Any]:
        return self._publisher.status()


class Device:
    """The daemon behind the camera."""

    def __init__(self, config: Config, stack: contextlib.ExitStack) -> None:
        self.record, self._every_s, self._frames = Record(), config.window.seconds, 0
        self._health, wake = Health(), threading.Event()
        self.outbox = wiring.outbox(config.state_dir, config.outbox)
        stack.callback(self.outbox.close)
        messages = wiring.messages(config)
        self.publisher = wiring.mqtt_publisher(config, messages, wake.set)
        self._stopped = messages.availability("stopped")
        timed = TimedPublisher(self.publisher, self.record)
        self._courier = Courier(self.outbox, timed, wake)
        self._reporter = Reporter(
            messages=messages, outbox=self.outbox, publisher=timed, courier=self._courier,
            health=self._health, health_seconds=config.health.seconds, time_synced=lambda: True,
        )  # fmt: skip
        self._reporter.open(wiring.info(config, wiring.Models()))

    def count(self) -> None:
        """Make a window that ends now."""
        mono, utc = time.monotonic(), time.time()
        self._frames += 1
        self._reporter.on_frame(Frame(self._frames, mono, utc, PICTURE, PICTURE[:, :, 0]), [])
        people = People(*random.choices(range(6), k=3))
        self.record.made.append(mono)
        self._reporter.on_window(
            Window(
                start=utc - self._every_s, end=utc, seconds=self._every_s, people=people,
                broken_down=people.total >= 3, dwell_mean=4.2 if people.total else None,
                dwell_bins=(people.total, 0, 0, 0, 0), presence_peak=2, presence_mean=0.4,
                coverage=1.0,
            )
        )  # fmt: skip

    def close(self) -> None:
        self._courier.close(0)
        self.record.connects = self.publisher.status()["connects"]
        self.publisher.close(self._stopped)


def run(plan: Plan, pipe: Connection) -> None:
    """Make windows until the parent says `stop`; send a `Report` at `end`.

    The parent may ask for the `state` at any time: windows in the outboxes, devices connected.
    """
    logging.basicConfig(
        level=plan.log_level, format="%(relativeCreated)d %(threadName)s %(message)s"
    )
    if plan.resolve:
        answer_for(NAME, plan.addresses)
    with contextlib.ExitStack() as stack:
        devices = [Device(config, stack) for config in _configs(plan)]
        start = time.monotonic()
        due = [(start + random.uniform(0, plan.every_s), n) for n in range(len(devices))]
        heapq.heapify(due)
        command = ""
        while command != "end":
            wait_s = max(0.0, due[0][0] - time.monotonic()) if due else 1.0
            command = pipe.recv() if pipe.poll(wait_s) else ""
            if command == "stop":
                due = []
            elif command == "state":
                kept = sum(len(device.outbox) for device in devices)
                pipe.send((kept, sum(device.publisher.connected for device in devices)))
            elif due and due[0][0] <= time.monotonic():
                at, number = heapq.heappop(due)
                devices[number].count()
                heapq.heappush(
                    due, (max(at + plan.every_s, time.monotonic() - plan.every_s), number)
                )
        with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(Device.close, devices))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        records = {name_of(plan.first + n): device.record for n, device in enumerate(devices)}
        pipe.send(Report(records, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))


def name_of(number: int) -> str:
    return f"cam-{number}"


def _configs(plan: Plan) -> list[Config]:
    """The configurations of the process's devices."""
    text = "{site: fleet, device: cam, state_dir: state, source: demo, classifier: {gender: off}}"
    file = plan.folder / f"config-{plan.first}.yaml"
    file.write_text(text)
    base = load_config(file)
    mqtt = base.mqtt.model_copy(
        update={
            "host": NAME if len(plan.addresses) > 1 else plan.addresses[0],
            "port": plan.port,
            "keepalive": plan.keepalive,
            "version": plan.version,
        }
    )
    window = base.window.model_copy(update={"seconds": plan.every_s})
    return [
        base.model_copy(
            update={
                "device": name_of(number),
                "state_dir": plan.folder / name_of(number),
                "mqtt": mqtt,
                "window": window,
            }
        )
        for number in range(plan.first, plan.first + plan.number)
    ]


def answer_for(name: str, addresses: Sequence[str]) -> None:
    """Resolve `name` in this process, always in this order, as a resolver that sorts would."""
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **keys: Any) -> Any:
        if host != name:
            return system(host, *args, **keys)
        return [found for address in addresses for found in system(address, *args, **keys)]

    socket.getaddrinfo = getaddrinfo
