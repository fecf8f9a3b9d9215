"""A year of ten devices, and how long the dashboard's first view of it takes. Run by hand.

python -m tests.system.dashboard_year build/year.db
python -m tests.system.dashboard_year build/year.db --devices 2 --days 30
python -m tests.system.dashboard_year build/hours.db --minutes 15    # as many hours, sooner
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from edge.delivery.messages import iso
from tests.support.chromium import open_chromium
from tests.support.commands import wait_for
from tests.support.published import window
from tools.collection.database import Database
from tools.collection.published import PublishedWindow, read_window
from tools.collection.store import Store

BATCH = 1440
"""Windows kept in one transaction."""
TIMES = 10
SHOWN = "return document.querySelectorAll('#time .hit').length && !!heat"
"""Whether the page shows its numbers and both charts."""


def windows(
    device: str, start: int, days: int, minutes: int
) -> Iterator[tuple[PublishedWindow, str]]:
    """A window for so many minutes, with 0 to 9 people between nine and eight o'clock."""
    chance = random.Random(device)
    template = json.loads(window(1, 0, ages=(0, 0, 1, 0, 4, 0, 0, 0, 1)).payload)
    ever = 0
    for number in range(days * 1440 // minutes):
        end = start + 60 * minutes * (number + 1)
        hour = number * minutes // 60 % 24
        women, men, unknown = (chance.randint(0, 3) if 9 <= hour < 20 else 0 for _ in range(3))
        total = women + men + unknown
        ever += total
        people = {"total": total, "female": women, "male": men, "unknown": unknown}
        few = 0 < total < 3
        template |= {
            "id": f"{device}:6f0c2a7e:{number + 1}", "device": device, "seq": number + 1,
            "window": {
                "start": iso(end - 60 * minutes), "end": iso(end), "seconds": 60.0 * minutes,
            },
            "people": {"total": total} if few else people,
            "totals": people | {"total": ever},
        }  # fmt: skip
        template["ages"] = {**template["ages"], "8-13": 0, "21-35": total, "unknown": 0}
        payload = json.dumps(template, separators=(",", ":"))
        yield read_window(payload), payload


def fill(file: Path, devices: int, days: int, minutes: int) -> None:
    store = Store(Database(str(file)))
    start = int(time.time()) // 86400 * 86400 - 86400 * (days - 1)
    begin = time.monotonic()
    for number in range(devices):
        batch = []
        for each in windows(f"device-{number}", start, days, minutes):
            batch.append(each)
            if len(batch) == BATCH:
                store.save(batch)
                batch = []
        store.save(batch)
        count = (number + 1) * (days * 1440 // minutes)
        print(f"{count} windows after {time.monotonic() - begin:.0f} s", flush=True)


def measure(file: Path) -> None:
    command = [sys.executable, "tools/dashboard.py", "--broker", "mqtt://127.0.0.1:1"]
    command += ["--store", str(file), "--listen", "127.0.0.1:8339", "--timezone", "UTC"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        program.stdout.readline(), program.stdout.readline()
        url = "http://127.0.0.1:8339"
        today = time.strftime("%Y-%m-%d", time.gmtime())
        week, year = (
            time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400 * days)) for days in (6, 364)
        )
        try:
            for name, paths in {
                "first view": ("/", "/api/overview", "/api/heat"),
                "7 days": (f"/api/overview?from={week}&to={today}", f"/api/heat?from={week}"),
                "365 days": tuple(
                    f"/api/{name}?from={year}&to={today}" for name in ("overview", "heat")
                ),
                "a year as CSV": (f"/api/hours.csv?from={year}&to={today}",),
            }.items():
                took = []
                for _ in range(TIMES):
                    begin = time.monotonic()
                    size = sum(len(urllib.request.urlopen(url + path).read()) for path in paths)
                    took.append(time.monotonic() - begin)
                median = statistics.median(took)
                print(f"{name}: first {took[0]:.3f} s, median {median:.3f} s, {size} bytes")
            measure_browser(url)
        finally:
            program.terminate()


def measure_browser(url: str) -> None:
    """Until Chromium shows the numbers of the first view."""
    driver = open_chromium("--window-size=1280,900")
    try:
        took = []
        for _ in range(TIMES):
            driver.get("about:blank")
            begin = time.monotonic()
            driver.get(url)
            wait_for(lambda: driver.execute_script(SHOWN), "the page stays empty")
            took.append(time.monotonic() - begin)
        print(f"in Chromium: first {took[0]:.3f} s, median {statistics.median(took):.3f} s")
    finally:
        driver.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--minutes", type=int, default=1, help="of a window")
    args = parser.parse_args()
    if not args.file.exists():
        fill(args.file, args.devices, args.days, args.minutes)
    measure(args.file)


if __name__ == "__main__":
    main()
