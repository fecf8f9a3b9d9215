"""Which address of a name is tried next; and a name that stands for several brokers."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge.delivery.courier import Courier
from edge.delivery.mqtt_addresses import FORGET_S, Addresses, connect
from edge.delivery.mqtt_broker import Broker
from edge.delivery.mqtt_patience import Patience
from edge.delivery.mqtt_probe import probe
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.delivery.outbox import Outbox
from edge.types import Message, People
from tests.support.broker import Mosquitto
from tests.support.commands import wait_for
from tests.support.proxy import packets

NAME = "brokers.test"
WILL = Message("t/availability", "offline", 1, retain=True)
GREETING, PING = b"\x20\x03\x00\x00\x00", b"\xd0\x00"
Resolve = Callable[..., None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Let `NAME` have these addresses, in this order."""
    system = socket.getaddrinfo

    def use(*addresses: str) -> None:
        def getaddrinfo(host: Any, port: Any, *args: Any, **keys: Any) -> Any:
            if host != NAME:
                return system(host, port, *args, **keys)
            if not addresses:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return [found for a in addresses for found in system(a, port, *args, **keys)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return use


def host(addresses: Addresses) -> str:
    return str(addresses.next()[1][0])


def test_devices_are_spread_over_all_addresses(resolve: Resolve) -> None:
    resolve("127.0.0.1", "127.0.0.2", "127.0.0.3")
    drawn = Counter(host(Addresses(NAME, 1883)) for _ in range(300))
    assert len(drawn) == 3
    assert min(drawn.values()) > 50


def test_what_failed_comes_last_until_that_is_forgotten(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve("127.0.0.1", "127.0.0.2", "127.0.0.3")
    now = [1000.0]
    monkeypatch.setattr("edge.delivery.mqtt_addresses.time.monotonic", lambda: now[0])
    addresses, order, more = Addresses(NAME, 1883), [], []
    for _ in range(3):
        order.append(addresses.next())
        addresses.failed(order[-1])
        more.append(addresses.more)
        now[0] += 1
    assert len(set(order)) == 3
    assert more == [True, True, False], "the round is over"
    addresses.new_round()
    assert addresses.more
    assert [addresses.next() for _ in range(20)] == [order[0]] * 20, "the longest ago"
    now[0] += FORGET_S
    assert len({addresses.next() for _ in range(100)}) == 3


def test_the_systems_choice_of_family_stands(resolve: Resolve) -> None:
    resolve("::1", "127.0.0.1", "127.0.0.2")
    addresses = Addresses(NAME, 1883)
    assert {host(addresses) for _ in range(20)} == {"::1"}
    addresses.failed(addresses.next())
    assert {host(addresses) for _ in range(50)} == {"127.0.0.1", "127.0.0.2"}


def test_a_resolver_that_is_away(resolve: Resolve) -> None:
    resolve()
    addresses = Addresses(NAME, 1883)
    with pytest.raises(socket.gaierror):
        addresses.next()
    assert not addresses.more, "there is nothing to try"
    resolve("127.0.0.2")
    assert host(addresses) == "127.0.0.2"
    resolve()
    assert host(addresses) == "127.0.0.2", "the last known"
    resolve("127.0.0.3")
    assert host(addresses) == "127.0.0.3"


def test_an_address_that_does_not_answer_costs_a_limited_time() -> None:
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())  # the queue is full now: further ones get no answer
        with pytest.raises(TimeoutError):
            connect((socket.AF_INET, full.getsockname()), 0.2)


def test_patience_grows_while_nothing_is_acknowledged() -> None:
    patience = Patience(45.0)
    seconds = []
    for _ in range(4):
        seconds.append(patience.seconds)
        patience.after(stalled=True, stable=True)
    assert seconds == [10, 20, 40, 45]
    patience.after(stalled=False, stable=False)
    assert patience.seconds == 45
    patience.after(stalled=False, stable=True)
    assert patience.seconds == 10
    assert Patience(7.5).seconds == 7.5


class HalfDead:
    """A broker that greets, if it does, but acknowledges nothing; no real one can be made to."""

    def __init__(self, address: str, port: int, *, greets: bool) -> None:
        self.connects = 0
        self._greets, self._links = greets, contextlib.ExitStack()
        self._server = socket.create_server((address, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link = self._links.enter_context(self._server.accept()[0])
                self.connects += 1
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for packet in packets(link):
                if packet[0] == 0x10 and self._greets:
                    link.sendall(GREETING)
                elif packet[0] == 0xC0:
                    link.sendall(PING)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._links.close()


Serve = Callable[..., HalfDead]


@pytest.fixture
def half_dead() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def serve(address: str, port: int, *, greets: bool = True) -> HalfDead:
            server = HalfDead(address, port, greets=greets)
            stack.callback(server.close)
            return server

        yield serve


@pytest.mark.parametrize("greets", [True, False])
def test_a_broker_that_hangs_is_left_for_another(
    mosquitto: Mosquitto,
    resolve: Resolve,
    half_dead: Serve,
    monkeypatch: pytest.MonkeyPatch,
    greets: bool,
) -> None:
    monkeypatch.setattr("edge.delivery.mqtt_patience.FIRST_S", 0.5)
    monkeypatch.setattr("edge.delivery.mqtt_socket.GREETING_S", 0.5)
    monkeypatch.setattr("edge.delivery.mqtt_publisher.FIRST_RETRY_S", 0.1 if greets else 60.0)
    resolve("127.0.0.2", "127.0.0.1")
    hung = half_dead("127.0.0.2", mosquitto.port, greets=greets)
    if not greets:  # it may be tried first or not
        mosquitto.start()
    wake = threading.Event()
    there = replace(Broker(NAME, mosquitto.port, "lobby"), version="5")
    with contextlib.closing(Outbox(None)) as outbox:
        publisher = MqttPublisher(there, will=WILL, wake=wake.set)
        courier = Courier(outbox, publisher, wake)
        if greets:
            wait_for(lambda: publisher.connected, "no connection to the only one there")
            mosquitto.start()
        outbox.append(
            People(1), day="2026-11-26", seconds=60,
            make=lambda _epoch, seq, _totals: Message("t/window", str(seq), 1, key=seq),
        )  # fmt: skip
        wait_for(lambda: len(outbox) == 0, "the window waits for a broker that hangs", 20)
        assert hung.connects <= 2
        assert courier.close(1) == 0
        publisher.close(WILL)


def test_the_probe_tries_all_addresses(
    mosquitto: Mosquitto, resolve: Resolve, half_dead: Serve
) -> None:
    mosquitto.start()
    resolve("127.0.0.3", "127.0.0.2", "127.0.0.1")
    half_dead("127.0.0.2", mosquitto.port, greets=False)
    there = Broker(NAME, mosquitto.port, "lobby")
    for _ in range(3):
        assert probe(there, timeout_s=0.3).version == "5"
