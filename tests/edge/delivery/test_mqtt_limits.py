"""Brokers that accept less than the device sends: refusals are reported, counts arrive."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.delivery.courier import Courier
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_limits import Limits, publish_bytes
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.delivery.mqtt_suspects import STRIKES, STRIKES_FOR_WINDOWS, Suspects
from edge.delivery.outbox import Outbox
from edge.types import Message, People, Totals
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for

WILL = Message("t/availability", "offline", 1, retain=True)
RETAINED = {
    "availability": 6,
    "info": 1500,
    "config": 5600,
    "state": 700,
    "health": 400,
}
"""Bytes of the retained messages, in the order in which the daemon first publishes them."""
Subscribe = Callable[..., Subscriber]
Delivery = Callable[..., tuple[Outbox, Courier, MqttPublisher]]


@pytest.fixture
def deliver(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Delivery]:
    """Publish all that a daemon publishes, with windows of a given size in bytes."""
    with contextlib.ExitStack() as stack:

        def start(version: Version, windows: int = 30, size: int = 600) -> Any:
            wake, outbox = threading.Event(), Outbox(tmp_path / "outbox.db")
            stack.callback(outbox.close)
            there = Broker("127.0.0.1", mosquitto.port, "test-device", version=version)
            publisher = MqttPublisher(there, will=WILL, birth_topic="ha/status", wake=wake.set)
            stack.callback(publisher.close, replace(WILL, payload="stopped"))
            for name, length in RETAINED.items():
                publisher.publish(Message(f"t/{name}", "x" * length, 1, retain=True))
            courier = Courier(outbox, publisher, wake)
            stack.callback(courier.close, 0)
            append(outbox, courier, windows, size)
            return outbox, courier, publisher

        yield start


def append(outbox: Outbox, courier: Courier, windows: int, size: int) -> None:
    def make(_epoch: str, seq: int, _totals: Totals) -> Message:
        payload = {"seq": seq, "fill": ""}
        payload["fill"] = "x" * (size - len(json.dumps(payload)))
        return Message("t/window", json.dumps(payload), 1, key=seq)

    for _ in range(windows):
        people = People(female=1)
        courier.announce(outbox.append(people, day="2026-11-21", seconds=60, make=make))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("rules", ["max_packet_size 2000\n", "message_size_limit 2000\n"])
def test_a_message_too_large_is_left_out_and_named_and_windows_arrive(
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    deliver: Delivery,
    caplog: pytest.LogCaptureFixture,
    rules: str,
    version: Version,
) -> None:
    mosquitto.rules = rules
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/#")
    outbox, courier, publisher = deliver(version)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox", 10)
    wait_for(lambda: publisher.status()["refused"] == ["config"], "it is not named", 30)
    assert caplog.text.count("refuses topic t/config") == 1
    wait_for(lambda: publisher.connected, "no connection")
    connects = publisher.status()["connects"]
    others = set(RETAINED) - {"config"}
    wait_for(lambda: all(dashboard.payloads(name) for name in others), "others are missing")
    assert dashboard.payloads("config") == []
    append(outbox, courier, 30, 600)
    wait_for(lambda: len(outbox) == 0, "later windows stay in the outbox")
    assert publisher.status()["connects"] == connects
    if (version, rules) == ("5", "max_packet_size 2000\n"):
        assert connects == 1
        assert "are more than the 2000 that the broker accepts" in caplog.text
    elif not (version == "3.1.1" and rules.startswith("message")):
        assert connects <= 4
        assert "is another device" not in caplog.text
    assert len({json.loads(window)["seq"] for window in dashboard.payloads("window")}) == 60


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_windows_that_are_too_large_are_named_and_kept(
    mosquitto: Mosquitto,
    deliver: Delivery,
    monkeypatch: pytest.MonkeyPatch,
    version: Version,
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 0.05)
    monkeypatch.setattr("edge.delivery.mqtt_publisher.LONGEST_REST_S", 0.2)
    mosquitto.rules = "max_packet_size 500\n"
    mosquitto.start()
    outbox, _, publisher = deliver(version, 5)
    too_large = ["config", "info", "state", "window"]
    wait_for(lambda: publisher.status()["refused"] == too_large, "they are not named", 90)
    wait_for(lambda: publisher.connected, "no connection")
    connects = publisher.status()["connects"]
    with pytest.raises(pytest.fail.Exception):
        wait_for(lambda: publisher.status()["connects"] > connects + 1, "it holds", 5)
    assert len(outbox) == 5
    mosquitto.stop()
    mosquitto.rules = ""
    mosquitto.start()
    monkeypatch.setattr("edge.delivery.mqtt_suspects._Suspect.left_out", False)  # its wait is over
    wait_for(lambda: len(outbox) == 0, "they are not tried again")
    wait_for(lambda: publisher.status()["refused"] == [], "it still complains")


def test_a_window_longer_than_those_before_it_is_not_lost_silently(
    mosquitto: Mosquitto, subscribe: Subscribe, deliver: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In MQTT 3.1.1 mosquitto acknowledges messages that it drops."""
    monkeypatch.setattr("edge.delivery.mqtt_echoes.ECHO_S", 0.5)
    mosquitto.rules = "message_size_limit 700\n"
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier, publisher = deliver("3.1.1", 5)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    append(outbox, courier, 1, 800)
    wait_for(lambda: "window" in publisher.status()["refused"], "it is not named")
    append(outbox, courier, 1, 600)
    assert len(outbox) == 2
    assert len(dashboard.messages) == 5


