"""What one connection subscribes to, asked for again where the broker refuses it."""

import queue
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
ANSWER_S = 30.0
"""A subscription that was not answered for this long is asked for again."""


@dataclass(slots=True)
class _Asked:
    at: float
    refusals: int = 0
    granted: bool = False
    due: float | None = None
    """When to ask again what was refused."""


class Subscriptions:
    """A broker may refuse one for a moment only, as NATS does under load."""

    def __init__(self, client: mqtt.Client) -> None:
        """Take over the client's callback for what it subscribes to."""
        self._client = client
        self._asked: dict[str, _Asked] = {}
        self._topics: dict[int, str] = {}
        """By the number of the packet that asked for it."""
        self._answers: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        client.on_subscribe = self._on_subscribe

    def _on_subscribe(
        self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        # on paho's thread: only noted
        self._answers.put((mid, any(reason.is_failure for reason in reasons)))

    def ask(self, topic: str, qos: int = 1) -> None:
        """Subscribe, unless that was done, or was refused not long ago."""
        asked, now = self._asked.get(topic), time.monotonic()
        if asked is None:
            asked = self._asked[topic] = _Asked(now)
        elif asked.granted or now < (asked.at + ANSWER_S if asked.due is None else asked.due):
            return
        asked.at, asked.due = now, None
        # a broker that cannot keep messages for us may still pass them on
        _, mid = self._client.subscribe(topic, qos=0 if asked.refusals else qos)
        if mid is not None:
            self._topics[mid] = topic

    def refused(self) -> list[tuple[str, float, int]]:
        """Topics refused since the last call: seconds to wait, and how often it was refused."""
        refused = []
        while not self._answers.empty():
            mid, refusal = self._answers.get()
            topic = self._topics.pop(mid, None)
            asked = None if topic is None else self._asked.get(topic)
            if topic is None or asked is None:
                continue
            asked.granted = not refusal
            if refusal:
                refused.append((topic, *self._put_off(asked)))
        return refused

    def missed(self, topic: str) -> tuple[float, int] | None:
        """Nothing came of it: it is asked for again.

        Seconds to wait, and how often it failed; None where it was granted, so that something
        else is the matter.
        """
        asked = self._asked.get(topic)
        if asked is None or asked.granted:
            self._asked.pop(topic, None)
            return None
        return self._put_off(asked)

    @staticmethod
    def _put_off(asked: _Asked) -> tuple[float, int]:
        asked.refusals += 1
        # by QoS 0 at once
        wait_s = 0.0 if asked.refusals == 1 else FIRST_RETRY_S * 2.0 ** (asked.refusals - 2)
        wait_s = min(LAST_RETRY_S, wait_s)
        asked.due = time.monotonic() + wait_s
        return wait_s, asked.refusals

    def granted(self, topic: str) -> bool | None:
        """Whether it is subscribed to; None where that is not known yet."""
        asked = self._asked.get(topic)
        if asked is None or not (asked.granted or asked.refusals > 1):
            return None
        return asked.granted

    def unanswered(self, topic: str, within_s: float) -> bool:
        """Whether it was asked for in the last seconds and there was no answer."""
        self.refused()
        asked = self._asked.get(topic)
        if asked is None or asked.granted or asked.due is not None:
            return False
        return time.monotonic() - asked.at < within_s

    def end(self, topic: str) -> None:
        """What it was for has come."""
        if self._asked.pop(topic, None) is not None:
            self._client.unsubscribe(topic)
