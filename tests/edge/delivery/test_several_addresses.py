"""`mqtt.host` as one name with several addresses, by TLS: devices find the broker that is there.

The name is resolved in this process; everything else is real.
"""

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.delivery.messages import Messages
from edge.delivery.mqtt_broker import Broker
from edge.delivery.mqtt_publisher import MqttPublisher
from tests.support.broker import free_port
from tests.support.certificates import FleetBroker, MadeFleet, login
from tests.support.commands import wait_for

# a handshake that fails leaves paho's socket to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NAME = "brokers.example"
ADDRESSES = ("127.0.0.1", "127.0.0.2")
DEVICES = 10

Connect = Callable[[int], list[MqttPublisher]]


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give `NAME` its addresses."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **keys: Any) -> list[Any]:
        hosts = ADDRESSES if host == NAME else [host]
        return [found for one in hosts for found in real(one, port, *args, **keys)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    gc.collect()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> MadeFleet:
    fleet = MadeFleet(tmp_path_factory.mktemp("fleet"))
    fleet.broker(NAME)
    return fleet


@pytest.fixture
def nodes(fleet: MadeFleet, tmp_path: Path) -> Iterator[list[FleetBroker]]:
    """A broker at each address, the same for all who know its name; not started yet."""
    port, nodes = free_port(), []
    for address in ADDRESSES:
        (tmp_path / address).mkdir()
        node = FleetBroker(tmp_path / address, port, fleet=fleet, address=address)
        nodes.append(node)
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def connect(fleet: MadeFleet, nodes: list[FleetBroker], tmp_path: Path) -> Iterator[Connect]:
    """Let devices connect to `NAME`."""
    with ExitStack() as stack:

        def make(number: int) -> list[MqttPublisher]:
            publishers = []
            for name in (f"device-{number}" for number in range(number)):
                messages = Messages(site="store-7", device=name, model=None, discovery_prefix=None)
                broker = Broker(NAME, nodes[0].port, f"edge-tally/store-7/{name}")
                broker = replace(broker, tls=login(fleet.device(name), tmp_path))
                publisher = MqttPublisher(broker, will=messages.availability("offline"))
                stack.callback(publisher.close, messages.availability("stopped"))
                publishers.append(publisher)
            return publishers

        yield make


def connected(node: FleetBroker) -> int:
    """How many devices a broker has let in."""
    return (node.folder / "mosquitto.log").read_text().count("New client connected")


def test_all_devices_move_when_a_broker_dies(nodes: list[FleetBroker], connect: Connect) -> None:
    for node in nodes:
        node.start()
    connect(DEVICES)
    wait_for(lambda: sum(map(connected, nodes)) == DEVICES, "they do not connect")
    nodes[0].kill()
    wait_for(lambda: connected(nodes[1]) == DEVICES, "they do not move", 20)


def test_a_broker_that_accepts_and_is_silent_is_left(
    nodes: list[FleetBroker], connect: Connect
) -> None:
    """One whose process hangs: the kernel still accepts its connections."""
    nodes[1].start()
    with socket.create_server((ADDRESSES[0], nodes[0].port)):
        connect(1)
        wait_for(lambda: connected(nodes[1]) == 1, "it waits for the silent one", 20)
