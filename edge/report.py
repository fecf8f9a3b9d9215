"""What is published when: windows as they close, health at its interval, the rest once."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import edge
from edge import systemd
from edge.deliver import Courier, Publisher
from edge.health import Health
from edge.messages import Messages
from edge.outbox import Outbox
from edge.records import Frame, Window

log = logging.getLogger(__name__)


class Reporter:
    """Turns what the pipeline finds into messages."""

    def __init__(
        self,
        *,
        messages: Messages,
        outbox: Outbox,
        publisher: Publisher,
        courier: Courier,
        health: Health,
        health_seconds: float,
        time_synced: Callable[[], bool],
    ) -> None:
        self._messages, self._outbox = messages, outbox
        self._publisher, self._courier = publisher, courier
        self._health, self._health_seconds = health, health_seconds
        self._time_synced = time_synced
        self._health_due = float("-inf")

    def open(self, info: Mapping[str, Any]) -> None:
        """Say who is here."""
        for message in (
            self._messages.availability("online"),
            self._messages.info(info),
            *self._messages.discovery(edge.__version__),
        ):
            self._publisher.publish(message)

    def window(self, window: Window) -> None:
        """Keep a window safe, hand it on, and show it as the newest state."""
        message = self._outbox.append(
            window.people,
            lambda seq, totals: self._messages.window(
                window,
                epoch=self._outbox.epoch,
                seq=seq,
                totals=totals,
                time_synced=self._time_synced(),
            ),
        )
        self._courier.announce(message)
        self._publisher.publish(self._messages.state(message))
        systemd.notify(f"STATUS=window {message.key}: {window.people.total} people")

    def frame(self, frame: Frame, _tracks: object) -> None:
        """One frame was analysed; health is due by the source's own clock."""
        if self._health.frames_total == 1:
            log.info("counting: first frame analysed, %d x %d", *frame.image.shape[1::-1])
            systemd.notify("READY=1", "STATUS=counting")
        systemd.notify("WATCHDOG=1")
        if frame.mono >= self._health_due:
            self._health_due = frame.mono + self._health_seconds
            values = self._health.report() | {"outbox": len(self._outbox)}
            self._publisher.publish(self._messages.health(values))
