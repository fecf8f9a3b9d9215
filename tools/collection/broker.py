"""Where the dashboard's broker is."""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from edge.errors import ConfigError


class Broker(NamedTuple):
    """Where it is and how to log in."""

    host: str
    port: int
    tls: bool
    username: str
    password: str

    @classmethod
    def parse(cls, url: str) -> "Broker":
        """`mqtt://user:password@host:port` or `mqtts://...`. Raises ConfigError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"--broker: {error}; write it like mqtt://localhost:1883") from None
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
            raise ConfigError(
                "--broker: must be like mqtt://localhost:1883 or mqtts://user@broker.example"
            )
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname, port or (8883 if tls else 1883), tls,
            unquote(parts.username or ""), unquote(parts.password or ""),
        )  # fmt: skip


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Checks the broker by its authority's certificate `ca`, or by those that the system knows,
    and shows it the certificate `cert`, if there is one. Raises ConfigError."""

    def refuse_passphrase() -> str:  # otherwise OpenSSL asks on the terminal
        raise ConfigError(f"--broker-key {key}: must not be protected by a passphrase")

    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # also ssl.SSLError
        raise ConfigError(f"--broker-ca {ca}: {error.strerror or error}") from None
    if cert is not None and key is not None:
        try:
            context.load_cert_chain(cert, key, refuse_passphrase)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"--broker-cert {cert}, --broker-key {key}: {reason}") from None
    return context
