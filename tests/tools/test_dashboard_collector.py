"""The dashboard's collector: nothing lost when it is killed, and devices as they are now."""

import contextlib
import io
import random
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from collect import TABLE
from report import read

from edge.errors import ConfigError
from edge.types import Message
from tests.support.broker import Mosquitto
from tests.support.commands import wait_for
from tests.support.dashboard import Dashboard, publish, retained
from tests.support.published import window
from tests.system.test_dashboards import rows
from tools.collection.broker import Broker
from tools.collection.liveness import Light, LiveDevices
from tools.collection.log import write_line
from tools.collection.published import InvalidMessage
from tools.webpage.status import status

NOW = 1_795_255_200
"""2026-11-21 10:00 UTC."""


def test_a_dashboard_that_is_killed_loses_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.start()
    dashboard = Dashboard(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}")
    dashboard.start()
    publish(mosquitto, retained("lobby", "info", {"model": "m@12345678", "confusion": [7]}))
    wait_for(lambda: "not a valid info" in dashboard.log.read_text(), "it does not subscribe")
    dashboard.kill()
    messages = [window(seq, NOW + 60 * seq, ever=6 * seq) for seq in range(1, 61)]
    nonsense = [Message(messages[0].topic, text) for text in ("", "{", "[]", '{"seq": NaN}')]
    speaks_for_another = Message("tally/v1/store-7/door/window", messages[0].payload)
    publish(mosquitto, *messages[:30], *nonsense, speaks_for_another, *messages[30:])
    query = "SELECT device, epoch, seq FROM windows"
    kept: list[Any] = []
    kills = 0
    while len(kept) < len(messages):
        dashboard.start()
        before = len(kept)
        wait_for(lambda: len(rows(dashboard.file, query)) > before, "no more comes")  # noqa: B023  # asked at once
        time.sleep(random.Random(kills).uniform(0, 0.02))
        dashboard.kill()  # in the middle of whatever it does
        kills += 1
        kept = rows(dashboard.file, query)
    assert sorted(kept) == [("lobby", "6f0c2a7e", seq) for seq in range(1, len(messages) + 1)]
    assert rows(dashboard.file, "SELECT SUM(people), SUM(female) FROM hours") == [(360, 180)]
    assert rows(dashboard.file, "SELECT first, last FROM runs") == [(1, 60)]


