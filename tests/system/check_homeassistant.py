"""A real Home Assistant takes the device over, shows its numbers, and lets go of it again.

Run by tools/dev/check-homeassistant, which makes the environment that it needs, of another Python.
"""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.messages import Messages
from edge.types import Message
from tests.edge.delivery.test_messages import HEALTH, WITH_AGES, window_message
from tests.support.broker import Mosquitto, Subscriber, free_port
from tests.support.commands import wait_for
from tests.support.paths import ROOT

DOCS = ROOT / "docs" / "dashboards" / "homeassistant"


def automation(blueprint: str, **inputs: Any) -> dict[str, Any]:
    """One made of a blueprint; what it does is to publish."""
    payload = "{{ reason | default(people) }}"
    message = {"topic": f"alert/{blueprint}", "payload": payload}
    inputs |= {"minutes": 0, "actions": [{"action": "mqtt.publish", "data": message}]}
    path = f"{DOCS.name}/{blueprint}.yaml"
    return {"alias": blueprint, "use_blueprint": {"path": path, "input": inputs}}


AUTOMATIONS = [
    automation("camera-lost", camera="binary_sensor.lobby_camera_lost"),
    automation("many-people", people="sensor.lobby_people_in_view_now", number=4),
]
PYTHON = ROOT / "build" / "homeassistant" / "bin" / "python"

Publish = Callable[..., None]


