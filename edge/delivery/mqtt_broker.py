"""Where the broker is, and how to log in there."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.errors import ConfigError

Version = Literal["5", "3.1.1"]
VERSIONS: dict[Version, MQTTProtocolVersion] = {
    "5": MQTTProtocolVersion.MQTTv5,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
}
BROKER_LATE_S = 4
"""A broker waits for one and a half keep-alives, and mosquitto looks but every 5 s (its
src/keepalive.c): asking for so much less has `offline` told within one and a half of ours."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker as one user."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password_file: Path | None = None
    keepalive: int = 30
    """Seconds; a link on which nothing moves for one and a half times as long is dead."""
    tls: ssl.SSLContext | None = None
    version: Version | None = None
    """The only version of MQTT to speak; None: 5 where the broker does, else 3.1.1."""

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def asked_keepalive(self) -> int:
        """Seconds that the broker is told."""
        return max(1, self.keepalive - BROKER_LATE_S)

    def client(self, version: Version) -> mqtt.Client:
        """A client for one connection, not yet made.

        The password is read anew each time: it may be changed while the daemon runs.

        Raises ConfigError where its file cannot be read.
        """
        client = mqtt.Client(
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
    """What `file` holds, less the end of its line. Raises ConfigError where it cannot be read."""
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise ConfigError(f"mqtt.password_file: {file}: cannot be read ({reason})") from error


def tls_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    """TLS 1.2 or newer with the host name checked; a client certificate where one is given.

    Raises ConfigError where a file is not what it should be.
    """

    def no_phrase() -> str:  # OpenSSL would ask for it on the terminal, if there is one
        raise ConfigError(f"mqtt.tls.key_file: {key_file}: must not be locked by a pass phrase")

    used = f"ca_file: {ca_file}"
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # from Python 3.13 on an authority must name its key's usage, which few home-made ones do
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if cert_file is not None:
            used = f"cert_file: {cert_file} with key_file {key_file}"
            context.load_cert_chain(cert_file, key_file, no_phrase)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"mqtt.tls.{used}: cannot be used ({error})") from error
    return context
