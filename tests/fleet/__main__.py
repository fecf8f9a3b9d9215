"""Simulate a fleet: many devices, their broker or cluster, and everything that goes wrong with it.

    python -m tests.fleet --devices 20 --faults kill
    python -m tests.fleet --broker cluster --devices 20 --faults kill kill kill kill
    python -m tests.fleet --sizes 20 100 500 1000

Each device is the daemon's own delivery: reporter, outbox on disk, courier and publisher. At most
125 share a process. A recorder with a kept session subscribes with QoS 1. Everything stays on
loopback.

faults, in the order given:
  kill     SIGKILL the broker, or the leader of the cluster
  freeze   SIGSTOP it: connections stay, but nothing answers
  roll     stop and start one node after the other
  outage   SIGKILL all nodes at once
  absence  the recorder is away

Exits with 1 if an acknowledged window is lost or a device still has windows at the end.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge.host import is_loopback
from tests.fleet import simulation
from tests.fleet.brokers import CLUSTER, Brokers, Given, Mosquitto, Nats
from tests.fleet.devices import PER_PROCESS, Plan
from tests.fleet.outcome import Outcome, describe, judge, waits
from tests.fleet.recorder import Recorder

Number = TypeVar("Number", int, float)
MOST_DEVICES = 2000
LONGEST_S = 3600.0
ROW = "| {:>7} | {:>9} | {:>6} | {:>8} | {:>4} | {:>5} | {:>8} | {:>9} | {:>9} |"
HEAD = [
    "devices", "windows/s", "sent", "late, s", "lost", "stuck", "CPU, s", "broker, s", "broker MB",
]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.given and set(args.faults) - {"absence"}:
        parser.error("--given: a broker that this command did not start cannot be killed")
    outcomes, rows = [], [HEAD, ["-" * 3] * len(HEAD)]
    for number in args.sizes or [args.devices]:
        with tempfile.TemporaryDirectory(prefix="edge-tally-fleet-", dir=args.folder) as folder:
            try:
                outcome, row = simulate(args, number, Path(folder))
            except RuntimeError as error:
                print(f"fleet: {error}", file=sys.stderr)
                return 1
        outcomes.append(outcome)
        rows.append(row)
    for row in rows if args.sizes else []:
        print(ROW.format(*row))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def simulate(args: argparse.Namespace, number: int, folder: Path) -> tuple[Outcome, list[str]]:
    """Run one fleet; return what became of its windows, and a row of figures."""
    brokers, addresses = _brokers(args, folder)
    recorder = None
    try:
        for node in brokers.nodes:
            node.start()
        brokers.wait_ready()
        recorder = Recorder(addresses, brokers.port)
        one = Plan(
            folder=folder, first=0, number=number, addresses=addresses, port=brokers.port,
            every_s=args.every, keepalive=args.keepalive, version=args.version,
            resolve=not args.system_resolver, log_level=args.log,
        )  # fmt: skip
        plans = [
            replace(one, first=first, number=min(PER_PROCESS, number - first))
            for first in range(0, number, PER_PROCESS)
        ]
        timing = simulation.Timing(args.calm, args.down, args.drain)
        began = time.process_time()
        run = simulation.run(plans, brokers, recorder, args.faults, timing)
        recorder_s = time.process_time() - began
        recorder.close()
        outcome = judge(run.records, recorder.copies)
        print(f"{args.broker}, {number} devices: {outcome}")
        for fault in run.faults:
            print("  " + describe(fault, waits(run.records, fault)))
        broker_s = sum(node.cpu_s for node in brokers.nodes)
        broker_mb = sum(node.memory_mb for node in brokers.nodes)
        rate = outcome.sent / run.seconds
        print(
            f"  {rate:.1f} windows/s for {run.seconds:.0f} s, {outcome.late_s:.1f} s late at most; "
            f"connects {sum(record.connects for record in run.records.values())}, "
            f"of the recorder {recorder.connects}, sessions lost {recorder.lost_sessions}\n"
            f"  CPU: devices {run.devices_cpu_s:.1f} s, broker {broker_s:.1f} s, "
            f"recorder {recorder_s:.1f} s; "
            f"memory: devices {run.devices_mb:.0f} MB, broker {broker_mb:.0f} MB",
            flush=True,
        )
        row = [
            f"{number}", f"{rate:.1f}", f"{outcome.sent}", f"{outcome.late_s:.1f}",
            f"{outcome.lost}", f"{len(outcome.stuck)}", f"{run.devices_cpu_s:.1f}",
            f"{broker_s:.1f}", f"{broker_mb:.0f}",
        ]  # fmt: skip
        return outcome, row
    finally:
        for node in brokers.nodes:
            node.kill()


def _brokers(args: argparse.Namespace, folder: Path) -> tuple[Brokers, tuple[str, ...]]:
    if args.given:
        host, port = args.given
        return Given(port), (host,)
    if args.broker == "mosquitto":
        rules = f"autosave_on_changes {'true' if args.save_changes else 'false'}\n"
        return Mosquitto(folder, rules + f"autosave_interval {args.save}\n"), CLUSTER[:1]
    addresses = CLUSTER[:1] if args.broker == "nats" else CLUSTER
    return Nats(folder, addresses, args.sync), addresses


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m tests.fleet",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--broker",
        choices=["mosquitto", "nats", "cluster"],
        default="mosquitto",
        help="what to start (mosquitto): one server, or three of NATS",
    )
    add(
        "--given",
        type=_host_and_port,
        metavar="HOST:PORT",
        help="instead: a broker that runs already; no faults but absence",
    )
    add("--devices", type=_up_to(int, MOST_DEVICES), default=20, help="how many (20)")
    add(
        "--sizes",
        type=_up_to(int, MOST_DEVICES),
        nargs="+",
        help="instead: a run for each number of devices, and a table",
    )
    add("--faults", choices=simulation.FAULTS, nargs="*", default=[], help="see above")
    add(
        "--every",
        type=_up_to(float, LONGEST_S),
        default=5.0,
        help="seconds that a window lasts (5)",
    )
    add(
        "--calm",
        type=_up_to(float, LONGEST_S),
        default=30.0,
        help="seconds before the first fault and after each (30)",
    )
    add(
        "--down",
        type=_up_to(float, LONGEST_S),
        default=15.0,
        help="seconds that a fault lasts (15)",
    )
    add(
        "--drain",
        type=_up_to(float, LONGEST_S),
        default=120.0,
        help="seconds until everything must have arrived (120)",
    )
    add("--keepalive", type=_up_to(int, 3600), default=30, help="mqtt.keepalive (30)")
    add("--version", choices=["auto", "5", "3.1.1"], default="auto", help="mqtt.version (auto)")
    add("--save", type=int, default=1, help="mosquitto's autosave_interval (1)")
    add(
        "--save-changes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mosquitto's autosave_on_changes (on): --save counts changes, not seconds",
    )
    add("--sync", default="2m", help="NATS's sync_interval (2m), or `always`")
    add(
        "--system-resolver",
        action="store_true",
        help="resolve the brokers' name, brokers.test, by the system",
    )
    add(
        "--folder",
        type=Path,
        help="where outboxes and brokers keep their files (a temporary folder)",
    )
    add(
        "--log",
        default="ERROR",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="what devices log (ERROR)",
    )
    return parser


def _up_to(kind: Callable[[str], Number], most: float) -> Callable[[str], Number]:
    def number(text: str) -> Number:
        value = kind(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}")
        return value

    return number


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not is_loopback(host):
        raise argparse.ArgumentTypeError("must be HOST:PORT on this machine, as 127.0.0.1:1883")
    return host, int(port)


if __name__ == "__main__":
    sys.exit(main())
