"""Which version of MQTT the next connection speaks, and to which address."""

import socket
from dataclasses import dataclass, field

import pytest

from edge.delivery.mqtt_addresses import Address
from edge.delivery.mqtt_attempts import Attempts
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_limits import Limits

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@dataclass
class Link:
    """A connection that has ended; silent unless it says more."""

    version: Version
    address: Address | None
    limits: Limits = field(default_factory=Limits)
    opened: bool = False
    hung: bool = False
    speaks_other: bool = True
    refusal: str | None = None
    will_refused: bool = False


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    system = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _host, *args, **keys: [f for a in ADDRESSES for f in system(a, *args, **keys)],
    )
    return Attempts(Broker("brokers.test", 1883, "lobby"))


def ended(attempts: Attempts, **keys: bool | str) -> Link:
    return Link(attempts.version, attempts.addresses.next(), **keys)  # type: ignore[arg-type]  # each has its field's type


def test_a_broker_that_answers_in_another_version_is_asked_again_at_once(
    attempts: Attempts,
) -> None:
    versions = [attempts.version]
    assert attempts.after(ended(attempts, refusal="Unsupported protocol version"))
    versions.append(attempts.version)
    assert not attempts.after(ended(attempts, opened=True)), "a connection that was lost"
    versions.append(attempts.version)
    assert versions == ["5", "3.1.1", "3.1.1"]


def test_a_silent_broker_is_passed_over_before_another_version_is_tried(
    attempts: Attempts,
) -> None:
    tried = []
    for _ in range(6):
        link = ended(attempts)
        tried.append((link.version, link.address))
        at_once = attempts.after(link)
    assert [version for version, _ in tried] == ["5"] * 3 + ["3.1.1"] * 3
    assert len(set(tried)) == 6
    assert not at_once, "the round is over"
    assert attempts.version == "5"


def test_brokers_that_all_hang_are_not_greeted_in_a_version_they_do_not_need(
    attempts: Attempts,
) -> None:
    attempts.after(ended(attempts, opened=True))
    at_once = [attempts.after(ended(attempts, hung=True)) for _ in range(3)]
    assert at_once == [True, True, False]
    assert attempts.version == "5"


def test_brokers_that_refuse_connections_are_tried_in_turn(attempts: Attempts) -> None:
    links = []
    for _ in range(3):
        links.append(ended(attempts, speaks_other=False))
        at_once = attempts.after(links[-1])
    assert {link.address[1][0] for link in links if link.address} == set(ADDRESSES)
    assert {link.version for link in links} == {"5"}
    assert not at_once
