"""docs/mosquitto lets a device write its own topics and nothing else."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery.mqtt_broker import tls_context
from tests.edge.delivery.test_messages import HEALTH, messages, window_message
from tests.support.broker import Mosquitto, free_port
from tests.support.commands import wait_for
from tests.support.paths import ROOT

USERS = ("lobby", "door", "dashboard", "homeassistant")
GRANTED = {"Success", "No matching subscribers"}
REFUSED = "Not authorized"


@dataclass
class Sample(Mosquitto):
    """A broker with the files of docs/mosquitto; only their paths and the ports differ."""

    websockets_port: int = field(default_factory=free_port)

    def configuration(self) -> str:
        return (
            (ROOT / "docs" / "mosquitto" / "mosquitto.conf")
            .read_text()
            .replace("/etc/mosquitto/certs/", f"{self.folder}/")
            .replace("/etc/mosquitto/passwords", f"{self.folder}/passwords")
            .replace("/etc/mosquitto/acl", str(ROOT / "docs" / "mosquitto" / "acl"))
            .replace("/var/lib/mosquitto/", f"{self.folder}/")
            .replace("listener 8883", f"listener {self.port} 127.0.0.1")
            .replace("listener 8884", f"listener {self.websockets_port} 127.0.0.1")
        )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    folder = tmp_path_factory.mktemp("broker")
    folder.chmod(0o755)
    for user in USERS:
        subprocess.run(
            ["mosquitto_passwd", *([] if (folder / "passwords").exists() else ["-c"]), "-b",
             folder / "passwords", user, f"{user}'s password"],
            check=True,
        )  # fmt: skip
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", folder / "broker.crt", "-keyout", folder / "broker.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    broker = Sample(folder)
    broker.start()
    yield broker
    broker.stop()


class User:
    """An MQTT 5 client: that version reports refusals."""

    def __init__(
        self,
        broker: Sample,
        name: str,
        password: str | None = None,
        transport: Literal["tcp", "websockets"] = "tcp",
    ) -> None:
        self.received: list[str] = []
        self.refusal: str | None = None
        self._answers: dict[int, ReasonCode] = {}
        self._linked = self._subscribed = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, transport=transport
        )
        self._client.username_pw_set(name, f"{name}'s password" if password is None else password)
        self._client.tls_set_context(tls_context(broker.folder / "broker.crt", None, None))
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = lambda _client, _data, message: self.received.append(
            message.topic
        )
        self._client.connect(
            "127.0.0.1", broker.port if transport == "tcp" else broker.websockets_port
        )
        self._client.loop_start()
        wait_for(lambda: self._linked or self.refusal, "no answer")

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: ReasonCode,
                    _properties: object) -> None:  # fmt: skip
        if reason.is_failure:
            self.refusal = str(reason)
        else:
            self._linked = True

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_publish(self, _client: object, _data: object, mid: int, reason: ReasonCode,
                    _properties: object) -> None:  # fmt: skip
        self._answers[mid] = reason

    def subscribe(self, *topics: str) -> None:
        for topic in topics:
            self._subscribed = False
            self._client.subscribe(topic, qos=1)
            wait_for(lambda: self._subscribed, "the subscription is not answered")

    def publish(self, topic: str, payload: str = "{}", *, retain: bool = False) -> str:
        """Publish and return the broker's answer."""
        mid = self._client.publish(topic, payload, 1, retain).mid
        wait_for(lambda: mid in self._answers, "the message is not answered")
        return str(self._answers[mid])

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Connect = Callable[..., User]


@pytest.fixture
def connect(broker: Sample) -> Iterator[Connect]:
    users: list[User] = []

    def make(name: str, password: str | None = None, **keys: Any) -> User:
        users.append(User(broker, name, password, **keys))
        return users[-1]

    yield make
    for user in users:
        user.close()


def test_a_device_may_do_what_the_daemon_does(connect: Connect) -> None:
    maker, window = messages(), window_message()
    sent = [
        maker.availability("online"),
        window,
        maker.state(window),
        maker.presence("3"),
        maker.health(HEALTH),
        maker.info({}),
        *maker.discovery("1"),
        *messages(legacy_ids=True).discovery("1"),
        *maker.forgotten(),
        *maker.forgotten_ids(),
    ]
    dashboard, homeassistant, lobby = map(connect, ("dashboard", "homeassistant", "lobby"))
    dashboard.subscribe("tally/v1/#")
    homeassistant.subscribe("tally/v1/#", "homeassistant/#")
    lobby.subscribe("tally/v1/store-7/lobby/window", "homeassistant/status", maker.command_topic)
    for message in sent:
        answer = lobby.publish(message.topic, message.payload, retain=message.retain)
        assert answer in GRANTED, message.topic
    topics = [message.topic for message in sent]
    tally = [topic for topic in topics if topic.startswith("tally/")]
    wait_for(lambda: len(dashboard.received) == len(tally), "the dashboard misses something")
    assert dashboard.received == tally
    wait_for(lambda: len(homeassistant.received) == len(topics), "Home Assistant does")
    wait_for(lambda: lobby.received == [window.topic], "the device does not see its own window")
    assert homeassistant.publish("homeassistant/status", "online") in GRANTED
    wait_for(lambda: "homeassistant/status" in lobby.received, "the device misses the birth")
    assert homeassistant.publish(maker.command_topic, "pause") in GRANTED
    wait_for(lambda: maker.command_topic in lobby.received, "the device misses the command")


