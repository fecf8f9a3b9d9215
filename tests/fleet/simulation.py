"""Devices in processes of their own, a recorder, and faults in turn."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from tests.fleet import devices
from tests.fleet.brokers import Brokers
from tests.fleet.devices import Plan, Record, Report
from tests.fleet.node import Node
from tests.fleet.outcome import Fault
from tests.fleet.recorder import Recorder

CONNECT_S = 300.0
"""Seconds that all devices may take to connect at the start."""
FAULTS = ("kill", "freeze", "roll", "outage", "absence")


@dataclass(frozen=True)
class Timing:
    """How long things take, seconds."""

    calm_s: float
    """Before the first fault, and after each."""
    down_s: float
    """How long a node, or the recorder, is away."""
    drain_s: float
    """How long windows may take to arrive once no more are made."""


class Fleet:
    """Processes of devices."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._processes: list[tuple[BaseProcess, Connection]] = []
        for plan in plans:
            near, far = spawn.Pipe()
            process = spawn.Process(target=devices.run, args=(plan, far), daemon=True)
            process.start()
            far.close()
            self._processes.append((process, near))

    def state(self) -> tuple[int, int]:
        """Return the windows in the outboxes, and the devices connected."""
        self.command("state")
        states = [pipe.recv() for _, pipe in self._processes]
        return sum(kept for kept, _ in states), sum(connected for _, connected in states)

    def command(self, word: str) -> None:
        for _, pipe in self._processes:
            pipe.send(word)

    def end(self) -> list[Report]:
        self.command("end")
        reports = [pipe.recv() for _, pipe in self._processes]
        for process, _ in self._processes:
            process.join(30)
        return reports

    def terminate(self) -> None:
        """End the processes that are still there."""
        for process, _ in self._processes:
            process.terminate()


@dataclass
class Run:
    """What a run measured."""

    records: dict[str, Record]
    faults: list[Fault]
    seconds: float
    """While windows were made."""
    devices_cpu_s: float
    devices_mb: float


def run(
    plans: Sequence[Plan],
    brokers: Brokers,
    recorder: Recorder,
    faults: Sequence[str],
    timing: Timing,
    say: Callable[[str], None] = print,
) -> Run:
    """Let devices make windows while one fault follows the other, and all windows arrive."""
    fleet = Fleet(plans)
    try:
        number = sum(plan.number for plan in plans)
        end = time.monotonic() + CONNECT_S
        while (connected := fleet.state()[1]) < number:
            if time.monotonic() > end:
                raise RuntimeError(f"only {connected} of {number} devices connect")
            time.sleep(0.5)
        start = time.monotonic()
        time.sleep(timing.calm_s)
        happened = []
        for kind in faults:
            happened += _cause(kind, brokers, recorder, timing)
            say(f"{happened[-1].what}: over; windows kept by devices: {fleet.state()[0]}")
            time.sleep(timing.calm_s)
        seconds = time.monotonic() - start
        fleet.command("stop")
        _drain(fleet, recorder, timing.drain_s)
        for node in brokers.nodes:
            node.measure()
        reports = fleet.end()
        records = {name: r for report in reports for name, r in report.records.items()}
        return Run(
            records=records, faults=happened, seconds=seconds,
            devices_cpu_s=sum(report.cpu_s for report in reports),
            devices_mb=sum(report.memory_mb for report in reports),
        )  # fmt: skip
    finally:
        fleet.terminate()


def _drain(fleet: Fleet, recorder: Recorder, longest_s: float) -> None:
    """Wait until outboxes are empty and nothing more arrives."""
    start = time.monotonic()
    while time.monotonic() - start < longest_s:
        quiet_s = time.monotonic() - max(recorder.newest_at, start)
        if fleet.state()[0] == 0 and quiet_s > 5:
            return
        time.sleep(0.5)


def _cause(kind: str, brokers: Brokers, recorder: Recorder, timing: Timing) -> list[Fault]:
    """Cause one fault, or one for each node, and mend it."""
    if kind == "absence":
        began = time.monotonic()
        recorder.leave()
        time.sleep(timing.down_s)
        recorder.come_back()
        return [Fault("recorder away", began, time.monotonic(), moves=True)]
    if kind == "roll":
        return [_fail("stop", [node], brokers, timing) for node in brokers.nodes]
    if kind == "outage":
        return [_fail("kill", brokers.nodes, brokers, timing)]
    return [_fail(kind, [brokers.leader()], brokers, timing)]


def _fail(how: str, nodes: list[Node], brokers: Brokers, timing: Timing) -> Fault:
    began = time.monotonic()
    for node in nodes:
        getattr(node, how)()
    time.sleep(timing.down_s)
    for node in nodes:
        node.thaw() if how == "freeze" else node.start()
    brokers.wait_ready()
    names = " ".join(node.name for node in nodes)
    moves = len(nodes) < len(brokers.nodes)
    return Fault(f"{how} {names}", began, time.monotonic(), moves)