def test_the_tables_of_the_small_collector_are_there_too(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """So report.py and the Grafana dashboard read this database."""
    mosquitto.start()
    dashboard = Dashboard(tmp_path, f"mqtt://127.0.0.1:{mosquitto.port}")
    dashboard.start()
    faces = {"female": 900, "male": 50, "unknown": 50}
    confusion = {
        "data": "faces.zip", "split": "test", "min_age": 12, "min_confidence": 0.6,
        "female": faces, "male": faces | {"female": 50, "male": 900},
    }  # fmt: skip
    ages = (0, 0, 1, 0, 4, 0, 0, 0, 1)
    publish(
        mosquitto, retained("lobby", "info", {"model": "m@12345678", "confusion": confusion}),
    )  # fmt: skip

    def arrived() -> bool:
        publish(mosquitto, window(1, NOW, ages=ages))  # lost until it has subscribed
        return bool(rows(dashboard.file, "SELECT 1 FROM windows"))

    wait_for(arrived, "nothing collected")
    wait_for(lambda: rows(dashboard.file, "SELECT 1 FROM matrices"), "no matrix")
    assert dashboard.stop() == 0
    assert len(rows(dashboard.file, "SELECT * FROM ages WHERE people > 0")) == 3
    with contextlib.closing(sqlite3.connect(":memory:")) as small:
        small.executescript(TABLE)
        for (name,) in small.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            columns = f"SELECT name FROM pragma_table_info('{name}')"
            assert {*rows(dashboard.file, columns)} >= {*small.execute(columns)}, name
    copy = Path(shutil.copy(dashboard.file, tmp_path / "copy.db"))
    (counts,) = read(copy, None, None, None)
    assert (counts.device, tuple(counts.people), counts.without_gender) == ("lobby", (3, 2, 1), 0)
    assert counts.matrix is not None
    assert tuple(counts.matrix.men) == (50, 900, 50)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


HEALTH = '{"camera": "ok", "temperature_c": 50.1, "throttled": 0}'
TOPIC = "tally/v1/store-7/lobby"


def light(live: LiveDevices, now: float) -> Light:
    return live.snapshot()["store-7", "lobby"].light(now)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def live(clock: Time) -> LiveDevices:
    return LiveDevices(clock)


def test_how_many_are_in_view_now(live: LiveDevices, clock: Time) -> None:
    live.update(f"{TOPIC}/state", window(1, NOW - 30).payload, retained=True)

    def facing() -> tuple[float | None, bool]:
        (entry,) = status(live.snapshot(), clock.now)
        return entry["facing"], entry["is_live"]

    assert facing() == (0.5, False), "of the newest window"
    live.update(f"{TOPIC}/presence", "5", retained=False)
    assert facing() == (5, True)
    for nonsense in ("-1", "many", "1.5", "\u0665", "9" * 99, "[]"):
        with pytest.raises(InvalidMessage):
            live.update(f"{TOPIC}/presence", nonsense, retained=False)
    live.update(f"{TOPIC}/presence", "", retained=False)
    assert facing() == (0.5, False)
    clock.now += 9999
    live.update(f"{TOPIC}/health", HEALTH, retained=False)
    assert facing() == (None, False), "the newest window is old"


def test_a_device_that_falls_silent_is_late_whatever_the_broker_says(
    live: LiveDevices, clock: Time
) -> None:
    """A broker that was killed never publishes the device's last will."""
    live.update(f"{TOPIC}/info", '{"config": {"health": {"seconds": 20}}}', retained=True)
    live.update(f"{TOPIC}/availability", "online", retained=True)
    live.update(f"{TOPIC}/health", HEALTH, retained=True)
    assert light(live, clock.now) == "waiting", "nobody knows how old this is"
    assert light(live, clock.now + 61) == "late"
    clock.now += 61
    live.update(f"{TOPIC}/health", HEALTH, retained=False)
    assert light(live, clock.now + 59) == "online"
    assert light(live, clock.now + 60) == "late"
    # what the broker retained says nothing new when the connection comes back
    clock.now += 70
    live.update(f"{TOPIC}/health", HEALTH, retained=True)
    assert light(live, clock.now) == "late"


def test_a_window_that_just_ended_shows_that_a_device_lives(live: LiveDevices, clock: Time) -> None:
    live.update(f"{TOPIC}/state", window(1, NOW - 30).payload, retained=True)
    assert light(live, clock.now) == "online"
    other = LiveDevices(clock)
    unset = window(1, NOW - 30, time_synced=False)
    other.update(f"{TOPIC}/state", unset.payload, retained=True)
    assert light(other, clock.now) == "waiting"


def test_a_device_that_was_stopped_a_moment_ago(live: LiveDevices, clock: Time) -> None:
    """As the broker retains it for a dashboard that starts now."""
    live.update(f"{TOPIC}/state", window(1, NOW - 30).payload, retained=True)
    live.update(f"{TOPIC}/availability", "stopped", retained=True)
    assert light(live, clock.now) == "stopped"


def test_a_will_is_believed_until_the_device_speaks_again(live: LiveDevices, clock: Time) -> None:
    live.update(f"{TOPIC}/health", HEALTH, retained=False)
    clock.now += 1
    live.update(f"{TOPIC}/availability", "offline", retained=False)
    assert light(live, clock.now) == "offline"
    live.update(f"{TOPIC}/availability", "stopped", retained=False)
    assert light(live, clock.now) == "stopped"
    clock.now += 1
    live.update(f"{TOPIC}/window", window(1, NOW, replayed=True).payload, retained=False)
    assert light(live, clock.now) == "stopped", "an old window is no sign of life"
    live.update(f"{TOPIC}/health", HEALTH, retained=False)
    assert light(live, clock.now) == "online"


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ('{"camera": "lost"}', "camera"), ('{"camera": "resting"}', "resting"),
        ('{"temperature_c": 80}', "hot"), ('{"throttled": 4}', "hot"),
        ('{"throttled": 262144}', "online"), ('{"camera": null, "temperature_c": "?"}', "online"),
    ],
)  # fmt: skip
def test_what_a_device_reports_of_itself(live: LiveDevices, health: str, shown: Light) -> None:
    live.update(f"{TOPIC}/health", health, retained=False)
    assert light(live, NOW) == shown


def test_a_device_is_gone_with_the_last_that_is_retained_of_it(live: LiveDevices) -> None:
    for kind, text in (("health", HEALTH), ("availability", "online"), ("info", "{}")):
        live.update(f"{TOPIC}/{kind}", text, retained=True)
    live.update(f"{TOPIC}/health", "", retained=False)
    assert len(live.snapshot()) == 1
    live.update(f"{TOPIC}/availability", "", retained=False)
    live.update(f"{TOPIC}/info", "", retained=False)
    assert live.snapshot() == {}
    live.update(f"{TOPIC}/state", "", retained=False)


@pytest.mark.parametrize("payload", ["[]", "{", "7", "[" * 9999 + "]" * 9999])
def test_nonsense_is_refused(live: LiveDevices, payload: str) -> None:
    with pytest.raises(InvalidMessage):
        live.update(f"{TOPIC}/health", payload, retained=True)
    assert live.snapshot() == {}


@pytest.mark.parametrize(
    "name", ["<b>", "a b", "", "x" * 65, "\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
def test_names_that_no_device_has_are_refused(live: LiveDevices, name: str) -> None:
    with pytest.raises(InvalidMessage, match="such a name"):
        live.update(f"tally/v1/store-7/{name}/health", HEALTH, retained=True)
    assert live.snapshot() == {}


def test_where_the_broker_is() -> None:
    assert Broker.parse("mqtt://localhost") == ("localhost", 1883, False, "", "")
    full = Broker.parse("mqtts://dash%40board:p%3Aw@[::1]:1234")
    assert full == ("::1", 1234, True, "dash@board", "p:w")
    for wrong in ("localhost", "mqtt://", "mqtt://host/path", "mqtt://[::1", "ws://host"):
        with pytest.raises(ConfigError, match="--broker"):
            Broker.parse(wrong)


def test_lines_are_written_in_one_piece() -> None:
    """Threads share the output, and with PYTHONUNBUFFERED each piece is out at once."""
    pieces: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str, /) -> int:
            pieces.append(text)
            return super().write(text)

    write_line("page      http://127.0.0.1:8330/", Output())
    assert pieces == ["page      http://127.0.0.1:8330/\n"]