def test_nobody_writes_what_is_not_theirs(connect: Connect) -> None:
    everything = connect("dashboard")
    everything.subscribe("tally/v1/#")
    beyond = connect("homeassistant")
    beyond.subscribe("homeassistant/#")
    attempts = {
        "lobby": (
            "tally/v1/store-7/door/window",
            "tally/v1/store-7/door/availability",
            "tally/v1/store-7/door/command",
            "tally/v1/lobby/door/window",
            "tally/v1/window",
            "tally/v2/store-7/lobby/window",
            "homeassistant/device/door/config",
            "homeassistant/device/store-7/door/config",
            "homeassistant/device/lobby/door/config",
            "homeassistant/sensor/lobby/config",
            "homeassistant/status",
            "elsewhere",
        ),
        "dashboard": (
            "tally/v1/store-7/lobby/window",
            "tally/v1/store-7/dashboard/window",
            "tally/v1/store-7/lobby/command",
            "homeassistant/device/lobby/config",
            "homeassistant/device/dashboard/config",
            "homeassistant/device/store-7/dashboard/config",
        ),
        "homeassistant": (
            "tally/v1/store-7/lobby/window",
            "tally/v1/store-7/homeassistant/window",
            "tally/v1/store-7/lobby/command/more",
        ),
    }
    for name, topics in attempts.items():
        user = connect(name)
        for topic in topics:
            assert user.publish(topic) == REFUSED, f"{name} writes {topic}"
    # the first message to arrive is one sent after them
    assert connect("door").publish("tally/v1/store-7/door/state") in GRANTED
    wait_for(lambda: everything.received, "nothing comes at all")
    assert everything.received == ["tally/v1/store-7/door/state"]
    assert beyond.publish("homeassistant/status") in GRANTED
    wait_for(lambda: beyond.received, "nothing comes at all")
    assert beyond.received == ["homeassistant/status"]


def test_a_page_in_a_browser_reads_by_websocket(connect: Connect) -> None:
    page = connect("dashboard", transport="websockets")
    page.subscribe("tally/v1/#")
    topic = "tally/v1/store-7/lobby/presence"
    assert connect("lobby").publish(topic, "3") in GRANTED
    wait_for(lambda: page.received == [topic], "nothing arrives")
    assert page.publish("tally/v1/store-7/lobby/command", "pause") == REFUSED
    assert connect("dashboard", "guess", transport="websockets").refusal == REFUSED


def test_a_device_reads_nothing_of_others(connect: Connect) -> None:
    lobby, door = connect("lobby"), connect("door")
    lobby.subscribe("#")
    for name in ("availability", "window", "state", "health", "info"):
        assert door.publish(f"tally/v1/store-7/door/{name}") in GRANTED
    assert door.publish("homeassistant/device/door/config") in GRANTED
    assert door.publish("homeassistant/device/store-7/door/config") in GRANTED
    assert lobby.publish("tally/v1/store-7/lobby/info") in GRANTED
    wait_for(lambda: lobby.received, "not even its own")
    assert lobby.received == ["tally/v1/store-7/lobby/info"]


def test_the_collector_of_the_docs_trusts_this_broker(
    broker: Sample, connect: Connect, tmp_path: Path
) -> None:
    log, collector = tmp_path / "log", ROOT / "docs" / "dashboards" / "collect.py"
    url = f"mqtts://dashboard:dashboard's%20password@127.0.0.1:{broker.port}"
    command = [sys.executable, str(collector), str(tmp_path / "windows.db"), url]

    def collect(expected: str, **environment: str) -> None:
        with log.open("w") as output:
            process = subprocess.Popen(command, stderr=output, env=os.environ | environment)
        try:
            wait_for(lambda: expected in log.read_text(), "it does not say how it fares")
            process.send_signal(signal.SIGINT)
            process.wait(10)
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in log.read_text()

    collect("certificate verify failed")
    collect("127.0.0.1: Success", SSL_CERT_FILE=str(broker.folder / "broker.crt"))


@pytest.mark.parametrize(("name", "password"), [("lobby", "guess"), ("nobody", "guess")])
def test_strangers_stay_outside(connect: Connect, name: str, password: str) -> None:
    assert connect(name, password).refusal == REFUSED


def test_what_was_acknowledged_outlives_the_broker(broker: Sample, connect: Connect) -> None:
    """The persistence of the sample: a retained message is there after the broker was killed."""
    topic = "tally/v1/store-7/lobby/info"
    lobby = connect("lobby")
    assert lobby.publish(topic, "kept", retain=True) in GRANTED
    database = broker.folder / "mosquitto.db"
    wait_for(lambda: database.exists() and b"kept" in database.read_bytes(), "nothing on disk")
    lobby.close()
    assert broker.process is not None
    broker.process.kill()
    broker.process.wait()
    broker.start()
    dashboard = connect("dashboard")
    dashboard.subscribe(topic)
    wait_for(lambda: dashboard.received == [topic], "lost")
    connect("lobby").publish(topic, "", retain=True)


def test_the_daemon_reaches_it_as_the_guide_says(broker: Sample, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "dashboards.md").read_text()
    (example,) = re.findall(r"```yaml\n(device: lobby\n.*?)```", guide, re.DOTALL)
    assert "/etc/edge-tally/" in example
    example = example.replace("/etc/edge-tally/", f"{tmp_path}/")
    keys = yaml.safe_load(example) | {"source": "demo"}
    keys["mqtt"] |= {"host": "127.0.0.1", "port": broker.port}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(keys))
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "broker.crt").symlink_to(broker.folder / "broker.crt")
    (tmp_path / "password").write_text("lobby's password\n")
    run = subprocess.run(
        [sys.executable, "-m", "edge", "check"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert f"ok    broker  127.0.0.1:{broker.port}: speaks MQTT 5" in run.stdout, run.stdout
    assert run.returncode == 0
