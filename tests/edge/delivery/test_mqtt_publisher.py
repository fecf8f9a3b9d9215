"""Publishing and delivery against a real broker."""

import contextlib
import functools
import json
import resource
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish as mqtt_publish

from edge.backoff import Backoff
from edge.delivery.courier import Courier
from edge.delivery.mqtt_broker import Broker, Version, tls_context
from edge.delivery.mqtt_connection import Connection
from edge.delivery.mqtt_limits import IN_FLIGHT
from edge.delivery.mqtt_probe import probe
from edge.delivery.mqtt_publisher import (
    FIRST_RETRY_S,
    LONGEST_REST_S,
    LONGEST_RETRY_S,
    RETRY_JITTER,
    MqttPublisher,
)
from edge.delivery.mqtt_send_queue import SendQueue
from edge.delivery.outbox import Outbox
from edge.errors import ConfigError, EdgeError
from edge.types import Message, People, Totals
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for
from tests.support.proxy import Proxy, packets
from tools.demo import broker as nats

WILL = Message("t/availability", "offline", 1, retain=True)
ONLINE = Message("t/availability", "online", 1, retain=True)
Subscribe = Callable[..., Subscriber]
Delivery = Callable[..., tuple[Outbox, Courier, MqttPublisher]]
BOTH: tuple[Version, ...] = ("5", "3.1.1")


def broker(port: int, username: str | None = None, password_file: Path | None = None) -> Broker:
    return Broker("127.0.0.1", port, "test-device", username, password_file)


def greeted(publisher: MqttPublisher) -> bool:
    """Greet the broker if it is there, as the courier does."""
    publisher.poll()
    return publisher.connected


DAY = "2026-11-21"


def window(_epoch: str, seq: int, totals: Totals, topic: str = "t/window") -> Message:
    payload = json.dumps({"seq": seq, "total": totals.ever.total, "replayed": False})
    return Message(topic, payload, 1, False, seq)


@pytest.fixture(params=BOTH)
def version(request: pytest.FixtureRequest) -> Version:
    """A version of MQTT."""
    spoken: Version = request.param
    return spoken


@pytest.fixture
def start_delivery(tmp_path: Path, mosquitto: Mosquitto, version: Version) -> Iterator[Delivery]:
    """Start an outbox on disk and a courier that sends its windows to the broker, or a `port`."""
    with contextlib.ExitStack() as stack:

        def start(port: int = mosquitto.port, keepalive: int = 30) -> Any:
            outbox, wake = Outbox(tmp_path / "outbox.db"), threading.Event()
            stack.callback(outbox.close)
            there = replace(broker(port), version=version, keepalive=keepalive)
            publisher = MqttPublisher(there, will=WILL, wake=wake.set)
            stack.callback(publisher.close, ONLINE)
            courier = Courier(outbox, publisher, wake)
            stack.callback(courier.close, 0)
            return outbox, courier, publisher

        yield start


def append(outbox: Outbox, courier: Courier, number: int, topic: str = "t/window") -> None:
    make = functools.partial(window, topic=topic)
    for _ in range(number):
        courier.announce(outbox.append(People(female=1), day=DAY, seconds=60, make=make))


