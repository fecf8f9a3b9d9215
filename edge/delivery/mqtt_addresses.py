"""Which of a broker's addresses to connect to: a name may stand for several brokers.

An address that has just failed comes last. The others are drawn by lot: the system's resolver sorts
them the same way on every device, so all devices would go to one broker.
"""

import random
import socket
import time

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
"""A family, and what `socket.connect` takes."""
FORGET_S = 60.0
"""Seconds after which a failure is forgotten: the broker may be back."""


class Addresses:
    """The addresses of one name, tried in rounds: each once, then a wait."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._known: list[Address] = []
        """The newest answer of the resolver."""
        self._failed_at: dict[Address, float] = {}
        self._tried: set[Address] = set()
        """Failed in this round."""

    def next(self) -> Address:
        """Resolve the name and return the address to try.

        If it can no longer be resolved, it keeps its addresses. Raises OSError if there are none.
        """
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            # typed for protocols other than IP, too, which a host's name never has
            self._known = list(dict.fromkeys((family, end) for family, _, _, _, end in found))  # type: ignore[misc]
        except socket.gaierror:
            if not self._known:
                raise
        families = [family for family, _ in self._known]
        chance = random.SystemRandom()
        return min(
            self._known,
            # the system's choice between IPv6 and IPv4 stands
            key=lambda known: (self._since(known), families.index(known[0]), chance.random()),
        )

    def _since(self, address: Address) -> float:
        """When it failed; 0 if that is forgotten."""
        at = self._failed_at.get(address, float("-inf"))
        return at if time.monotonic() - at < FORGET_S else 0.0

    def failed(self, address: Address | None) -> None:
        """A connection to it ended, or there was none."""
        if address is not None:
            self._failed_at[address] = time.monotonic()
            self._tried.add(address)

    @property
    def more(self) -> bool:
        """Whether there is an address that did not fail in this round."""
        return not self._tried.issuperset(self._known)

    def new_round(self) -> None:
        """Begin again with all of them."""
        self._tried.clear()


def connect(address: Address, timeout_s: float) -> socket.socket:
    """Return a connection to it. Raises OSError."""
    family, end = address
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(end)
    except BaseException:
        connection.close()
        raise
    return connection
