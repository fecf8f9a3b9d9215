"""Subscriptions that a broker refuses, grants in part or never answers."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.courier import Courier
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_probe import probe
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.delivery.mqtt_subscriptions import Subscriptions
from edge.delivery.outbox import Outbox
from edge.types import Message, People
from tests.support.commands import wait_for
from tests.support.proxy import packets

WILL = Message("t/availability", "offline", 1, retain=True)
BIRTH = "homeassistant/status"
CHECK = Message("t/check", " ", 1)
Answer = Callable[[str, int], int | None]
"""Return code for a subscription, by topic and number of requests; None: no answer."""


class Server:
    """A broker that answers subscriptions as given; no real one can be made to."""

    def __init__(self, answer: Answer, *, hangs_up: bool = False, unsent: int = 0) -> None:
        """`hangs_up`: instead of refusing, end the connection. `unsent`: this many messages
        are acknowledged, but not sent to subscribers."""
        self._unsent = unsent
        self.subscribed: list[tuple[str, int]] = []
        """Topics subscribed to, and the QoS."""
        self.published: list[str] = []
        self.connects = 0
        self._answer, self._hangs_up = answer, hangs_up
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        granted: set[str] = set()
        is_mqtt5 = False
        with contextlib.suppress(OSError), link:
            for packet in packets(link):
                kind, body = packet[0] & 0xF0, _body(packet)
                if kind == 0x10:
                    is_mqtt5 = body[6] == 5
                    self.connects += 1
                    link.sendall(b"\x20\x03\x00\x00\x00" if is_mqtt5 else b"\x20\x02\x00\x00")
                elif kind == 0x80:
                    start = 3 if is_mqtt5 else 2
                    topic = _text(body[start:])
                    self.subscribed.append((topic, body[-1] & 3))
                    code = self._answer(topic, sum(name == topic for name, _ in self.subscribed))
                    if code is not None and code < 0x80:
                        granted.add(topic)
                    elif code is not None and self._hangs_up:
                        return
                    if code is not None:
                        rest = body[:2] + b"\x00" * is_mqtt5 + bytes([code])
                        link.sendall(bytes([0x90, len(rest)]) + rest)
                elif kind == 0xA0:
                    link.sendall(b"\xb0\x02" + body[:2])
                elif kind == 0x30:
                    topic = _text(body)
                    after = 2 + len(topic)
                    self.published.append(topic)
                    link.sendall(b"\x40\x02" + body[after : after + 2])
                    if topic in granted and self._unsent:
                        self._unsent -= 1
                    elif topic in granted:
                        echo = body[:after] + body[after + 2 :]
                        link.sendall(bytes([0x30, len(echo)]) + echo)
                elif kind == 0xC0:
                    link.sendall(b"\xd0\x00")

    def close(self) -> None:
        self._server.close()


def _body(packet: bytes) -> bytes:
    start = 1
    while packet[start] & 0x80:
        start += 1
    return packet[start + 1 :]


def _text(body: bytes) -> str:
    return body[2 : 2 + int.from_bytes(body[:2])].decode()


Serve = Callable[..., tuple[Server, MqttPublisher, Outbox]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Send is_mqtt5 windows and a retained message to such a broker."""
    with contextlib.ExitStack() as stack:

        def start(
            answer: Answer,
            version: Version = "3.1.1",
            *,
            hangs_up: bool = False,
            unsent: int = 0,
            command_topic: str | None = None,
        ) -> tuple[Server, MqttPublisher, Outbox]:
            server = Server(answer, hangs_up=hangs_up, unsent=unsent)
            stack.callback(server.close)
            wake, outbox = threading.Event(), Outbox(None)
            stack.callback(outbox.close)
            there = Broker("127.0.0.1", server.port, "x", version=version)
            publisher = MqttPublisher(
                there, will=WILL, birth_topic=BIRTH, command_topic=command_topic, wake=wake.set
            )
            stack.callback(publisher.close, WILL)
            publisher.publish(Message("t/state", "1", 1, retain=True))
            courier = Courier(outbox, publisher, wake)
            stack.callback(courier.close, 0)
            for _ in range(5):
                courier.announce(
                    outbox.append(
                        People(1), day="2026-11-26", seconds=60,
                        make=lambda _epoch, seq, _totals: Message("t/window", str(seq), 1, key=seq),
                    )
                )  # fmt: skip
            return server, publisher, outbox

        yield start


@pytest.mark.parametrize("refusals", [1, 3])
def test_a_subscription_that_is_refused_for_a_while(
    serve: Serve, caplog: pytest.LogCaptureFixture, refusals: int
) -> None:
    server, publisher, outbox = serve(lambda _topic, times: 0x80 if times <= refusals else 0)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: publisher.status()["refused"] == [], "it still complains")
    qos_levels = [qos for topic, qos in server.subscribed if topic == "t/window"]
    assert qos_levels == [0] * (refusals + 1)
    assert publisher.status()["connects"] == 1
    assert ("refuses topic t/window" in caplog.text) == (refusals > 1)
    wait_for(lambda: server.published.count("t/state") == refusals + 1, "the state is not proven")


