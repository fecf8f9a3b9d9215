"""Kill the daemon and its broker at random moments, and check that every window arrives.

    python tests/system/storm.py --daemon-kills 20 --broker-kills 10
    python tests/system/storm.py --outage-hours 24
    python tests/system/storm.py --link stalled|cut|lossy
    python tests/system/storm.py --clock

Needs mosquitto. Exits with 1 if a window is lost, or two with the same number differ.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from edge.sources.demo import Scene
from tests.support import preloaded
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for
from tests.support.paths import ROOT
from tests.support.proxy import Proxy

FPS = 10
LONGEST_S = 120.0
YEAR_S = 365 * 86_400


@dataclass(frozen=True)
class Outcome:
    """What happened to the windows of a run."""

    made: int
    arrived: int
    """Distinct windows."""
    lost: int
    differing: int
    """Repeated windows whose content differs."""
    again: int
    """Copies that a consumer drops by (device, epoch, seq)."""
    in_order: bool
    people: int
    """People, summed over the windows."""
    total: int
    """The same according to the last window's totals."""

    @property
    def good(self) -> bool:
        return self.lost == self.differing == 0 and self.people == self.total and self.made > 0

    def __str__(self) -> str:
        verdict = "good" if self.good else "NOT GOOD"
        return (
            f"{verdict}: {self.made} windows made, {self.arrived} arrived, {self.lost} lost, "
            f"{self.differing} differ, {self.again} copies to drop, "
            f"{'in order' if self.in_order else 'out of order'}; people {self.people}, "
            f"totals {self.total}"
        )


def arrived(dashboard: Subscriber) -> list[dict[str, Any]]:
    """Return windows in the order of arrival."""
    return [json.loads(payload) for payload in dashboard.payloads("window")]


def ask(state: Path, query: str) -> Any:
    """Return one value from the outbox in a state folder."""
    with contextlib.closing(sqlite3.connect(state / "outbox.db")) as database:
        (value,) = database.execute(query).fetchone()
    return value


def judge(dashboard: Subscriber, state: Path) -> Outcome:
    """Compare what arrived with what was made."""
    made = int(ask(state, "SELECT seq FROM counters"))
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    differing, in_order, last = 0, True, 0
    windows = arrived(dashboard)
    for window in windows:
        del window["replayed"]
        key = (window["epoch"], window["seq"])
        differing += key in newest and newest[key] != window
        in_order = in_order and window["seq"] <= last + 1
        last = max(last, window["seq"])
        newest[key] = window
    wanted = {(str(ask(state, "SELECT epoch FROM counters")), n + 1) for n in range(made)}
    rows = [newest[key] for key in sorted(newest)]
    return Outcome(
        made=made,
        arrived=len(newest),
        lost=len(wanted - set(newest)),
        differing=differing,
        again=len(windows) - len(newest),
        in_order=in_order,
        people=sum(row["people"]["total"] for row in rows),
        total=rows[-1]["totals"]["total"] if rows else 0,
    )


