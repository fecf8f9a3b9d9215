"""Carry windows from the outbox to the publisher, on a separate thread.

A Pi's disk may be slow to sync and a broker slow to answer; frames must not wait for either.
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
"""Seconds after which the courier looks for work without being woken."""
LATE_S = 10.0
"""A window sent more than this many seconds after it was made is marked as replayed."""


class Publisher(Protocol):
    """Where messages go."""

    @property
    def capacity(self) -> int:
        """How many windows it accepts now, one after the other; each may reduce it to 0."""

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics on which it accepts no window now."""

    def publish(self, message: Message) -> None: ...
    def poll(self) -> AckResult: ...
    def status(self) -> dict[str, Any] | None:
        """Return the state of the link for `health`; None if there is no broker."""


class Courier:
    """Sends the outbox in order and deletes what was acknowledged.

    Order is kept within each topic: a refused topic (a device may have had another name) does not
    hold up the others.
    """

    def __init__(self, outbox: Outbox, publisher: Publisher, wake: threading.Event) -> None:
        """Start the thread; `wake` is set whenever there may be work."""
        self._outbox, self._publisher, self._wake = outbox, publisher, wake
        self._announced_at: dict[int, float] = {}
        self._newest_announced = 0
        self._in_flight: set[int] = set()
        """Keys of windows sent and neither returned nor deleted yet."""
        self._acknowledged: list[int] = []
        self._error: str | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def announce(self, message: Message) -> None:
        """Note that a new window is in the outbox."""
        if message.key is not None:
            now = time.monotonic()
            # forget what is late already: it would pile up while the broker is away
            self._announced_at = {
                key: at for key, at in self._announced_at.items() if now - at <= LATE_S
            }
            self._announced_at[message.key] = now
            self._newest_announced = message.key
        self._wake.set()

    def close(self, timeout_s: float) -> int:
        """Wait until everything is delivered or delivery fails; return the number of windows left.

        Waits for `timeout_s` at most. Raises OutboxError if the outbox cannot be read.
        """
        deadline = time.monotonic() + timeout_s
        while len(self._outbox) and time.monotonic() < deadline and self._error is None:
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
                self._error = None
            except Exception as error:
                # a full or busy disk may recover, and nothing is lost until then; an unexpected
                # error must not kill the thread either
                if self._error != str(error):
                    unexpected = not isinstance(error, EdgeError)
                    log.error("delivery waits: %s", error, exc_info=unexpected)
                self._error = str(error)

    def _step(self) -> None:
        settled = self._publisher.poll()
        # what was returned is sent again, before anything newer of its topic
        self._in_flight.difference_update(settled.returned)
        self._acknowledged += settled.delivered
        try:
            if self._acknowledged:
                self._outbox.delete(self._acknowledged)
                self._in_flight.difference_update(self._acknowledged)
                self._acknowledged = []
        finally:  # a full disk may refuse to delete, but can still be read
            self._send_pending()

    def _send_pending(self) -> None:
        while capacity := self._publisher.capacity:
            messages = self._outbox.pending(
                self._in_flight, self._publisher.paused_topics, capacity
            )
            if not messages:
                break
            for message in messages:
                self._send(message)
                if not self._publisher.capacity:
                    break

    def _send(self, message: Message) -> None:
        assert message.key is not None
        announced_at = self._announced_at.get(message.key, float("-inf"))
        # one not announced yet was made just now
        late = message.key <= self._outbox.backlog or (
            message.key <= self._newest_announced and time.monotonic() - announced_at > LATE_S
        )
        self._publisher.publish(replayed(message) if late else message)
        self._in_flight.add(message.key)
