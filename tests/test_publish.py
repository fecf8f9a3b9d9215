"""Publishing and delivery against a real broker."""

import contextlib
import functools
import io
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Mosquitto, Subscriber, wait_for

from edge.deliver import Courier
from edge.errors import ConfigError, EdgeError
from edge.outbox import Outbox
from edge.publish import Broker, JsonLinesPublisher, MqttPublisher, probe, tls_context
from edge.records import Message, People, Totals

WILL = Message("t/availability", "offline", 1, retain=True)
ONLINE = Message("t/availability", "online", 1, retain=True)
Subscribe = Callable[..., Subscriber]
Delivery = Callable[[], tuple[Outbox, Courier]]


def broker(port: int, username: str | None = None, password_file: Path | None = None) -> Broker:
    return Broker("127.0.0.1", port, "test-device", username, password_file)


DAY = "2026-11-21"


def window(seq: int, totals: Totals) -> Message:
    payload = json.dumps({"seq": seq, "total": totals.ever.total, "replayed": False})
    return Message("t/window", payload, 1, False, seq)


@pytest.fixture
def start_delivery(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Delivery]:
    """An outbox on disk whose windows a courier brings to the broker; all delivered at the end."""
    with contextlib.ExitStack() as stack:

        def start() -> tuple[Outbox, Courier]:
            outbox, wake = Outbox(tmp_path / "outbox.db"), threading.Event()
            stack.callback(outbox.close)
            publisher = MqttPublisher(broker(mosquitto.port), will=WILL, wake=wake.set)
            stack.callback(publisher.close, ONLINE)
            courier = Courier(outbox, publisher, wake)
            stack.callback(lambda: _all_delivered(courier))
            return outbox, courier

        yield start


def _all_delivered(courier: Courier) -> None:
    assert courier.close(5) == 0


def append(outbox: Outbox, courier: Courier, number: int) -> None:
    for _ in range(number):
        courier.announce(outbox.append(People(female=1), DAY, window))


def test_json_lines_are_delivered_once_written() -> None:
    stream = io.StringIO()
    publisher = JsonLinesPublisher(stream)
    publisher.publish(Message("a/window", '{"n": 1}', 1, False, 7))
    publisher.publish(Message("a/availability", "online"))
    assert publisher.poll() == [7]
    assert publisher.poll() == []
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"topic": "a/window", "payload": {"n": 1}},
        {"topic": "a/availability", "payload": "online"},
    ]


def test_retained_now_and_for_who_comes_later(mosquitto: Mosquitto, subscribe: Subscribe) -> None:
    mosquitto.start()
    early = subscribe(mosquitto.port, "t/#")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    publisher.publish(Message("t/state", "1", retain=True))
    publisher.publish(Message("t/state", "2", retain=True))
    publisher.publish(ONLINE)
    wait_for(lambda: publisher.poll() or publisher.connected, "no connection")
    wait_for(lambda: early.payloads("availability") == ["online"], "no birth")
    assert early.payloads("state")[-1] == "2"
    late = subscribe(mosquitto.port, "t/#", client_id="late")
    wait_for(lambda: len(late.messages) == 2, "retained messages are missing")
    assert late.payloads("state") == ["2"]
    publisher.close(Message("t/availability", "stopped", 1, retain=True))
    wait_for(lambda: early.payloads("availability")[-1] == "stopped", "no clean end")
    assert "offline" not in early.payloads("availability")


def test_the_will_speaks_when_the_device_cannot(mosquitto: Mosquitto, subscribe: Subscribe) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/#")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL)
    publisher.publish(ONLINE)
    wait_for(lambda: publisher.poll() or publisher.connected, "no connection")
    wait_for(lambda: dashboard.payloads("availability") == ["online"], "no birth")
    connection = publisher._client.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)  # the cable is cut; the client notices and comes back
    wait_for(
        lambda: publisher.poll() or dashboard.payloads("availability")[1:] == ["offline", "online"],
        "no will, or not sent again after the reconnect",
    )
    publisher.close(ONLINE)