class Site:
    """A daemon, its broker and a dashboard, each with its own process or client."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        (folder / "broker").mkdir()
        self.broker = Mosquitto(folder / "broker")
        self.broker.start()
        self.dashboard = Subscriber(self.broker.port, "tally/+/+/+/window")
        self._daemon: subprocess.Popen[bytes] | None = None
        config: dict[str, Any] = {
            "site": "storm",
            "device": "cam-1",
            "classifier": {"model": str(ROOT / "models" / "gender.tflite")},
            "state_dir": str(folder / "state"),
            "privacy": {"min_people": 1},
        }
        self._config, self._settings = folder / "config.yaml", config | settings
        self.connect(self.broker.port)
        self.environment: dict[str, str] = {}

    def connect(self, port: int) -> None:
        """Point the daemon's next run at another port, such as a faulty proxy's."""
        self._settings["mqtt"] = {"host": "127.0.0.1", "port": port, "keepalive": 10}
        self._config.write_text(yaml.safe_dump(self._settings))

    def start(self, source: Path | str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "edge", "run", "--config", str(self._config)]
        with (self.folder / "daemon.log").open("ab") as log:
            self._daemon = preloaded.Popen(
                [*command, "--source", str(source)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )
        return self._daemon

    def run(self, clip: Path) -> None:
        """Run a whole clip undisturbed."""
        code = self.start(clip).wait(600)
        assert code == 0, (self.folder / "daemon.log").read_text()

    def kept(self) -> int:
        """Return the number of undelivered windows."""
        return int(ask(self.folder / "state", "SELECT count(*) FROM windows"))

    def windows(self) -> list[dict[str, Any]]:
        return arrived(self.dashboard)

    def outcome(self) -> Outcome:
        """Return the outcome; call it when everything is delivered."""
        return judge(self.dashboard, self.folder / "state")

    def close(self) -> None:
        self.dashboard.close()
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
        self.broker.stop()


def kill_at_random(folder: Path, daemon_kills: int, broker_kills: int, seed: int = 1) -> Outcome:
    """SIGKILL daemon and broker at random while windows are made; return the outcome."""
    chance = random.Random(seed)
    # longer than any run before its kill, even on a fast machine
    clip = people_walk_past(folder / "clip.mp4", seconds=300)
    last_clip = people_walk_past(folder / "last.mp4", seconds=20)
    site = Site(folder, window={"seconds": 1})
    over = threading.Event()
    killed: Counter[str] = Counter()

    def kill_broker() -> None:
        while killed["broker"] < broker_kills and not over.is_set():
            time.sleep(chance.uniform(0.5, 5))
            site.broker.kill()
            killed["broker"] += 1
            time.sleep(chance.uniform(0, 1.5))
            site.broker.start()

    killer = threading.Thread(target=kill_broker)
    killer.start()
    try:
        while killed["daemon"] < daemon_kills or killer.is_alive():
            daemon = site.start(clip)
            time.sleep(chance.uniform(1, 6))
            killed["daemon"] += daemon.poll() is None
            daemon.kill()
            daemon.wait()
        killer.join()
        site.run(last_clip)
        if site.kept():  # the broker came back late
            site.run(last_clip)
        wait_for(lambda: site.outcome().lost == 0, "windows are missing", LONGEST_S)
        print(f"killed: daemon {killed['daemon']} times, broker {killed['broker']} times")
        return site.outcome()
    finally:
        over.set()
        killer.join()
        site.close()


def broker_away(folder: Path, hours: float) -> Outcome:
    """Keep the broker away for `hours` of windows, a minute each; return the outcome."""
    # frames per second: few, but 10 s without one would be a cut; files are read as fast as can be
    rate = 0.125
    clip = nobody(folder / "clip.mp4", frames=round(hours * 3600 * rate) + 1, fps=rate)
    site = Site(folder, window={"seconds": 60}, detector={"width": 64})
    try:
        site.broker.stop()
        site.run(clip)
        kept = site.kept()
        assert kept >= hours * 60 - 1
        site.broker.start()
        daemon = site.start("demo")
        wait_for(lambda: site.kept() == 0, "windows stay in the outbox", LONGEST_S)
        daemon.terminate()
        assert daemon.wait(60) == 0
        wait_for(lambda: site.outcome().lost == 0, "windows are missing", LONGEST_S)
        late = [window["replayed"] for window in site.windows()]
        assert all(late[:kept])
        assert not late[-1]
        return site.outcome()
    finally:
        site.close()


def bad_link(folder: Path, how: str, seconds: float, seed: int = 1) -> Outcome:
    """Send windows over a link that stalls, is cut every few seconds, or loses 30 % of packets.

    The last windows are sent after the link has recovered. Return the outcome.
    """
    chance = random.Random(seed)
    clip = people_walk_past(folder / "clip.mp4", seconds=40)
    site = Site(folder, window={"seconds": 1})
    link = Proxy(site.broker.port, lost=0.3 if how == "lossy" else 0, seed=seed)
    site.connect(link.port)
    end = time.monotonic() + seconds
    daemon = None
    try:
        while time.monotonic() < end:
            if daemon is None or daemon.poll() is not None:
                daemon = site.start(clip)
            time.sleep(chance.uniform(1, 5))
            if how == "stalled":
                link.stalled = True
                time.sleep(chance.uniform(1, 24))
                link.stalled = False
            elif how == "cut":
                link.cut()
        assert daemon is not None
        daemon.wait(60)
        delivered = site.outcome().arrived
        link.lost = 0
        site.run(clip)
        wait_for(lambda: site.outcome().lost == 0, "windows are missing", LONGEST_S)
        print(f"over the bad link: {delivered} windows; MQTT packets lost: {link.dropped}")
        return site.outcome()
    finally:
        link.close()
        site.close()


def clock_jumps(folder: Path) -> Outcome:
    """Set the clock forward and back by years while windows are made; return the outcome."""
    library, clock = folder / "clock.so", folder / "clock"
    compiler = [
        "gcc",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(ROOT / "tests" / "support" / "clock.c"),
        "-ldl",
    ]
    subprocess.run(compiler, check=True)
    clock.write_text("0")
    site = Site(folder, source="demo", window={"seconds": 1}, health={"seconds": 1})
    site.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(clock)}
    try:
        daemon = site.start("demo")
        years = []
        jumps = (0, 12, -25, 3, 0)
        for jump in jumps:
            (folder / "set").write_text(str(jump * YEAR_S))
            (folder / "set").replace(clock)
            before = len(site.windows())
            wait_for(lambda: len(site.windows()) >= before + 5, "no windows", LONGEST_S)  # noqa: B023  # asked at once
            years.append(int(site.windows()[-1]["window"]["end"][:4]) - time.gmtime().tm_year)
        daemon.terminate()
        assert daemon.wait(20) == 0
        wait_for(lambda: site.outcome().lost == 0, "windows are missing", LONGEST_S)
        print(f"years of the windows, from now: {years}")
        assert all(abs(year - jump) <= 1 for year, jump in zip(years, jumps, strict=True))
        lengths = [window["window"]["seconds"] for window in site.windows()]
        print(f"windows last {min(lengths)} to {max(lengths[:-1])} s")
        assert max(lengths) < 3
        return site.outcome()
    finally:
        site.close()


def people_walk_past(path: Path, seconds: float) -> Path:
    """Write the demo's scene as a small video."""
    scene = Scene()
    pictures = (scene.draw(number / FPS) for number in range(round(seconds * FPS)))
    return _video(path, (cv2.resize(picture, (320, 180)) for picture in pictures), FPS)


