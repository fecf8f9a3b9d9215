"""Find the message that makes a broker end connections, and leave it out.

MQTT 3.1.1 can answer a message that is too large only by hanging up, and gives no reason. Any of
several messages in flight may have been the cause; one that was alone in flight was.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge.delivery.mqtt_limits import publish_bytes
from edge.types import Message

STRIKES = 2
"""Connections that end with the same message alone in flight before it is left out."""
STRIKES_FOR_WINDOWS = 4
"""The same for a window: windows matter most, and links also break by themselves."""
RETRY_S = 60.0
"""Seconds until a message that was left out is tried again; doubled with each further failure."""
LONGEST_RETRY_S = 86_400.0


@dataclass(slots=True)
class _Suspect:
    size: int
    """Bytes."""
    is_window: bool
    strikes: int = 0
    """Connections that ended with it alone in flight."""
    retry_at: float | None = None

    @property
    def left_out(self) -> bool:
        return self.retry_at is not None and time.monotonic() < self.retry_at


class Suspects:
    """Suspected messages, remembered over all connections to one broker."""

    def __init__(self) -> None:
        self.careful = False
        """Whether messages other than windows go one by one: the last connection ended with
        messages in flight."""
        self._suspects: dict[str, _Suspect] = {}
        """By topic."""

    def blame(self, unanswered: Sequence[Message], *, stalled: bool) -> Message | None:
        """A connection ended with these messages sent but not acknowledged.

        `stalled`: nothing more came from the broker, as if it were out of reach. Return the message
        to leave out from now on, if any.
        """
        self.careful = bool(unanswered)
        if len(unanswered) != 1:
            return None
        (message,) = unanswered
        is_window = message.key is not None
        if is_window and stalled:
            return None
        suspect = self._suspects.setdefault(message.topic, _Suspect(0, is_window))
        suspect.size = publish_bytes(message)
        suspect.strikes += 1
        further = suspect.strikes - (STRIKES_FOR_WINDOWS if is_window else STRIKES)
        if further < 0:
            return None
        wait_s = min(LONGEST_RETRY_S, RETRY_S * 2 ** min(further, 20))
        suspect.retry_at = time.monotonic() + wait_s
        return message

    def acquit(self, topic: str) -> None:
        """A message on it was accepted."""
        self._suspects.pop(topic, None)

    def is_alone(self, topic: str) -> bool:
        """Whether a message on `topic`, other than a window, must be alone in flight."""
        return self.careful or topic in self._suspects

    def left_out(self, topic: str) -> bool:
        suspect = self._suspects.get(topic)
        return suspect is not None and suspect.left_out

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics whose windows are left out."""
        return frozenset(
            topic
            for topic, suspect in self._suspects.items()
            if suspect.is_window and suspect.left_out
        )

    @property
    def refused(self) -> dict[str, str]:
        """Topics that are left out or about to be retried, and why."""
        return {
            topic: f"the broker ends the connection after its {suspect.size} bytes"
            for topic, suspect in self._suspects.items()
            if suspect.retry_at is not None
        }

    def forgive(self) -> None:
        """Retry everything now: a stable connection ended, and the next broker may be another."""
        for suspect in self._suspects.values():
            if suspect.retry_at is not None:
                suspect.retry_at = time.monotonic()
