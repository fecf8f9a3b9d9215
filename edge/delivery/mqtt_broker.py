"""A broker's address and login."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.delivery.mqtt_addresses import Address, connect
from edge.errors import ConfigError

Version = Literal["5", "3.1.1"]
VERSIONS: dict[Version, MQTTProtocolVersion] = {
    "5": MQTTProtocolVersion.MQTTv5,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
}
BROKER_LATE_S = 4
"""Seconds less than the configured keep-alive that the broker is given. It waits for one and a half
keep-alives, and mosquitto checks only every 5 s (its src/keepalive.c): this way `offline` is
published within one and a half of the configured ones."""


class Client(mqtt.Client):
    """A client for one connection to one of its host's addresses."""

    address: Address | None = None
    """To connect to; certificates are still compared with the host's name. None: the first one
    that takes the connection."""

    # paho has no public way to connect to an address and verify a name
    def _create_socket_connection(self) -> socket.socket:
        if self.address is None:
            return super()._create_socket_connection()
        return connect(self.address, self.connect_timeout)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker, and the user that logs in to it."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password_file: Path | None = None
    keepalive: int = 30
    """Seconds; a link that is silent for one and a half times as long is dead."""
    tls: ssl.SSLContext | None = None
    version: Version | None = None
    """The only version of MQTT to speak; None: 5 if the broker speaks it, else 3.1.1."""

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def requested_keepalive(self) -> int:
        """Seconds, as requested from the broker."""
        return max(1, self.keepalive - BROKER_LATE_S)

    def client(self, version: Version) -> Client:
        """Return a client for one connection, not yet connected.

        The password is read each time: it may change while the daemon runs.

        Raises ConfigError if its file cannot be read.
        """
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            protocol=VERSIONS[version],
            reconnect_on_failure=False,
        )
        if self.username is not None:
            client.username_pw_set(self.username, password(self.password_file))
        if self.tls is not None:
            client.tls_set_context(self.tls)
        return client


def password(file: Path | None) -> str | None:
    """Return the content of `file` without its line end. Raises ConfigError if it is unreadable."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError(f"mqtt.password_file: {file}: cannot be read ({reason})") from error


def tls_context(
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    *,
    option: str = "mqtt.tls.{}_file:",
) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that checks the host name.

    With `cert_file` and `key_file` it has a client certificate. Raises ConfigError if a file is
    unreadable or of the wrong kind; `option` is how errors name the settings `ca`, `cert` and
    `key`.
    """
    ca, cert, key = map(option.format, ("ca", "cert", "key"))

    def refuse_passphrase() -> str:  # otherwise OpenSSL asks on the terminal
        raise ConfigError(f"{key} {key_file}: must not be protected by a passphrase")

    files = f"{ca} {ca_file}"
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 requires an authority to state its key usage; few home-made ones do
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cert_file is not None:
            files = f"{cert} {cert_file} with {key} {key_file}"
            context.load_cert_chain(cert_file, key_file, refuse_passphrase)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"{files}: cannot be used ({error})") from error
    return context