def nobody(path: Path, frames: int, fps: float) -> Path:
    """Write a video of an empty scene, as small as possible."""
    picture = np.zeros((64, 64, 3), np.uint8)
    return _video(path, (picture for _ in range(frames)), fps)


def _video(path: Path, pictures: Any, fps: float) -> Path:
    first = next(pictures)
    height, width = first.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    writer.write(first)
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def main() -> int:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--daemon-kills", type=int, default=20)
    parser.add_argument("--broker-kills", type=int, default=10)
    parser.add_argument("--outage-hours", type=float, help="instead: hours without the broker")
    parser.add_argument("--link", choices=["stalled", "cut", "lossy"], help="instead: a bad link")
    parser.add_argument("--seconds", type=float, default=60, help="how long the link is bad")
    parser.add_argument("--clock", action="store_true", help="instead: a clock that jumps")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="edge-tally-storm-"))
    try:
        if args.outage_hours:
            outcome = broker_away(folder, args.outage_hours)
        elif args.link:
            outcome = bad_link(folder, args.link, args.seconds, args.seed)
        elif args.clock:
            outcome = clock_jumps(folder)
        else:
            outcome = kill_at_random(folder, args.daemon_kills, args.broker_kills, args.seed)
    finally:
        shutil.rmtree(folder)
    print(outcome)
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