def test_retained_messages_reach_early_and_late_subscribers(
    mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    early = subscribe(mosquitto.port, "t/#")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    publisher.publish(Message("t/state", "1", retain=True))
    publisher.publish(Message("t/state", "2", retain=True))
    publisher.publish(ONLINE)
    wait_for(lambda: greeted(publisher), "no connection")
    wait_for(lambda: early.payloads("availability") == ["online"], "no birth")
    assert early.payloads("state")[-1] == "2"
    late = subscribe(mosquitto.port, "t/#", client_id="late")
    wait_for(lambda: len(late.messages) == 2, "retained messages are missing")
    assert late.payloads("state") == ["2"]
    publisher.close(Message("t/availability", "stopped", 1, retain=True))
    wait_for(lambda: early.payloads("availability")[-1] == "stopped", "no clean end")
    assert "offline" not in early.payloads("availability")


def test_the_will_is_published_when_the_link_breaks(
    mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/#")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    publisher.publish(ONLINE)
    wait_for(lambda: greeted(publisher), "no connection")
    wait_for(lambda: dashboard.payloads("availability") == ["online"], "no birth")
    connection = publisher._link._client.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(
        socket.SHUT_RDWR
    )  # as if the cable were cut; the client notices and reconnects
    wait_for(
        lambda: (
            publisher.poll() and dashboard.payloads("availability")[1:] == ["offline", "online"]
        ),
        "no will, or not sent again after the reconnect",
    )
    publisher.close(ONLINE)


def test_a_broker_that_stops_while_the_publisher_closes(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """The socket is closed, but the connection's thread has not yet reported it."""
    mosquitto.start()
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    wait_for(lambda: greeted(publisher), "no connection")
    gone, reported = threading.Event(), threading.Event()

    def report(*_: object) -> None:
        gone.set()
        reported.wait(20)

    publisher._link._client.on_disconnect = report
    mosquitto.kill()
    assert gone.wait(20)
    threading.Timer(0.5, reported.set).start()
    publisher.close(ONLINE)
    assert "the last message was not delivered" in caplog.text


def test_a_publisher_closed_while_it_connects_never_greets_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another may have its client id by then, and would be thrown out."""
    resolve, asked, answer = socket.getaddrinfo, threading.Event(), threading.Event()

    def slowly(*arguments: Any, **keys: Any) -> Any:
        asked.set()
        assert answer.wait(20)
        return resolve(*arguments, **keys)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        publisher = MqttPublisher(broker(server.getsockname()[1]), will=WILL)
        assert asked.wait(20)
        publisher.close(ONLINE)
        answer.set()
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1) == b""
    publisher._thread.join(20)
    assert not publisher._thread.is_alive()


def test_windows_wait_for_the_broker_and_arrive_in_order(
    start_delivery: Delivery,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox, courier, _ = start_delivery()
    append(outbox, courier, 50)
    wait_for(lambda: "Connection refused" in caplog.text, "the missing broker is not reported")
    assert len(outbox) == 50
    with monkeypatch.context() as patch:
        patch.setattr("edge.delivery.courier.LATE_S", 0.0)
        mosquitto.start()
        dashboard = subscribe(mosquitto.port, "t/window")
        wait_for(lambda: len(outbox) == 0, "windows are not delivered")
    append(outbox, courier, 5)
    wait_for(lambda: len(dashboard.messages) == 55, "windows are missing")
    windows = [json.loads(payload) for payload in dashboard.payloads("window")]
    assert [window["seq"] for window in windows] == list(range(1, 56))
    assert [window["replayed"] for window in windows] == [True] * 50 + [False] * 5
    assert caplog.text.count("Connection refused") == 1


def test_nothing_is_lost_while_the_broker_restarts(
    start_delivery: Delivery, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier, _ = start_delivery()
    for _ in range(2):
        append(outbox, courier, 30)
        mosquitto.stop()
        append(outbox, courier, 30)
        mosquitto.start()
        last = outbox.newest
        wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
        arrived = functools.partial(lambda last: last in seqs(dashboard), last)
        wait_for(arrived, "windows are missing")
    # a message may come twice after a cut; the newest row per seq is the contract's rule
    assert sorted(set(seqs(dashboard))) == list(range(1, 121))


def test_a_disk_that_refuses_for_a_while_delays_but_loses_nothing(
    start_delivery: Delivery,
    tmp_path: Path,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier, _ = start_delivery()
    append(outbox, courier, 1)
    wait_for(lambda: len(outbox) == 0, "the first window is not delivered")
    other = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    other.execute("CREATE TRIGGER no BEFORE DELETE ON windows BEGIN SELECT RAISE(FAIL, 'no'); END")
    append(outbox, courier, 30)
    # windows that can be read are sent all the same
    wait_for(lambda: set(seqs(dashboard)) == set(range(1, 32)), "windows are missing")
    assert caplog.text.count("delivery waits") == 1
    assert len(outbox) == 30
    other.execute("DROP TRIGGER no")
    other.close()
    append(outbox, courier, 1)
    wait_for(lambda: len(outbox) == 0, "the courier gave up")
    wait_for(lambda: len(seqs(dashboard)) >= 32, "the last window did not arrive")
    assert seqs(dashboard) == list(range(1, 33))


def seqs(dashboard: Subscriber) -> list[int]:
    return [json.loads(payload)["seq"] for payload in dashboard.payloads("window")]


@pytest.mark.parametrize(
    ("version", "how"),
    [("5", "stalled"), ("3.1.1", "stalled"), ("5", "cut"), ("3.1.1", "cut"), ("5", "lossy")],
    indirect=["version"],
)
def test_nothing_is_lost_on_a_bad_link(
    start_delivery: Delivery,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_publisher.STABLE_S", 0)
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 0.2)
    monkeypatch.setattr("edge.delivery.mqtt_publisher.LONGEST_REST_S", 1.0)
    monkeypatch.setattr("edge.delivery.mqtt_socket.GREETING_S", 1.0)
    monkeypatch.setattr("edge.delivery.mqtt_socket.KEEPALIVE_CHECK_S", 0.2)
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    link = Proxy(mosquitto.port, lost=0.2 if how == "lossy" else 0)
    outbox, courier, publisher = start_delivery(link.port, keepalive=1)
    for _ in range(1 if how == "lossy" else 2):
        append(outbox, courier, 10)
        wait_for(lambda: len(outbox) < 8, "nothing gets through", 120)
        if how == "stalled":
            link.stalled = True
            append(outbox, courier, 20)
            wait_for(lambda: not publisher.connected, "a dead link is not noticed")
            link.stalled = False
        elif how == "cut":
            append(outbox, courier, 20)
            link.cut()
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox", 240)
    link.close()
    everything = set(range(1, outbox.newest + 1))
    wait_for(lambda: set(seqs(dashboard)) == everything, "windows are missing")
    assert publisher.status()["connects"] > 1
    # TCP keeps order within a connection; a proxy that loses single packets is worse than any link
    assert how == "lossy" or in_order(seqs(dashboard))
    assert (how == "lossy") == (link.dropped > 0)


def test_a_broker_that_acknowledges_nothing_is_left_after_one_and_a_half_keep_alives() -> None:
    answers = {0x10: b"\x20\x06\x00\x00\x03\x21\x00\x02", 0xC0: b"\xd0\x00"}
    """Answers to a greeting, allowing two messages at once, and to a ping, in MQTT 5."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = replace(broker(server.getsockname()[1]), keepalive=5)
        publisher = MqttPublisher(there, will=WILL)
        for number in range(5):
            publisher.publish(Message(f"t/{number}", "", 1, retain=True))
        with server.accept()[0] as link:
            start, received, sent = time.monotonic(), b"", 0
            for packet in packets(link):
                received += packet
                sent += packet[0] & 0xF0 == 0x30
                link.sendall(answers.get(packet[0] & 0xF0, b""))
                publisher.poll()
            assert 7.5 < time.monotonic() - start < 11
            assert sent == 2
        publisher.close(ONLINE)
    # mosquitto checks only every 5 s, so a keep-alive 4 s shorter is requested
    assert received[received.index(b"MQTT") :][6:8] == b"\x00\x01"


def in_order(numbers: list[int]) -> bool:
    """Whether no new number comes before a missing one."""
    newest = 0
    for number in numbers:
        if number > newest + 1:
            return False
        newest = max(newest, number)
    return True


def test_capacity_may_be_read_while_another_thread_publishes(mosquitto: Mosquitto) -> None:
    mosquitto.start()
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    wait_for(lambda: greeted(publisher), "no connection")
    interval, arrived, over = sys.getswitchinterval(), 0, threading.Event()

    def read_capacity() -> None:
        while not over.is_set():
            assert publisher.capacity <= IN_FLIGHT

    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read_capacity)
        while arrived < 2000 and not reader.done():
            if publisher.capacity:
                publisher.publish(Message("t/window", "{}", 1, key=1))
            arrived += len(publisher.poll().delivered)
        over.set()
    sys.setswitchinterval(interval)
    publisher.close(ONLINE)
    reader.result()


def test_a_refused_window_is_reported_and_kept(
    start_delivery: Delivery,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mosquitto.allow("topic readwrite t/availability", "topic readwrite t/state")
    mosquitto.start()
    outbox, courier, publisher = start_delivery()
    publisher.publish(ONLINE)
    append(outbox, courier, 30)
    wait_for(lambda: publisher.status()["refused"] == ["window"], "the refusal is not noticed")
    assert caplog.text.count("refuses topic t/window") == 1
    assert publisher.status()["connects"] == 1
    assert len(outbox) == 30
    mosquitto.allow("topic readwrite t/#")
    mosquitto.stop()
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    wait_for(lambda: len(outbox) == 0, "windows are not delivered once they are allowed")
    wait_for(lambda: seqs(dashboard) == list(range(1, 31)), "windows are missing")
    assert publisher.status()["refused"] == []


def test_windows_refused_under_an_old_name_hold_up_no_others(
    start_delivery: Delivery,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_topics.RETRY_S", 1.0)
    monkeypatch.setattr("edge.delivery.mqtt_echoes.ECHO_S", 1.0)
    mosquitto.allow("topic readwrite t/availability", "topic readwrite new/window")
    mosquitto.start()
    outbox, courier, _ = start_delivery()
    dashboard = subscribe(mosquitto.port, "t/window", "new/window")
    append(outbox, courier, 30)
    append(outbox, courier, 30, "new/window")
    wait_for(lambda: len(outbox) == 30, "windows under the new name wait", 30)
    assert [m.topic for m in dashboard.messages] == ["new/window"] * 30
    assert seqs(dashboard) == list(range(31, 61))

    def refused() -> int:
        return (mosquitto.folder / "mosquitto.log").read_text().count("Denied PUBLISH")

    for _ in range(3):  # one at a time, with those of the new name in between
        before = refused()
        append(outbox, courier, 10, "new/window")
        wait_for(lambda: refused() > before, "not tried again", 30)  # noqa: B023  # asked at once
        assert refused() == before + 1
        wait_for(lambda: len(outbox) == 30, "windows under the new name wait", 30)
    mosquitto.allow("topic readwrite t/#", "topic readwrite new/window")
    later = subscribe(mosquitto.port, "t/window", client_id="later")
    wait_for(lambda: len(outbox) == 0, "windows are not delivered once they are allowed")
    wait_for(lambda: seqs(later) == list(range(1, 31)), "windows are missing")


def test_a_refused_state_does_not_hold_up_windows(
    start_delivery: Delivery, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.allow("topic readwrite t/window")
    mosquitto.start()
    outbox, courier, publisher = start_delivery()
    publisher.publish(Message("t/state", "1", 1, retain=True))
    append(outbox, courier, 30)
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    wait_for(lambda: publisher.status()["refused"] == ["state"], "the refusal is not noticed")
    assert "refuses topic t/state" in caplog.text


def test_without_the_right_to_read_delivery_cannot_be_proven(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.allow("topic write t/#")
    mosquitto.start()
    wake = threading.Event()
    with contextlib.closing(Outbox(tmp_path / "outbox.db")) as outbox:
        for there, left in (
            (replace(broker(mosquitto.port), version="3.1.1"), 5),
            (broker(mosquitto.port), 0),
        ):
            publisher = MqttPublisher(there, will=WILL, wake=wake.set)
            courier = Courier(outbox, publisher, wake)
            append(outbox, courier, 5 - len(outbox))
            wait_for(lambda: publisher.status()["refused"] or not len(outbox), "no end")  # noqa: B023  # asked at once
            assert courier.close(1) == left
            publisher.close(ONLINE)
    assert "may not both write and read it" in caplog.text


def test_each_topic_is_proven_once_per_connection_and_for_longer_messages(
    mosquitto: Mosquitto, start_delivery: Delivery, version: Version
) -> None:
    mosquitto.start()
    outbox, courier, publisher = start_delivery()
    for number in range(3):
        publisher.publish(Message("t/state", str(number), 1, retain=True))
        append(outbox, courier, 30)
        wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
    log = (mosquitto.folder / "mosquitto.log").read_text()
    # window payloads get longer with the tenth
    for topic, subscriptions in (("t/window", 2), ("t/state", 1)):
        assert log.count(f"\t{topic} (QoS 0)") == (0 if version == "5" else subscriptions)


def test_a_broker_that_knows_only_311(tmp_path: Path, subscribe: Subscribe) -> None:
    with nats(tmp_path) as port:
        assert probe(broker(port), [Message("t/check", "", 1)]).version == "3.1.1"
        wake = threading.Event()
        publisher = MqttPublisher(broker(port), will=WILL, wake=wake.set)
        outbox = Outbox(tmp_path / "outbox.db")
        courier = Courier(outbox, publisher, wake)
        append(outbox, courier, 30)
        publisher.publish(ONLINE)
        wait_for(lambda: len(outbox) == 0, "windows stay in the outbox")
        assert publisher.status() == {"version": "3.1.1", "connects": 1, "refused": []}
        assert courier.close(1) == 0
        publisher.close(ONLINE)
        outbox.close()


def test_the_version_that_worked_is_tried_first_and_the_newer_again_one_day(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker of MQTT 3.1.1 is restarted, and at last replaced by one of MQTT 5."""
    tried: list[Version] = []

    class RecordedConnection(Connection):
        def __init__(self, there: Broker, version: Version, **keys: Any) -> None:
            tried.append(version)
            super().__init__(there, version, **keys)

    monkeypatch.setattr("edge.delivery.mqtt_publisher.Connection", RecordedConnection)
    with nats(tmp_path) as port:
        publisher = MqttPublisher(broker(port), will=WILL)
        wait_for(lambda: greeted(publisher), "no connection")
        publisher._link.drop()
        wait_for(lambda: publisher.poll() and publisher.status()["connects"] == 2, "not again")
        assert tried == ["5", "3.1.1", "3.1.1"]
    mosquitto.port = port
    mosquitto.start()
    wait_for(lambda: publisher.poll() and publisher.status()["connects"] == 3, "not again")
    assert set(tried[3:]) == {"3.1.1"}
    monkeypatch.setattr("edge.delivery.mqtt_versions.UPGRADE_S", 0)
    publisher._link.drop()
    wait_for(lambda: publisher.poll() and publisher.status()["connects"] == 4, "not again")
    assert tried[-1] == publisher.status()["version"] == "5"
    publisher.close(ONLINE)


def test_the_other_version_is_tried_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 60.0)
    with nats(tmp_path) as port:
        publisher = MqttPublisher(broker(port), will=WILL)
        wait_for(lambda: greeted(publisher), "it waits in between", 5)
        publisher.close(ONLINE)


def test_retries_are_spread_and_never_end() -> None:
    devices = [Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, RETRY_JITTER) for _ in range(100)]
    waits = [[device.next() for device in devices] for _ in range(2000)]
    assert all(0.5 <= wait <= 12 for tries in waits for wait in tries)
    assert all(len(set(tries)) > 50 for tries in waits)
    assert min(waits[-1]) >= 6
    rests = Backoff(FIRST_RETRY_S, LONGEST_REST_S, RETRY_JITTER)
    assert 30 <= [rests.next() for _ in range(100)][-1] <= 60


def test_two_devices_of_one_name_wait_longer_and_longer(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker disconnects one when the other connects."""
    caplog.set_level("INFO")
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 0.05)
    mosquitto.start()
    with contextlib.ExitStack() as stack:
        twins = [MqttPublisher(broker(mosquitto.port), will=WILL) for _ in range(2)]
        for twin in twins:
            stack.callback(twin.close, ONLINE)
        hint = "; is another device using the same site and device?"
        wait_for(
            lambda: [*map(greeted, twins)] and caplog.text.count(hint) == 2,
            "no hint at the other",
        )
        end = time.monotonic() + 3
        wait_for(lambda: [*map(greeted, twins)] and time.monotonic() > end, "no end")
        assert all(3 < twin.status()["connects"] < 10 for twin in twins)
    assert caplog.text.count("connected by MQTT") == 2
    assert caplog.text.count("connection lost") == 4
    assert caplog.text.count("windows stay on disk") == 2


def test_the_loss_of_a_stable_link_is_logged_again(
    mosquitto: Mosquitto,
    start_delivery: Delivery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("edge.delivery.mqtt_publisher.STABLE_S", 1)
    mosquitto.start()
    _, _, publisher = start_delivery()
    for number in range(1, 3):
        wait_for(lambda: publisher.status()["connects"] == number, "no connection")  # noqa: B023  # asked at once
        time.sleep(1.1)
        mosquitto.stop()
        mosquitto.start()
    wait_for(lambda: publisher.status()["connects"] == 3, "no connection")
    assert caplog.text.count("connected by MQTT") == 3
    assert caplog.text.count("windows stay on disk") == 2


def test_many_connections_leave_no_sockets_behind(
    mosquitto: Mosquitto, start_delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_publisher.STABLE_S", 0)
    mosquitto.start()
    link = Proxy(mosquitto.port)
    _, _, publisher = start_delivery(link.port)
    files = []
    for number in range(1, 9):
        wait_for(lambda: publisher.status()["connects"] == number, "no connection")  # noqa: B023  # asked at once
        files.append(len(list(Path("/proc/self/fd").iterdir())))
        link.cut()
    link.close()
    assert max(files[4:]) <= max(files[:4])


def test_a_machine_that_has_no_more_sockets_is_tried_again(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto.start()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
        wait_for(lambda: "Too many open files" in caplog.text, "it is not logged")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    wait_for(lambda: greeted(publisher), "not tried again")
    publisher.close(ONLINE)


def test_packets_stay_whole_on_a_congested_link(
    start_delivery: Delivery, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    """Two threads publish more than the sockets' buffers hold."""
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    link = Proxy(mosquitto.port)
    outbox, courier, publisher = start_delivery(link.port)
    wait_for(lambda: publisher.connected, "no connection")
    for _ in range(5):
        link.stalled = True
        for number in range(15):
            publisher.publish(Message(f"t/state-{number}", "x" * 1_000_000, 1, retain=True))
            append(outbox, courier, 3)
        link.stalled = False
    wait_for(lambda: len(outbox) == 0, "windows stay in the outbox", 60)
    wait_for(lambda: len(set(seqs(dashboard))) == 225, "windows are missing")
    assert publisher.status()["connects"] == 1
    log = (mosquitto.folder / "mosquitto.log").read_text()
    assert "error" not in log.lower()
    link.close()


def test_windows_of_an_earlier_run_are_marked_as_replayed(
    start_delivery: Delivery, tmp_path: Path, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    before = Outbox(tmp_path / "outbox.db")
    before.append(People(female=1), day=DAY, seconds=60, make=window)
    before.close()
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier, _ = start_delivery()
    append(outbox, courier, 1)
    wait_for(lambda: len(dashboard.messages) == 2, "windows are missing")
    marks = [json.loads(payload)["replayed"] for payload in dashboard.payloads("window")]
    assert marks == [True, False]


def test_home_assistant_gets_everything_again_when_it_starts(
    mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/state")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL, birth_topic="homeassistant/status")
    publisher.publish(Message("t/state", "1", retain=True))
    wait_for(lambda: publisher.poll() and dashboard.payloads("state") == ["1"], "no state")
    assistant = MqttPublisher(
        Broker("127.0.0.1", mosquitto.port, "home-assistant"),
        will=Message("homeassistant/status", "offline"),
    )
    assistant.publish(Message("homeassistant/status", "online", retain=True))
    wait_for(lambda: greeted(assistant), "no connection")
    wait_for(
        lambda: publisher.poll() and dashboard.payloads("state") == ["1", "1"],
        "state is not sent again",
    )
    assistant.close(Message("homeassistant/status", "offline", retain=True))
    publisher.close(ONLINE)


@pytest.mark.parametrize("version", BOTH)
def test_commands_are_handed_on_unless_they_are_old(mosquitto: Mosquitto, version: Version) -> None:
    mosquitto.start()
    commands: list[bytes] = []
    old = MqttPublisher(broker(mosquitto.port), will=WILL)
    old.publish(Message("t/command", "pause", 1, retain=True))
    wait_for(lambda: greeted(old), "no connection")
    old.close(ONLINE)
    there = replace(broker(mosquitto.port), version=version)
    publisher = MqttPublisher(
        there, will=WILL, birth_topic="homeassistant/status",
        command_topic="t/command", on_command=commands.append,
    )  # fmt: skip
    publisher.publish(Message("t/state", "1", retain=True))

    def resumed() -> bool:
        publisher.poll()
        mqtt_publish.single("t/command", "resume", 1, hostname="127.0.0.1", port=mosquitto.port)
        return bool(commands)

    wait_for(resumed, "no command arrives")
    assert set(commands) == {b"resume"}
    publisher.close(ONLINE)


def test_what_waits_to_be_sent_is_replaced_by_the_newest_of_its_topic() -> None:
    waiting = SendQueue(lambda _topic: False)
    window = [Message("t/window", str(number), key=number) for number in (1, 2)]
    for message in (
        Message("t/presence", "1"), window[0], Message("t/health", "a"), window[1],
        Message("t/presence", "2"), Message("t/presence", "3"),
    ):  # fmt: skip
        waiting.put(message)
    sent = [waiting.next([]) for _ in range(len(waiting) + 1)]
    assert sent == [*window, Message("t/presence", "3"), Message("t/health", "a"), None]


def test_probe_reports_the_reason(mosquitto: Mosquitto) -> None:
    with pytest.raises(EdgeError, match=rf"127\.0\.0\.1:{mosquitto.port}: Connection refused"):
        probe(broker(mosquitto.port))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        start = time.monotonic()
        with pytest.raises(EdgeError, match="accepts the connection but does not answer"):
            probe(broker(mute.getsockname()[1]), timeout_s=0.5)
        assert time.monotonic() - start < 12
    mosquitto.start()
    assert probe(broker(mosquitto.port)).version == "5"


def test_password_comes_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheim\n")
    client = broker(1, username="u", password_file=file).client("5")
    assert client.password == "geheim"
    file.unlink()
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        broker(1, username="u", password_file=file).client("5")


def test_a_file_that_is_not_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"mqtt\.tls"):
        tls_context(tmp_path / "ca.pem", None, None)
    context = tls_context(None, None, None)
    assert context.check_hostname