@pytest.mark.parametrize(
    ("rules", "retained"), [("max_qos 0\n", True), ("retain_available false\n", False)]
)
def test_a_broker_that_keeps_or_acknowledges_nothing(
    mosquitto: Mosquitto, subscribe: Subscribe, deliver: Delivery, rules: str, retained: bool
) -> None:
    mosquitto.rules = rules
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/#")
    outbox, _, publisher = deliver("5")
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: len(set(dashboard.payloads("window"))) == 30, "windows are missing")
    wait_for(lambda: all(dashboard.payloads(name) for name in RETAINED), "others are missing")
    assert publisher.status() == {"version": "5", "connects": 1, "refused": []}
    later = subscribe(mosquitto.port, "t/state", client_id="later")
    if retained:
        wait_for(lambda: later.payloads("state"), "it was not retained")


def test_a_window_is_proven_by_itself_where_nothing_is_acknowledged(
    mosquitto: Mosquitto, deliver: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_echoes.ECHO_S", 0.5)
    mosquitto.rules = "max_qos 0\nmessage_size_limit 700\n"
    mosquitto.start()
    outbox, courier, publisher = deliver("5", 5)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    append(outbox, courier, 1, 800)
    wait_for(lambda: "window" in publisher.status()["refused"], "it is not named")
    assert len(outbox) == 1


@given(st.text("aé", min_size=1, max_size=40), st.integers(0, 20_000), st.integers(0, 1))
def test_the_size_of_a_packet_is_exact(topic: str, length: int, qos: int) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    packets: list[bytes] = []
    client._packet_queue = lambda _command, packet, *_: packets.append(bytes(packet))  # type: ignore[method-assign, assignment]
    client._sock = object()  # type: ignore[assignment]
    message = Message(topic, "y" * length, qos)
    client._send_publish(1, topic.encode(), message.payload.encode(), qos)
    client._sock = None
    assert publish_bytes(message) == len(packets[0])
    assert Limits(packet=len(packets[0])).excess(message) is None
    assert Limits(packet=len(packets[0]) - 1).excess(message) is not None


def test_a_message_alone_in_flight_is_left_out_in_the_end() -> None:
    suspects, large = Suspects(), Message("t/config", "", 1)
    assert suspects.blame([WILL, large], stalled=False) is None
    assert suspects.is_alone("t/state")  # one by one from now on
    for _ in range(STRIKES - 1):
        assert suspects.blame([large], stalled=False) is None
    assert suspects.blame([large], stalled=False) == large
    assert suspects.left_out("t/config")
    assert not suspects.left_out(WILL.topic)
    suspects.blame([], stalled=False)
    assert suspects.is_alone("t/config")
    assert not suspects.is_alone("t/state")
    suspects.acquit("t/config")
    assert not suspects.refused


def test_each_further_failure_doubles_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("edge.delivery.mqtt_suspects.time", clock)
    suspects, large = Suspects(), Message("t/config", "", 1)
    for _ in range(STRIKES - 1):
        suspects.blame([large], stalled=False)
    for wait_s in (60, 120, 240):
        suspects.blame([large], stalled=False)
        now[0] += wait_s - 1
        assert suspects.left_out("t/config")
        now[0] += 2
        assert not suspects.left_out("t/config")


def test_a_window_is_blamed_later_and_never_for_a_link_that_stalls() -> None:
    suspects, window = Suspects(), Message("t/window", "{}", 1, key=1)
    for _ in range(50):
        assert suspects.blame([window], stalled=True) is None
    for _ in range(STRIKES_FOR_WINDOWS - 1):
        assert suspects.blame([window], stalled=False) is None
    assert suspects.blame([window], stalled=False) == window
    assert suspects.paused_topics == {"t/window"}
    suspects.forgive()
    assert not suspects.paused_topics
    assert "t/window" in suspects.refused
    suspects.blame([window], stalled=False)
    assert suspects.paused_topics
