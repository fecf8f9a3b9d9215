"""Messages after which connections end: each is sent alone until one is found, and left out.

MQTT 3.1.1 has no other answer to a message that is too large than to hang up, and says of none
why. What was on its way then may all have been the reason; what was alone on its way was it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge.delivery.mqtt_limits import publish_bytes
from edge.types import Message

ENOUGH = 2
"""Connections in a row that end with the same message alone on its way, until it is left out."""
ENOUGH_FOR_WINDOWS = 4
"""Windows are what the device is for, and links also break by themselves."""
RETRY_S = 60.0
"""Until what was left out is tried again; twice as long after each further failure."""
LAST_RETRY_S = 86_400.0


@dataclass(slots=True)
class _Suspect:
    size: int
    window: bool
    ends: int = 0
    """Connections that ended with it alone on its way."""
    retry_at: float | None = None

    @property
    def left_out(self) -> bool:
        return self.retry_at is not None and time.monotonic() < self.retry_at


class Suspects:
    """What is remembered of the messages to one broker, over all connections to it."""

    def __init__(self) -> None:
        self.careful = False
        """Whether messages that wait for no one go one by one: the last connection did not end
        idle."""
        self._suspects: dict[str, _Suspect] = {}
        """By their topics."""

    def blame(self, unanswered: Sequence[Message], *, stalled: bool) -> Message | None:
        """A connection has ended on which these had been sent and not acknowledged.

        `stalled`: nothing more came from the broker, as from one that is out of reach. The message
        that is left out from now on; None where there is none.
        """
        self.careful = bool(unanswered)
        if len(unanswered) != 1:
            return None
        (message,) = unanswered
        window = message.key is not None
        if window and stalled:
            return None
        suspect = self._suspects.setdefault(message.topic, _Suspect(0, window))
        suspect.size = publish_bytes(message)
        suspect.ends += 1
        further = suspect.ends - (ENOUGH_FOR_WINDOWS if window else ENOUGH)
        if further < 0:
            return None
        wait_s = min(LAST_RETRY_S, RETRY_S * 2 ** min(further, 20))
        suspect.retry_at = time.monotonic() + wait_s
        return message

    def acquit(self, topic: str) -> None:
        """A message on it was taken."""
        self._suspects.pop(topic, None)

    def alone(self, topic: str) -> bool:
        """Whether a message on `topic`, other than a window, is to be alone on its way."""
        return self.careful or topic in self._suspects

    def left_out(self, topic: str) -> bool:
        suspect = self._suspects.get(topic)
        return suspect is not None and suspect.left_out

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics whose windows are left out."""
        return frozenset(t for t, each in self._suspects.items() if each.window and each.left_out)

    @property
    def refused(self) -> dict[str, str]:
        """Topics that are left out, or are to be tried once more, and why."""
        return {
            topic: f"the broker ends the connection after its {each.size} bytes"
            for topic, each in self._suspects.items()
            if each.retry_at is not None
        }

    def forgive(self) -> None:
        """A connection has held: the broker that comes after it may be another."""
        for suspect in self._suspects.values():
            if suspect.retry_at is not None:
                suspect.retry_at = time.monotonic()
