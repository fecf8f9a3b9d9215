"""Proves that certificate, private key and authority belong together, as a broker would.

Like `bundle`, this module needs nothing but the standard library.
"""

import os
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge import credentials
from edge.enrollment import bundle
from edge.enrollment.bundle import Bundle
from edge.errors import ConfigError, EdgeError

PROBLEMS = {
    9: "the certificate is not valid yet: is this machine's clock right ({now})?",
    10: "the certificate has expired: renew it, or correct this machine's clock ({now})",
    18: "the certificate is not signed by the bundle's authority",
    19: "the certificate is not signed by the bundle's authority",
    20: "the certificate is not signed by the bundle's authority",
    21: "the certificate is not signed by the bundle's authority",
    26: "the certificate is not for a device (client authentication)",
    79: "the second certificate is not that of an authority",
}
"""What is wrong with a certificate, by OpenSSL's error number (X509_V_ERR_...)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A device: its name, and its certificate with the private key."""

    name: str
    expires: datetime
    """In UTC."""
    pem: str = field(repr=False)
    """Certificate and private key."""


def installed_key(root: Path) -> str | None:
    """The private key of this machine, whose files lie below `root`, if it has one.

    Raises EdgeError if it cannot be read.
    """
    stored = credentials.stored(credentials.IDENTITY, root)
    try:
        return bundle.key_in(stored.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EdgeError(f"{stored}: cannot be read ({error.strerror}); it needs root") from error


def prove(content: Bundle, key: str | None) -> Identity:
    """The identity that a bundle gives with its own private key, or else with `key` (PEM).

    A TLS connection within this process tries it, in which the server asks for the certificate.
    Raises ConfigError if the parts do not belong together or the certificate is not valid now.
    """
    whose = "private key" if content.key else "installed private key"
    key = content.key or key
    if key is None:
        raise ConfigError(
            "renews a certificate (it holds no private key), but none is installed here"
        )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    try:
        server.load_verify_locations(cadata=content.authority)
    except ssl.SSLError as error:
        raise ConfigError(f"the second certificate cannot be read ({error.reason})") from error
    try:
        for context in (server, client):
            _load(context, content.certificate + key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"the certificate is for another key than the {whose}") from error
        raise ConfigError(
            f"certificate or private key cannot be read ({error.reason or 'no PEM'})"
        ) from error
    peer = _shake_hands(server, client).getpeercert() or {}
    subject: Any = peer.get("subject", ())
    names = [value for part in subject for kind, value in part if kind == "commonName"]
    if len(names) != 1:
        raise ConfigError(f"the certificate names {len(names)} devices, not one")
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(peer["notAfter"])), UTC)
    return Identity(names[0], expires, content.certificate + key)


def _load(context: ssl.SSLContext, certificate_and_key: str) -> None:
    """Load both from memory: the private key must not come to lie in another file."""

    def refuse_passphrase() -> str:  # otherwise OpenSSL asks on the terminal
        raise ConfigError("the private key must not be protected by a passphrase")

    descriptor = os.memfd_create("identity")
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificate_and_key.encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=refuse_passphrase)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """Connect the two, and return the server's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    asked = server.wrap_bio(to_server, to_client, server_side=True)
    pending = [asking, asked]
    while pending:
        for side in tuple(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                problem = PROBLEMS.get(error.verify_code, "the certificate is not valid")
                now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                raise ConfigError(f"{problem.format(now=now)} ({error.verify_message})") from error
            except ssl.SSLError as error:
                raise ConfigError(f"the certificate cannot be used ({error.reason})") from error
    return asked
