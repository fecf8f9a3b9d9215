"""How fast collectors are, and what is lost when one is killed. Run by hand.

Starts mosquitto, PostgreSQL, which syncs to disk, and two collectors, one of them standing by.

python -m tests.system.collector_load                    # 167 windows a second, then a kill
python -m tests.system.collector_load --backlog 20000    # what waited at the broker
python -m tests.system.collector_load --million          # a site and a day from a million windows
"""

import argparse
import bisect
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.messages import iso
from tests.support.broker import Mosquitto
from tests.support.commands import wait_for
from tests.support.paths import ROOT
from tests.support.postgres import postgres_server
from tests.support.published import window
from tools.collection.database import Database
from tools.collection.hourly import Sums
from tools.collection.published import read_window
from tools.collection.store import Store

SITES = 20
HOUR_S = 3600
PEOPLE = 6
"""In each window."""
POLL_S = 0.02
COMPLETE_S = 120
QUEUE = "max_queued_messages 100000\n"


class Fleet:
    """Devices that publish a window a minute, all of them beginning at a whole hour."""

    def __init__(self, devices: int, start: int) -> None:
        self.start = start
        self.names = [(f"site-{n % SITES}", f"device-{n}") for n in range(devices)]
        self._template = json.loads(window(1, 0).payload)

    def message(self, number: int) -> tuple[str, str]:
        """Topic and payload: first the first window of each device, then the second ones."""
        round_, index = divmod(number, len(self.names))
        site, device = self.names[index]
        end = self.start + 60 * (round_ + 1)
        payload = self._template | {
            "id": f"{device}:6f0c2a7e:{round_ + 1}", "site": site, "device": device,
            "seq": round_ + 1,
            "totals": self._template["totals"] | {"total": PEOPLE * (round_ + 1)},
            "window": {"start": iso(end - 60), "end": iso(end), "seconds": 60.0},
        }  # fmt: skip
        return f"tally/v1/{site}/{device}/window", json.dumps(payload, separators=(",", ":"))


class Collectors:
    """The program, started as its users do."""

    def __init__(self, folder: Path, port: int, store: str) -> None:
        self._folder, self._port, self._store = folder, port, store
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> None:
        log = (self._folder / f"collector-{len(self.processes)}.log").open("wb")
        self.processes.append(subprocess.Popen(
            [sys.executable, "tools/dashboard.py", "--broker", f"mqtt://127.0.0.1:{self._port}",
             "--store", self._store, "--no-page", "--timezone", "UTC", *options],
            cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)},
        ))  # fmt: skip
        log.close()

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(30)


class Kept:
    """How many windows the store has, and when it had them."""

    def __init__(self, store: str, before: int) -> None:
        self._database, self._before = Database(store), before
        self._moments: list[float] = []
        self._counts: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)

    def now(self) -> int:
        with self._database.reading() as connection:
            (number,) = connection.execute("SELECT SUM(last - first + 1) FROM runs").fetchone()
        return int(number or 0) - self._before

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._counts.append(self.now())
            self._moments.append(time.monotonic())
            self._ended.wait(POLL_S)

    def __enter__(self) -> "Kept":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def ages(self, published: Sequence[float]) -> list[float]:
        """From being published to being in the store, seconds, at most `POLL_S` too long."""
        return [
            self._moments[bisect.bisect_left(self._counts, number)] - moment
            for number, moment in enumerate(published, 1)
        ]


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[Mosquitto]:
    started = Mosquitto(folder, rules=QUEUE, autosave="autosave_interval 60\n")
    started.start()
    try:
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def publisher(port: int) -> Iterator[mqtt.Client]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: mqtt.Client, fleet: Fleet, numbers: range, rate: float) -> list[float]:
    """When each was published; `rate` in windows a second, 0 for as fast as possible."""
    begin, moments = time.monotonic(), []
    for count, number in enumerate(numbers):
        if rate:
            time.sleep(max(0.0, begin + count / rate - time.monotonic()))
        moments.append(time.monotonic())
        info = client.publish(*fleet.message(number), qos=1)
    info.wait_for_publish(60)
    return moments


def check(store: str, windows: int) -> None:
    with Database(store).reading() as connection:
        number = connection.execute("SELECT COUNT(*) FROM windows").fetchone()[0]
        kept, people = connection.execute("SELECT SUM(windows), SUM(people) FROM hours").fetchone()
    assert (number, kept, people) == (windows, windows, PEOPLE * windows), (number, kept, people)
    print(
        f"  {windows} windows, each once, and in the hours {people} people: none lost, none twice"
    )