def test_a_subscription_that_is_refused_for_good(serve: Serve) -> None:
    server, publisher, outbox = serve(lambda topic, _times: 0x80 if topic == "t/window" else 0)
    wait_for(lambda: publisher.status()["refused"] == ["window"], "it is not named")
    wait_for(lambda: server.published.count("t/window") == 4, "it is not tried again")
    assert len(outbox) == 5


def test_the_wait_doubles_up_to_a_minute() -> None:
    subscriptions = Subscriptions(Client(CallbackAPIVersion.VERSION2))
    assert subscriptions.put_off("t") is None, "it was never requested"
    subscriptions.subscribe("t")
    waits = [subscriptions.put_off("t") for _ in range(9)]
    assert waits == list(zip([0, 1, 2, 4, 8, 16, 32, 60, 60], range(1, 10), strict=True))


@pytest.mark.parametrize("code", [0, 1])
def test_a_subscription_that_is_granted_at_once(serve: Serve, code: int) -> None:
    server, publisher, outbox = serve(lambda _topic, _times: code)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: (BIRTH, 0) in server.subscribed, "Home Assistant is not listened for")
    assert sorted(topic for topic, _ in server.subscribed) == [BIRTH, "t/state", "t/window"]
    assert publisher.status()["refused"] == []


def test_a_subscription_that_is_not_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_echoes.ECHO_S", 0.5)
    _, _, outbox = serve(lambda _topic, times: None if times == 1 else 0)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    assert "refuses" not in caplog.text


def test_a_broker_that_is_slow_to_send_messages_back(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it has just come back, with everybody's windows at once."""
    monkeypatch.setattr("edge.delivery.mqtt_echoes.ECHO_S", 0.2)
    monkeypatch.setattr("edge.delivery.mqtt_echoes.RETRY_S", (0.1, 60.0))
    server, publisher, outbox = serve(lambda _topic, _times: 0, unsent=4)
    wait_for(lambda: len(outbox) == 0, "windows wait as if they were refused", 15)
    assert publisher.status()["connects"] == server.connects == 1


@pytest.mark.parametrize(("version", "code"), [("5", 0x87), ("3.1.1", 0x80)])
def test_home_assistants_birth_that_may_not_be_read(
    serve: Serve, version: Version, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(topic: str, times: int) -> int:
        return code if topic == BIRTH and times < 4 else 0

    server, publisher, outbox = serve(answer, version)
    wait_for(lambda: publisher.status()["refused"] == ["status"], "it is not named")
    assert "refuses topic homeassistant/status: the broker refuses the subscr" in caplog.text
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: publisher.status()["refused"] == [], "it is not requested again")
    assert publisher.status()["connects"] == 1
    other = Server(lambda topic, _times: code if topic == BIRTH else 0)
    there = Broker("127.0.0.1", other.port, "x", version=version)
    (warning,) = probe(there, [CHECK], birth_topic=BIRTH).warnings
    assert warning.startswith("homeassistant/status: the broker refuses the subscription")
    assert server.connects == 1


def test_commands_that_may_not_be_read() -> None:
    server = Server(lambda topic, times: 0x87 if topic == "t/command" and times < 3 else 0)
    there = Broker("127.0.0.1", server.port, "x", version="5")
    publisher = MqttPublisher(there, will=WILL, command_topic="t/command")
    publisher.publish(Message("t/state", "1", 1, retain=True))

    def refused(*names: str) -> bool:
        publisher.poll()
        return bool(publisher.status()["refused"] == list(names))

    wait_for(lambda: refused("command"), "it is not named")
    wait_for(lambda: refused() and publisher.connected, "it is not requested again")
    publisher.close(WILL)
    server.close()
    other = Server(lambda topic, _times: 0x87 if topic == "t/command" else 0)
    there = replace(there, port=other.port)
    (warning,) = probe(there, [CHECK], command_topic="t/command").warnings
    assert warning.startswith("t/command: the broker refuses the subscription; the device cannot")
    other.close()


@pytest.mark.parametrize(
    ("topics", "names"), [({BIRTH}, ["status"]), ({BIRTH, "t/command"}, ["command", "status"])]
)
def test_a_broker_that_hangs_up_at_a_subscription(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, topics: set[str], names: list[str]
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 0.05)
    server, publisher, outbox = serve(
        lambda topic, _times: 0x80 if topic in topics else 0,
        "5",
        hangs_up=True,
        command_topic="t/command",
    )
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: publisher.status()["refused"] == names, "it is not left out")
    wait_for(lambda: publisher.connected, "no connection")
    connects = server.connects
    assert connects <= 2 + 2 * len(topics)
    with pytest.raises(pytest.fail.Exception):
        wait_for(lambda: server.connects > connects, "it holds", 3)
