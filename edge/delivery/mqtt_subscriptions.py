"""Subscriptions of one connection, requested again if the broker refuses them."""

import queue
import time
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

FIRST_RETRY_S = 1.0
"""Seconds until the second retry, doubled after each further refusal; the first is at once."""
LONGEST_RETRY_S = 60.0
ANSWER_S = 30.0
"""Seconds after which a subscription without an answer is requested again."""


@dataclass(slots=True)
class _Request:
    at: float
    refusals: int = 0
    granted: bool = False
    due: float | None = None
    """When to request again after a refusal, monotonic."""

    @property
    def retry_at(self) -> float:
        return self.at + ANSWER_S if self.due is None else self.due


class Subscriptions:
    """A broker may refuse a subscription only for a moment, as NATS does under load."""

    def __init__(self, client: mqtt.Client) -> None:
        """Set the client's callback for subscriptions."""
        self._client = client
        self._requests: dict[str, _Request] = {}
        """By topic."""
        self._topics: dict[int, str] = {}
        """By the id of the packet that requested it."""
        self._answers: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        client.on_subscribe = self._on_subscribe

    def _on_subscribe(
        self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        # on paho's thread: only noted
        self._answers.put((mid, any(reason.is_failure for reason in reasons)))

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Request a subscription, unless there is one or it is too early to ask again."""
        request, now = self._requests.get(topic), time.monotonic()
        if request is None:
            request = self._requests[topic] = _Request(now)
        elif request.granted or now < request.retry_at:
            return
        request.at, request.due = now, None
        # a broker that cannot keep messages for us may still pass them on
        _, mid = self._client.subscribe(topic, qos=0 if request.refusals else qos)
        if mid is not None:
            self._topics[mid] = topic

    def refusals(self) -> list[tuple[str, float, int]]:
        """Return refusals since the last call: topic, seconds to wait, refusals in all."""
        refusals = []
        while not self._answers.empty():
            mid, refused = self._answers.get()
            topic = self._topics.pop(mid, None)
            request = None if topic is None else self._requests.get(topic)
            if topic is None or request is None:
                continue
            request.granted = not refused
            if refused:
                refusals.append((topic, *self._put_off(request)))
        return refusals

    def put_off(self, topic: str) -> tuple[float, int] | None:
        """No message came by this subscription: request it again later.

        Return seconds to wait and failures in all; None if it was granted, so that it is not the
        cause.
        """
        request = self._requests.get(topic)
        if request is None or request.granted:
            self._requests.pop(topic, None)
            return None
        return self._put_off(request)

    @staticmethod
    def _put_off(request: _Request) -> tuple[float, int]:
        request.refusals += 1
        # QoS 0 is tried at once
        wait_s = 0.0 if request.refusals == 1 else FIRST_RETRY_S * 2.0 ** (request.refusals - 2)
        wait_s = min(LONGEST_RETRY_S, wait_s)
        request.due = time.monotonic() + wait_s
        return wait_s, request.refusals

    def is_granted(self, topic: str) -> bool | None:
        """Whether it is subscribed to; None if that is not known yet."""
        request = self._requests.get(topic)
        if request is None or not (request.granted or request.refusals > 1):
            return None
        return request.granted

    def is_unanswered(self, topic: str, within_s: float) -> bool:
        """Whether it was requested within the last `within_s` seconds and not answered."""
        self.refusals()
        request = self._requests.get(topic)
        if request is None or request.granted or request.due is not None:
            return False
        return time.monotonic() - request.at < within_s

    def unsubscribe(self, topic: str) -> None:
        if self._requests.pop(topic, None) is not None:
            self._client.unsubscribe(topic)
