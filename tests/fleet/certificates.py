"""Brokers asked as a device with a certificate."""

import ssl
from pathlib import Path

from edge.delivery.mqtt_broker import Broker, tls_context
from edge.delivery.mqtt_probe import probe
from edge.errors import EdgeError
from edge.types import Message
from tests.fleet.devices import NAME

OWN = Message("tally/v1/store-7/lobby/window", "{}", 1)
FOREIGN = Message("tally/v1/store-7/door-2/window", "{}", 1)


def tls(certificates: Path, name: str) -> ssl.SSLContext:
    own = certificates / name
    return tls_context(certificates / "ca.crt", own.with_suffix(".crt"), own.with_suffix(".key"))


def check(port: int, certificates: Path, name: str, message: Message) -> str:
    """Return the version that a broker accepts `message` by, or why it does not."""
    try:
        return probe(Broker(NAME, port, name, tls=tls(certificates, name)), [message]).version
    except EdgeError as error:
        return str(error)
