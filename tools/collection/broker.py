"""Where the dashboard's broker is."""

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
