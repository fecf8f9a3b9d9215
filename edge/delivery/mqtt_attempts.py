"""What the next connection tries: which version of MQTT, at which address.

Shared by everything that connects, so that `check` and the daemon reach the same brokers.
"""

from typing import Protocol

from edge.delivery.mqtt_addresses import Address, Addresses
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_limits import Limits
from edge.delivery.mqtt_versions import Greeting, Versions


class Attempt(Greeting, Protocol):
    """A connection that has ended."""

    @property
    def address(self) -> Address | None: ...
    @property
    def refusal(self) -> str | None: ...


class Attempts:
    """Attempts in rounds: all that may help at once, then a wait."""

    def __init__(self, broker: Broker) -> None:
        self.addresses = Addresses(broker.host, broker.port)
        self._versions = Versions(broker.version)

    @property
    def version(self) -> Version:
        """The version of MQTT to greet with."""
        return self._versions.next

    @property
    def limits(self) -> Limits:
        """What the broker accepts, as far as known before the greeting."""
        return self._versions.limits

    def after(self, link: Attempt) -> bool:
        """Choose the next attempt after `link` ended; return whether to make it at once."""
        has_answered = link.opened or link.refusal is not None
        if has_answered and self._versions.after(link):
            return True
        self.addresses.failed(link.address)
        if not link.opened and self.addresses.more:
            return True
        self.addresses.new_round()
        # silence may be a broker that speaks only another version, but first others may answer
        return not has_answered and self._versions.after(link)