def test_windows_wait_for_the_broker_and_arrive_in_order(
    start_delivery: Delivery,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox, courier = start_delivery()
    append(outbox, courier, 50)
    wait_for(lambda: "does not answer" in caplog.text, "the missing broker is not reported")
    assert len(outbox) == 50
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    wait_for(lambda: len(outbox) == 0, "windows are not delivered")
    append(outbox, courier, 5)
    wait_for(lambda: len(dashboard.messages) == 55, "windows are missing")
    seen = [json.loads(payload)["seq"] for payload in dashboard.payloads("window")]
    assert seen == list(range(1, 56))
    assert caplog.text.count("does not answer") == 1


def test_nothing_is_lost_while_the_broker_restarts(
    start_delivery: Delivery, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier = start_delivery()
    for _ in range(2):
        append(outbox, courier, 30)
        mosquitto.stop()
        append(outbox, courier, 30)
        mosquitto.start()
        last = outbox.newest()
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
    outbox, courier = start_delivery()
    append(outbox, courier, 1)
    wait_for(lambda: len(outbox) == 0, "the first window is not delivered")
    append(outbox, courier, 1)
    lock = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    wait_for(lambda: "delivery waits" in caplog.text, "the courier meets no trouble")
    lock.execute("ROLLBACK")
    lock.close()
    append(outbox, courier, 1)
    wait_for(lambda: len(outbox) == 0, "the courier gave up")
    assert sorted(set(seqs(dashboard))) == [1, 2, 3]


def seqs(dashboard: Subscriber) -> list[int]:
    return [json.loads(payload)["seq"] for payload in dashboard.payloads("window")]


def test_windows_of_an_earlier_run_are_marked_as_replayed(
    start_delivery: Delivery, tmp_path: Path, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    before = Outbox(tmp_path / "outbox.db")
    before.append(People(female=1), DAY, window)
    before.close()
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/window")
    outbox, courier = start_delivery()
    append(outbox, courier, 1)
    wait_for(lambda: len(dashboard.messages) == 2, "windows are missing")
    marks = [json.loads(payload)["replayed"] for payload in dashboard.payloads("window")]
    assert marks == [True, False]


def test_home_assistant_that_comes_up_gets_everything_again(
    mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "t/state")
    publisher = MqttPublisher(broker(mosquitto.port), will=WILL, birth_topic="homeassistant/status")
    publisher.publish(Message("t/state", "1", retain=True))
    wait_for(lambda: publisher.poll() or dashboard.payloads("state") == ["1"], "no state")
    assistant = MqttPublisher(
        Broker("127.0.0.1", mosquitto.port, "home-assistant"),
        will=Message("homeassistant/status", "offline"),
    )
    assistant.publish(Message("homeassistant/status", "online", retain=True))
    wait_for(lambda: assistant.poll() or assistant.connected, "no connection")
    wait_for(
        lambda: publisher.poll() or dashboard.payloads("state") == ["1", "1"],
        "state is not sent again",
    )
    assistant.close(Message("homeassistant/status", "offline", retain=True))
    publisher.close(ONLINE)


def test_probe_says_why(mosquitto: Mosquitto) -> None:
    with pytest.raises(EdgeError, match=rf"127\.0\.0\.1:{mosquitto.port}: Connection refused"):
        probe(broker(mosquitto.port))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        begin = time.monotonic()
        with pytest.raises(EdgeError, match="does not speak MQTT"):
            probe(broker(mute.getsockname()[1]), timeout_s=1)
        assert time.monotonic() - begin < 5
    mosquitto.start()
    probe(broker(mosquitto.port))


def test_password_comes_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheim\n")
    client = broker(1, username="u", password_file=file).client()
    assert client.password == "geheim"
    file.unlink()
    with pytest.raises(ConfigError, match=r"mqtt\.password_file"):
        broker(1, username="u", password_file=file).client()


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"mqtt\.tls"):
        tls_context(tmp_path / "ca.pem", None, None)
    context = tls_context(None, None, None)
    assert context.check_hostname
