"""Proof that the broker accepted a message: it sends the message back.

MQTT 5 reports for each message whether it was refused. MQTT 3.1.1 acknowledges even what the
broker's access rules refuse (section 3.3.5 of its specification leaves the broker no other answer
but to hang up). There, a topic counts as accepted only once the broker has sent one of its messages
back: once per connection, and again for a longer message. If a broker acknowledges nothing (QoS 0),
each window has to come back.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from edge.backoff import Backoff
from edge.delivery.mqtt_broker import Version
from edge.delivery.mqtt_subscriptions import Subscriptions
from edge.types import Message

ECHO_S = 5.0
"""Seconds after its acknowledgement within which a message must come back on MQTT 3.1.1."""
RETRY_S = (2.0, 60.0)
"""First and longest wait until a message without its proof is tried again, seconds; doubled each
time: a broker that has just come back may only be slow."""
JITTER = (0.8, 1.2)
"""Each such wait is a random fraction between these of the full one."""
NO_ECHO = "acknowledged, but not sent back: this user may not both write and read it"
UNREADABLE = "the broker refuses to send it back: this user may not both write and read it"


@dataclass(slots=True)
class Sent:
    """A message in flight."""

    message: Message
    since: float = field(default_factory=time.monotonic)
    """When it was sent or acknowledged, monotonic."""
    acknowledged: bool = False
    echoed: bool = False


class Echoes:
    """Which messages have to come back on this connection, and which did."""

    def __init__(self, version: Version, subscriptions: Subscriptions) -> None:
        self._version, self._subscriptions = version, subscriptions
        self._proven: dict[str, int] = {}
        """By topic, bytes of the longest message that came back: the broker may still refuse a
        longer one."""
        self._unproven: dict[str, Backoff] = {}
        """By topic, the waits since a message last came back."""

    def lacks(self, message: Message, qos: int) -> bool:
        """Whether only an echo proves that the broker, which allows `qos`, accepts it."""
        is_needed = self._version == "3.1.1" or (qos == 0 and message.key is not None)
        return is_needed and self._proven.get(message.topic, -1) < len(message.payload.encode())

    def expect(self, topic: str) -> None:
        """Ask the broker for what is published on a topic."""
        # with QoS 1 a NATS cluster would keep a session for each device, at great cost
        self._subscriptions.subscribe(topic, qos=0)

    def note(self, topic: str, payload: bytes, in_flight: Collection[Sent], qos: int) -> None:
        """A message came back."""
        on_topic = [sent for sent in in_flight if sent.message.topic == topic]
        echoed = [sent for sent in on_topic if sent.message.payload.encode() == payload]
        if not echoed:
            return
        if qos == 0:  # an echo proves nothing about the topic's other messages
            echoed[0].echoed = True
            return
        if self.lacks(echoed[0].message, qos):
            self._proven[topic] = len(payload)
            self._unproven.pop(topic, None)
        if not any(self.lacks(sent.message, qos) for sent in on_topic):
            self._subscriptions.unsubscribe(topic)

    def are_late(self, waited_s: float) -> bool:
        """Whether a message should have come back this long after its acknowledgement."""
        return waited_s > ECHO_S

    def missing(self, topic: str) -> tuple[str | None, float]:
        """A message did not come back: why, unless that is still open, and when to try again."""
        if (retry := self._subscriptions.put_off(topic)) is not None:
            wait_s, failures = retry
            return unreadable(failures), wait_s
        return NO_ECHO, self._unproven.setdefault(topic, Backoff(*RETRY_S, JITTER)).next()


def unreadable(failures: int) -> str | None:
    """The reason after this many refused subscriptions; the first may be chance."""
    return UNREADABLE if failures > 1 else None