class HomeAssistant:
    """What a running Home Assistant shows of the devices it found over MQTT."""

    def __init__(self, folder: Path, port: int) -> None:
        with (folder / "homeassistant.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PYTHON,
                    ROOT / "tests" / "support" / "hass.py",
                    folder,
                    str(port),
                    str(free_port()),
                    DOCS,
                    json.dumps(AUTOMATIONS),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._shown: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:  # the first start installs what the integrations need
            wait_for(lambda: self._shown or self._process.poll() is not None, "no start", 300)
            assert self._shown, (folder / "homeassistant.log").read_text()[-2000:]
        except BaseException:
            self.close()
            raise
        print("Home Assistant", self._shown["version"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._shown = json.loads(line)

    def entities(self, device: str) -> dict[str, dict[str, Any]]:
        """State and attributes by the last part of the unique id."""
        start = f"edge-tally/store-7/{device}/"
        entities: dict[str, dict[str, Any]] = self._shown["entities"]
        return {
            key.removeprefix(start): entity
            for key, entity in entities.items()
            if key.startswith(start)
        }

    def states(self, device: str) -> dict[str, str]:
        return {key: entity["state"] for key, entity in self.entities(device).items()}

    def automations(self) -> list[str]:
        """Names of those that are switched on."""
        automations: list[str] = self._shown["automations"]
        return automations

    def call(self, domain: str, service: str, **data: Any) -> None:
        """Call an action, as a user does."""
        assert self._process.stdin is not None
        print(
            json.dumps({"domain": domain, "service": service, "data": data}),
            file=self._process.stdin,
            flush=True,
        )

    def complaints(self) -> list[str]:
        complaints: list[str] = self._shown["complaints"]
        return complaints

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def home(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    home = HomeAssistant(tmp_path_factory.mktemp("home"), broker.port)
    yield home
    home.close()


@pytest.fixture(scope="module")
def publish(broker: Mosquitto) -> Iterator[Publish]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()

    def send(*messages: Message) -> None:
        for message in messages:
            client.publish(message.topic, message.payload, 1, message.retain).wait_for_publish(10)

    yield send
    client.disconnect()
    client.loop_stop()


def made(device: str, **keys: Any) -> Messages:
    return Messages(
        site="store-7",
        device=device,
        model="m@12345678",
        discovery_prefix="homeassistant",
        **keys,
    )


SHOWN = {
    "total_total": "20311",
    "total_female": "9800",
    "total_male": "9700",
    "total_unknown": "811",
    "today_total": "42",
    "today_female": "20",
    "today_male": "21",
    "today_unknown": "1",
    "present_peak": "3",
    "present_mean": "0.83",
    "coverage": "99.8",
    "fps": "6.1",
    "temperature": "52.1",
    "outbox": "0",
    "dropped": "0",
    "window_total": "7",
    "dwell": "6.2",
    "attention": "4.1",
    "camera": "off",
    "refused": "off",
    "throttled": "off",
}


def test_a_device_from_its_discovery_to_its_removal(home: HomeAssistant, publish: Publish) -> None:
    device = made("lobby")
    known = len(home.complaints())
    publish(*device.discovery("1.2.3"), device.availability("online"))
    wait_for(lambda: home.entities("lobby").keys() == SHOWN.keys(), "not found")
    # what expires has no value before the first message
    assert set(home.states("lobby").values()) <= {"unknown", "unavailable"}

    publish(device.state(window_message()), device.health(HEALTH))
    wait_for(lambda: home.states("lobby") == SHOWN, "not shown")
    total = home.entities("lobby")["total_total"]
    assert total["friendly_name"] == "lobby People in all"
    assert (total["state_class"], total["unit_of_measurement"]) == ("total_increasing", "people")

    unwell: dict[str, Any] = {
        "mqtt": {"version": "5", "connects": 2, "refused": ["tally/v1/store-7/lobby/info"]},
        "camera": "lost",
        "throttled": 0x50005,
        "temperature_c": None,
        "outbox": None,
    }
    publish(device.health(HEALTH | unwell))
    changed = {
        "camera": "on",
        "refused": "on",
        "throttled": "on",
        "temperature": "unknown",
        "outbox": "unknown",
    }
    wait_for(lambda: home.states("lobby") == SHOWN | changed, "the problems do not show")
    publish(device.health(HEALTH | {"throttled": 0x50000}))  # it was, and is over
    wait_for(lambda: home.states("lobby")["throttled"] == "off", "the problem stays")
    publish(device.health(HEALTH | {"throttled": None}))
    wait_for(lambda: home.states("lobby")["throttled"] == "unknown", "it claims to know")

    for state in ("offline", "stopped"):
        publish(device.availability("online"))
        wait_for(lambda: "unavailable" not in home.states("lobby").values(), "not online")
        publish(device.availability(state))
        wait_for(lambda: set(home.states("lobby").values()) == {"unavailable"}, f"not {state}")

    publish(*device.forgotten())
    wait_for(lambda: home.entities("lobby") == {}, "not removed")
    assert home.complaints()[known:] == []


def test_what_is_old_expires_but_totals_stay(home: HomeAssistant, publish: Publish) -> None:
    device = made("quick", window_seconds=0.5, max_hold=0, health_seconds=0.5)
    publish(*device.discovery("1"), device.availability("online"))
    wait_for(lambda: len(home.entities("quick")) == len(SHOWN), "not found")
    publish(device.state(window_message()), device.health(HEALTH))
    wait_for(lambda: "unavailable" not in home.states("quick").values(), "not shown")
    expired = {key: "unavailable" for key in SHOWN if not key.startswith("total_")}
    wait_for(lambda: home.states("quick") == SHOWN | expired, "not expired")
    publish(device.state(window_message()), device.health(HEALTH))
    wait_for(lambda: home.states("quick") == SHOWN, "does not come back")


def test_live_presence_and_the_pause(
    home: HomeAssistant, publish: Publish, broker: Mosquitto
) -> None:
    device = made("lobby", ages=True, presence=True, pause=True, dashboard_url="http://shop:3000/")
    known = len(home.complaints())
    alerts = Subscriber(broker.port, "alert/#", device.command_topic, client_id="alerts")
    assert sorted(home.automations()) == ["camera-lost", "many-people"]
    publish(*device.discovery("1"), device.availability("online"), device.presence("3"))
    publish(device.state(window_message(WITH_AGES, device)), device.health(HEALTH))
    shown = SHOWN | AGES_SHOWN | {"in_view": "3", "pause": "off"}
    wait_for(lambda: home.states("lobby") == shown, "not shown")

    # the ids that the example dashboard names are there, and only those of one device
    named = set(re.findall(r"\w+\.lobby_\w+", (DOCS / "dashboard.yaml").read_text()))
    assert len(named) > 20
    assert named <= {entity["id"] for entity in home.entities("lobby").values()}

    publish(device.presence("5"))
    wait_for(lambda: home.states("lobby")["in_view"] == "5", "not counted")
    wait_for(lambda: alerts.payloads("many-people") == ["5"], "nobody hears of many people")
    publish(device.presence(""))
    wait_for(lambda: home.states("lobby")["in_view"] == "unknown", "it claims to know")

    switch = home.entities("lobby")["pause"]["id"]
    for service, command in (("turn_on", "pause"), ("turn_off", "resume")):
        home.call("switch", service, entity_id=switch)
        wait_for(lambda: alerts.payloads("command")[-1:] == [command], "no command")  # noqa: B023  # asked at once
        publish(device.health(HEALTH | {"paused": command == "pause"}))
        state = service.removeprefix("turn_")
        wait_for(lambda: home.states("lobby")["pause"] == state, "not shown")  # noqa: B023  # asked at once
    assert not any(message.retain for message in alerts.messages)

    publish(device.health(HEALTH | {"camera": "lost"}))
    wait_for(lambda: alerts.payloads("camera-lost")[-1:] == ["the camera is lost"], "no alert")
    publish(device.health(HEALTH), device.availability("offline"))
    unreachable = ["the device cannot be reached"]
    wait_for(lambda: alerts.payloads("camera-lost")[-1:] == unreachable, "no alert")
    alerts.close()
    publish(*device.forgotten())
    wait_for(lambda: home.entities("lobby") == {}, "not removed")
    assert home.complaints()[known:] == []


AGES_SHOWN = {
    "age_0_3": "0",
    "age_4_7": "0",
    "age_8_13": "1",
    "age_14_20": "0",
    "age_21_35": "4",
    "age_36_45": "1",
    "age_46_56": "0",
    "age_57": "0",
    "age_unknown": "1",
    "total_age_0_3": "10",
    "total_age_4_7": "20",
    "total_age_8_13": "400",
    "total_age_14_20": "1900",
    "total_age_21_35": "7000",
    "total_age_36_45": "5000",
    "total_age_46_56": "3000",
    "total_age_57": "2600",
    "total_age_unknown": "381",
}


def test_ages_are_shown_where_they_are_counted(home: HomeAssistant, publish: Publish) -> None:
    device = made("aged", ages=True)
    known = len(home.complaints())
    publish(*device.discovery("1"), device.availability("online"))
    wait_for(lambda: len(home.entities("aged")) == len(SHOWN | AGES_SHOWN), "not found")
    publish(device.state(window_message(WITH_AGES, device)), device.health(HEALTH))
    wait_for(lambda: home.states("aged") == SHOWN | AGES_SHOWN, "not shown")
    assert home.entities("aged")["age_57"]["friendly_name"] == "aged People, age 57+"
    assert (
        home.entities("aged")["total_age_4_7"]["friendly_name"] == "aged People in all, age 04-07"
    )
    # too few people to be told apart
    publish(device.state(window_message(maker=device)))
    withheld = {key: "unknown" for key in AGES_SHOWN if not key.startswith("total_")}
    wait_for(lambda: home.states("aged") == SHOWN | AGES_SHOWN | withheld, "still shown")
    publish(*device.forgotten())
    wait_for(lambda: home.entities("aged") == {}, "not removed")
    assert home.complaints()[known:] == []


def broken(component: str, **keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(payload: dict[str, Any]) -> None:
        for key, value in keys.items():
            payload["components"][component][key] = value
            if value is None:
                del payload["components"][component][key]

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (broken("fps", state_class="rising"), "rising|state_class"),
        (broken("temperature", unit_of_measurement="people"), "unit of measurement"),
        (broken("fps", unique_id=None), "unique_id"),
        (broken("fps", platform=None), "platform"),
        (broken("fps", expire_after=-1), "expire_after"),
        (broken("fps", value_template="{{ value_json."), "template"),
        (broken("refused", device_class="trouble"), "device_class"),
        (lambda payload: payload.pop("origin"), "origin"),
        (lambda payload: payload.pop("device"), "device"),
    ],
)
def test_a_mistake_would_be_noticed(
    home: HomeAssistant,
    publish: Publish,
    change: Callable[[dict[str, Any]], None],
    complaint: str,
) -> None:
    device = made("broken")
    (message,) = device.discovery("1")
    payload = json.loads(message.payload)
    change(payload)
    known = len(home.complaints())
    publish(Message(message.topic, json.dumps(payload), 1, True))
    wait_for(lambda: re.search(complaint, "\n".join(home.complaints()[known:])), "nobody complains")
    publish(*device.forgotten())
    wait_for(lambda: home.entities("broken") == {}, "not removed")
