"""How soon the dashboard's page shows a fleet, in Chromium. Run by hand.

python -m tests.system.fleet_view
python -m tests.system.fleet_view --devices 3000 --picture fleet.png
"""

import argparse
import json
import random
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from edge.types import Message
from tests.support.broker import Mosquitto
from tests.support.chromium import open_chromium
from tests.support.commands import wait_for
from tests.support.dashboard import Dashboard, publish_fast
from tests.tools.test_dashboard_fleet import FINE, messages

TIMES = 5
ROWS = "return document.querySelectorAll('#fleet-rows tr').length"


def fleet(devices: int) -> list[Message]:
    """Some of them are not well."""
    chance = random.Random(4)
    texts = []
    for number in range(devices):
        health = FINE | {"temperature_c": chance.randint(42, 66)}
        if number % 211 == 17:
            health["camera"] = "lost"
        if number % 173 == 9:
            health["temperature_c"] = 84
        if number % 301 == 7:
            health["outbox"] = 900
        texts += messages(number, health, "1.1.4" if number % 97 == 5 else "1.2.0")
    return texts


def measure(dashboard: Dashboard, devices: int, picture: Path | None) -> None:
    driver = open_chromium("--window-size=1280,860")
    try:
        took = []
        for _ in range(TIMES):
            driver.get("about:blank")
            begin = time.monotonic()
            driver.get(f"{dashboard.url}#fleet")
            wait_for(lambda: driver.execute_script(ROWS) == min(devices, 1000), "not all rows")
            took.append(time.monotonic() - begin)
        print(f"{devices} devices: listed after {statistics.median(took):.2f} s, "
              f"at most {max(took):.2f} s")  # fmt: skip
        if picture is not None:
            driver.save_screenshot(str(picture))
    finally:
        driver.quit()


def first_event(url: str) -> int:
    """Its size, bytes."""
    with urllib.request.urlopen(f"{url}api/events") as answer:
        line = answer.readline()
    json.loads(line.removeprefix(b"data: "))
    return len(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder, autosave="")
        broker.start()
        texts = fleet(args.devices)
        publish_fast(broker, texts)
        dashboard = Dashboard(folder, f"mqtt://127.0.0.1:{broker.port}", ("--timezone", "UTC"))
        dashboard.start()
        try:
            time.sleep(3)  # it has subscribed: what follows has an age
            publish_fast(broker, [text for text in texts if text.topic.endswith("/health")])
            page = len(urllib.request.urlopen(dashboard.url).read())
            print(f"page {page} bytes, first event {first_event(dashboard.url)} bytes")
            measure(dashboard, args.devices, args.picture)
        finally:
            dashboard.stop()
            broker.stop()


if __name__ == "__main__":
    main()
