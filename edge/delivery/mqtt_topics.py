"""Which topics the broker accepts and refuses on one connection, and when to try one again."""

import time

from edge.types import Message

RETRY_S = 60.0
"""Longest time until a refused message is tried again, seconds: access rules may change."""


class Topics:
    """What became of the messages on each topic."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        """Topics whose last message was refused, and why."""
        self.accepted: set[str] = set()
        """Topics on which a message was accepted."""
        self.trusted: set[str] = set()
        """Topics whose most recently settled window was accepted."""
        self._retry_at: dict[str, float] = {}
        """By topic, when to try again after a refusal, monotonic."""

    @property
    def paused(self) -> frozenset[str]:
        """Topics on which a message was refused and it is too early to try again."""
        now = time.monotonic()
        return frozenset(topic for topic, due in self._retry_at.items() if now < due)

    def is_due(self, topic: str) -> bool:
        """Whether a message on it was refused and should be tried again now."""
        return topic in self._retry_at and topic not in self.paused

    def tried(self, topic: str) -> None:
        """A message is on its way again."""
        self._retry_at.pop(topic, None)

    def accept(self, message: Message) -> None:
        self.refused.pop(message.topic, None)
        self.accepted.add(message.topic)
        if message.key is not None:
            self.trusted.add(message.topic)

    def refuse(self, message: Message, reason: str | None, wait_s: float | None = None) -> None:
        """`reason`: None if it is not certain yet; `wait_s`: None for the longest wait."""
        if reason is not None:
            self.refused[message.topic] = reason
        if message.key is not None:
            self.trusted.discard(message.topic)
        self._retry_at[message.topic] = time.monotonic() + (
            RETRY_S if wait_s is None else min(wait_s, RETRY_S)
        )
