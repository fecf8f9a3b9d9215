"""The addresses of a broker's name: one that does not answer is tried after the others."""

import socket
import time
from typing import Any


class Addresses:
    """Connects to one of several addresses; used by one thread at a time."""

    def __init__(self) -> None:
        self._failed_at: dict[Any, float] = {}
        """By address, when it failed last, monotonic."""
        self._last: Any = None

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to an address of `host`; raises OSError if none of them accepts one.

        Each may take `timeout_s`. Those that failed come last, the earliest failure first.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [address for _, _, _, _, address in found]
        addresses.sort(key=lambda address: self._failed_at.get(address, 0.0))
        for self._last in addresses:
            try:
                return socket.create_connection(self._last[:2], timeout_s)
            except OSError as error:
                reason = error
                self.put_off()
        raise reason

    def put_off(self) -> None:
        """Note that the newest connection came to nothing, though the address accepted it."""
        self._failed_at[self._last] = time.monotonic()
