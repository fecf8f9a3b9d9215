"""Who may read the page: this machine alone, or anyone with the password."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from edge.atomic_file import write_atomically
from edge.errors import ConfigError
from edge.host import is_loopback

COST = {"n": 2**15, "r": 8, "p": 1}
"""Of scrypt: 32 MiB and about 0.1 s for each password that is tried."""
MEMORY = 64 * 2**20
SALT_BYTES = 16
LEAST_LENGTH = 10
"""Of a password, characters."""
LONGEST_HEADER = 1000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Password:
    """A password that is known by its hash alone."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigError if `file` does not hold what `write` wrote."""
        try:
            kind, salt, key = file.read_text().strip().split(":")
            self._salt, self._key = bytes.fromhex(salt), bytes.fromhex(key)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "holds no hash"
            raise ConfigError(
                f"--password-file {file}: {reason}; --set-password writes it"
            ) from None
        if kind != "scrypt":
            raise ConfigError(f"--password-file {file}: holds no hash; --set-password writes it")
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)
        self._known = b""

    @staticmethod
    def write(file: Path, password: str) -> None:
        """Write its hash. Raises ConfigError if it is short, or if the file cannot be written."""
        if len(password) < LEAST_LENGTH:
            raise ConfigError(f"the password must have {LEAST_LENGTH} characters or more")
        salt = os.urandom(SALT_BYTES)
        try:
            os.umask(0o077)  # for its owner alone
            write_atomically(file, f"scrypt:{salt.hex()}:{_hash(password, salt).hex()}\n".encode())
        except OSError as error:
            raise ConfigError(f"{file}: cannot be written ({error.strerror})") from None

    def is_right(self, password: str) -> bool:
        """Takes about 0.1 s, one at a time, unless it was right before."""
        tag = hmac.digest(self._secret, password.encode(), "sha256")
        if hmac.compare_digest(tag, self._known):
            return True
        with self._lock:
            is_right = hmac.compare_digest(_hash(password, self._salt), self._key)
        if is_right:
            self._known = tag
        return is_right


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=MEMORY, **COST)


class Guard:
    """Lets a request pass or answers it itself; adds the headers that every answer has."""

    def __init__(
        self, app: App, *, password: Password | None, own_hosts: bool, policy: str
    ) -> None:
        """`own_hosts`: answer only to names of this machine, so that no other site's name can be
        made to lead here (DNS rebinding). `policy` is the Content-Security-Policy."""
        self._app, self._password, self._own_hosts = app, password, own_hosts
        self._headers = [
            (name.encode(), value.encode())
            for name, value in (HEADERS | {"content-security-policy": policy}).items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        headers = dict(scope["headers"])
        refusal = self._foreign(headers)
        if refusal is None and self._password is not None:
            refusal = await self._stranger(headers, self._password)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, text, more = refusal
        await send_with_headers({
            "type": "http.response.start", "status": status,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), *more],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    def _foreign(self, headers: dict[bytes, bytes]) -> "_Refusal | None":
        host = host_name(headers.get(b"host", b"").decode("latin-1"))
        if self._own_hosts and not is_loopback(host):
            return 421, "This page answers only to localhost; see --listen.", []
        if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site") and (
            headers.get(b"sec-fetch-mode") != b"navigate"
        ):
            return 403, "Other sites may link to this page, but not read it.", []
        return None

    async def _stranger(self, headers: dict[bytes, bytes], password: Password) -> "_Refusal | None":
        given = _given(headers.get(b"authorization", b""))
        if given is not None and await run_in_threadpool(password.is_right, given):
            return None
        ask = (b"www-authenticate", b'Basic realm="Edge Tally", charset="UTF-8"')
        return 401, "The password is needed; the user name may be anything.", [ask]


_Refusal = tuple[int, str, list[tuple[bytes, bytes]]]


def host_name(header: str) -> str:
    """The Host header without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _given(header: bytes) -> str | None:
    """The password of an Authorization header."""
    kind, _, value = header[:LONGEST_HEADER].partition(b" ")
    if kind.lower() != b"basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