def fill(store: str, fleet: Fleet, rounds: int) -> None:
    """The first windows of all devices; those of one device together, so that each hour is added
    up once."""
    kept, begin = Store(Database(store)), time.monotonic()
    with kept.kept_open():
        for index in range(len(fleet.names)):
            numbers = range(index, rounds * len(fleet.names), len(fleet.names))
            texts = [fleet.message(number)[1] for number in numbers]
            kept.save([(read_window(text), text) for text in texts])
    windows = rounds * len(fleet.names)
    if windows:
        print(f"  {windows} windows before, {windows / (time.monotonic() - begin):.0f} a second")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure_live(args: argparse.Namespace, folder: Path, store: str) -> None:
    start = int(time.time()) // HOUR_S * HOUR_S
    fleet = Fleet(args.devices, start)
    before = args.devices * args.before
    fill(store, fleet, args.before)
    with broker(folder) as mosquitto, publisher(mosquitto.port) as client:
        collectors = Collectors(folder, mosquitto.port, store)
        try:
            collectors.start()
            time.sleep(4)  # it has subscribed
            collectors.start()
            live = range(before, before + int(args.rate * args.seconds))
            with Kept(store, before) as kept:
                moments = publish(client, fleet, live, args.rate)
                wait_for(lambda: kept.now() == len(live), "not complete", COMPLETE_S)
                time.sleep(2 * POLL_S)
            ages = kept.ages(moments)
            rate = len(live) / (moments[-1] - moments[0])
            print(
                f"live: {rate:.0f} windows a second of {args.devices} devices, {args.seconds} s; "
                f"in the store after {statistics.median(ages):.3f} s, 99 % after "
                f"{percentile(ages, 0.99):.3f} s, the last after {max(ages):.3f} s"
            )
            check(store, live.stop)
            rest = range(live.stop, live.stop + len(live))
            with Kept(store, live.stop) as kept:
                thread = threading.Thread(target=publish, args=(client, fleet, rest, args.rate))
                begin = time.monotonic()
                thread.start()
                time.sleep(args.seconds / 4)
                collectors.processes[0].kill()
                thread.join()
                wait_for(lambda: kept.now() == len(rest), "not complete", COMPLETE_S)
                time.sleep(2 * POLL_S)
            moments = [begin + n / args.rate for n in range(len(rest))]
            ages = kept.ages(moments)
            print(f"killed: the longest wait of a window for the standby was {max(ages):.1f} s")
            check(store, rest.stop)
        finally:
            collectors.stop()


def measure_backlog(args: argparse.Namespace, folder: Path, store: str) -> None:
    fleet = Fleet(args.devices, int(time.time()) // HOUR_S * HOUR_S)
    with broker(folder) as mosquitto, publisher(mosquitto.port) as client:
        collectors = Collectors(folder, mosquitto.port, store)
        try:
            collectors.start()
            time.sleep(4)  # it has subscribed
            collectors.processes[0].kill()
            publish(client, fleet, range(args.backlog), 0)
            collectors.start()
            kept = Kept(store, 0)
            wait_for(kept.now, "nothing comes", COMPLETE_S)
            begin, first = time.monotonic(), kept.now()
            wait_for(lambda: kept.now() == args.backlog, "not complete", COMPLETE_S)
            rate = (args.backlog - first) / (time.monotonic() - begin)
            print(f"backlog: {args.backlog} windows, {rate:.0f} a second")
            check(store, args.backlog)
        finally:
            collectors.stop()


MILLION = """
INSERT INTO windows SELECT 'site-' || mod(n, ?), 'device-' || n, '6f0c2a7e', m,
    to_char(to_timestamp(? + 60 * (m - 1)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    to_char(to_timestamp(? + 60 * m) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    60, 1, 0, 6, 3, 2, 3, 0.5, 1, 6 * m, 'm@12345678', 6, NULL, ?
FROM generate_series(0, ? - 1) AS n, generate_series(1, ?) AS m
"""
HOURS = f"""
INSERT INTO hours SELECT site, device,
    CAST(extract(epoch FROM CAST(started AS timestamptz)) AS BIGINT) / 3600 * 3600, model,
    COUNT(*), SUM(people), {", ".join(["0"] * (len(Sums._fields) - 2))}
FROM windows GROUP BY 1, 2, 3, 4
"""
SPANS = "INSERT INTO spans SELECT site, device, MIN(started), MAX(ended) FROM windows GROUP BY 1, 2"


def measure_million(args: argparse.Namespace, store: str) -> None:
    """The windows are made by the database itself: it is only read here."""
    rounds = -(-1_000_000 // args.devices)
    start = int(time.time()) // 86400 * 86400 - 86400 * -(-rounds // 1440)
    fleet = Fleet(args.devices, start)
    Store(Database(store))
    with Database(store).writing() as connection:
        constants = (SITES, start, start, fleet.message(0)[1], args.devices, rounds)
        connection.execute(MILLION, constants)
        connection.execute(HOURS)
        connection.execute(SPANS)
        connection.execute("ANALYZE")  # as autovacuum does in time
    kept = Store(Database(store))
    chosen = [name for name in fleet.names if name[0] == "site-7"]
    took, raw = [], []
    query = "SELECT SUM(people) FROM windows WHERE site = ? AND ended > ? AND ended <= ?"
    for _ in range(20):
        begin = time.monotonic()
        people = sum(s.people for s in kept.hours(start, start + 86400, chosen).values())
        took.append(time.monotonic() - begin)
        begin = time.monotonic()
        with Database(store).reading() as connection:
            times = ("site-7", iso(start), iso(start + 86400))
            (same,) = connection.execute(query, times).fetchone()
        raw.append(time.monotonic() - begin)
        assert people == same
    for name, values in (("hours", took), ("windows", raw)):
        first, middle, most = (1000 * f(values) for f in (lambda v: v[0], statistics.median, max))
        print(
            f"a site's day from a million windows, by {name}: first {first:.0f} ms, "
            f"median {middle:.0f} ms, most {most:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--devices", type=int, default=1000)
    add("--before", type=int, default=20, help="windows of each device in the store (%(default)s)")
    add("--rate", type=float, default=167, help="windows a second (%(default)s)")
    add("--seconds", type=int, default=30)
    add("--backlog", type=int, default=0)
    add("--million", action="store_true", help="PostgreSQL alone")
    add("--sqlite", action="store_true", help="a file in place of PostgreSQL")
    args = parser.parse_args()
    if args.million and args.sqlite:
        parser.error("--million is for PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="load"))
    server = contextlib.nullcontext(str(folder / "t.db")) if args.sqlite else postgres_server()
    try:
        with server as store:
            if args.million:
                measure_million(args, store)
            elif args.backlog:
                measure_backlog(args, folder, store)
            else:
                measure_live(args, folder, store)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
