"""Carries windows from the outbox to the publisher, on a thread of its own.

The disk of a Pi may take long to sync and a broker long to answer; frames do not wait for either.
"""

import logging
import threading
import time
from typing import Any, Protocol

from edge.delivery.messages import replayed
from edge.delivery.outbox import Outbox
from edge.errors import EdgeError
from edge.types import AckResult, Message

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""How often the courier looks for work without being woken."""
LATE_S = 10.0
"""A window sent longer than this after it was made is marked as replayed."""


class Publisher(Protocol):
    """Where messages go."""

    @property
    def capacity(self) -> int:
        """How many windows it takes now, one after the other; each may leave no more room."""

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics of which it takes none now."""

    def publish(self, message: Message) -> None: ...
    def poll(self) -> AckResult: ...
    def status(self) -> dict[str, Any] | None:
        """How the link is doing, for `health`."""


class Courier:
    """Sends the outbox in order and deletes what was acknowledged.

    In order within each topic: what a broker refuses under one (a device may have had another name)
    does not hold up the others.
    """

    def __init__(self, outbox: Outbox, publisher: Publisher, wake: threading.Event) -> None:
        """Start the thread; `wake` is set whenever there may be something to do."""
        self._outbox, self._publisher, self._wake = outbox, publisher, wake
        self._made: dict[int, float] = {}
        self._announced = 0
        self._in_flight: set[int] = set()
        """Keys of windows that were sent, and neither came back nor are deleted."""
        self._acknowledged: list[int] = []
        self._trouble: str | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def announce(self, message: Message) -> None:
        """A new window is in the outbox."""
        if message.key is not None:
            now = time.monotonic()
            # what is late already need not be remembered; while a broker is away they would pile up
            self._made = {key: made for key, made in self._made.items() if now - made <= LATE_S}
            self._made[message.key] = now
            self._announced = message.key
        self._wake.set()

    def close(self, timeout_s: float) -> int:
        """Wait until all is delivered or cannot be; the number of windows left.

        Waits for `timeout_s` at most. Raises OutboxError where the outbox cannot be read.
        """
        end = time.monotonic() + timeout_s
        while len(self._outbox) and time.monotonic() < end and self._trouble is None:
            self._wake.set()
            time.sleep(0.02)
        self._stop = True
        self._wake.set()
        self._thread.join()
        return len(self._outbox)

    def _run(self) -> None:
        while not self._stop:
            self._wake.wait(RETRY_S)
            self._wake.clear()
            try:
                self._step()
                self._trouble = None
            except Exception as error:
                # a disk that is full or busy may mend; nothing is forgotten until it does, and what
                # nobody thought of must not end the delivery for good either
                if self._trouble != str(error):
                    unexpected = not isinstance(error, EdgeError)
                    log.error("delivery waits: %s", error, exc_info=unexpected)
                self._trouble = str(error)

    def _step(self) -> None:
        settled = self._publisher.poll()
        # what came back goes out again, and nothing newer of its topic before it
        self._in_flight.difference_update(settled.returned)
        self._acknowledged += settled.delivered
        try:
            if self._acknowledged:
                self._outbox.delete(self._acknowledged)
                self._in_flight.difference_update(self._acknowledged)
                self._acknowledged = []
        finally:  # a full disk may refuse to delete; what is on it can be read all the same
            self._send_pending()

    def _send_pending(self) -> None:
        while capacity := self._publisher.capacity:
            messages = self._outbox.pending(self._in_flight, self._publisher.paused_topics, capacity)
            if not messages:
                break
            for message in messages:
                self._send(message)
                if not self._publisher.capacity:
                    break

    def _send(self, message: Message) -> None:
        assert message.key is not None
        made = self._made.get(message.key, float("-inf"))
        # one that is not announced yet was made this moment
        late = message.key <= self._outbox.backlog or (
            message.key <= self._announced and time.monotonic() - made > LATE_S
        )
        self._publisher.publish(replayed(message) if late else message)
        self._in_flight.add(message.key)
