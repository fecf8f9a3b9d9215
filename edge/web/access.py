"""Decides who may use the page: the one browser that was given the key, at this machine's name."""

import hmac
import secrets
import threading

from edge.host import is_loopback

TOKEN_BYTES = 24
"""Random bytes in a token or key."""
SCHEME = "Bearer "
"""Precedes the key in the header `Authorization`."""


class Access:
    """Exchanges a token, once, for the key that every further request has to give."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        """Part of the address that is printed."""
        self._key = secrets.token_urlsafe(TOKEN_BYTES)
        self._lock = threading.Lock()
        self._taken = False

    def exchange(self, token: str) -> str | None:
        """The key for the right token, the first time; None otherwise."""
        is_right = _is_same(token, self.token)
        with self._lock:
            if not is_right or self._taken:
                return None
            self._taken = True
            return self._key

    def admits(self, authorization: str | None) -> bool:
        """Whether the header `Authorization` gives the key, once it was handed out."""
        scheme, key = (authorization or "")[: len(SCHEME)], (authorization or "")[len(SCHEME) :]
        return _is_same(key, self._key) and self._taken and scheme == SCHEME


def is_own_host(host: str | None) -> bool:
    """Whether the header `Host` names this machine alone, at any port.

    A page from elsewhere whose name was made to lead here (DNS rebinding) names another host. The
    port may be that of a tunnel.
    """
    name, colon, port = (host or "").rpartition(":")
    if not colon or not port.isdecimal():
        name = host or ""
    return is_loopback(name.removeprefix("[").removesuffix("]"))


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Whether a request comes from the page itself, as far as the header `Origin` says."""
    return origin is None or origin == f"http://{host}"


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
