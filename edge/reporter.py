"""What is published when: windows as they close, health at its interval, the rest once."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import edge
from edge import sd_notify
from edge.delivery.courier import Courier, Publisher
from edge.delivery.messages import Messages, local_day, restamped
from edge.delivery.outbox import Outbox
from edge.errors import OutboxError
from edge.health import Health
from edge.host import boot_id
from edge.types import Frame, Message, NoFrame, Window

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
        clock: Callable[[], float] = lambda: time.time() - time.monotonic(),
    ) -> None:
        """`time_synced` tells whether the wall clock is right, `clock` by how many seconds it is
        ahead of the monotonic one."""
        self._messages, self._outbox = messages, outbox
        self._publisher, self._courier = publisher, courier
        self._health, self._health_seconds = health, health_seconds
        self._time_synced, self._clock = time_synced, clock
        self._stamped = False
        """Whether windows made before the clock was set have got their stamps."""
        self._health_due = float("-inf")
        self._camera = "ok"
        self._unsaved: list[Window] = []

    def open(self, info: Mapping[str, Any]) -> None:
        """Say who is here."""
        for message in (
            self._messages.availability("online"),
            self._messages.info(info),
            *self._messages.discovery(edge.__version__),
        ):
            self._publisher.publish(message)

    def window(self, window: Window) -> None:
        """Keep a window safe, hand it on, and show it as the newest state.

        Where the disk refuses it, it waits in memory and is tried again with the next health.
        """
        self._unsaved.append(window)
        try:
            self._save()
        except OutboxError as error:
            log.error("%s; windows waiting in memory: %d", error, len(self._unsaved))

    def _save(self) -> None:
        while self._unsaved:
            message = self._keep(self._unsaved[0])
            # counted now: whatever fails from here on, it must not be counted again
            window = self._unsaved.pop(0)
            self._courier.announce(message)
            self._publisher.publish(self._messages.state(message))
            sd_notify.notify(f"STATUS=window {message.key}: {window.people.total} people")

    def _keep(self, window: Window) -> Message:
        synced = self._time_synced()
        return self._outbox.append(
            window.people,
            # a window that ends at midnight belongs to the day before
            day=local_day(window.end - 1),
            seconds=window.seconds,
            make=lambda epoch, seq, totals: self._messages.window(
                window, epoch=epoch, seq=seq, totals=totals, time_synced=synced
            ),
            unset=None if synced else (boot_id(), self._clock()),
        )

    def frame(self, frame: Frame, _tracks: object) -> None:
        """One frame was analysed; health is due by the source's own clock."""
        if self._health.frames_total == 1:
            log.info("counting: first frame analysed, %d x %d", *frame.image.shape[1::-1])
            sd_notify.notify("READY=1", "STATUS=counting")
        self._alive(frame.mono)

    def blind(self, blind: NoFrame) -> None:
        """There was no frame, but time passes.

        systemd hears that the daemon is up and alive: how long a camera is tried again has a limit
        of its own, and a start that has to wait for one is no failed start. A loop that hangs comes
        neither here nor to `frame`, and tells nothing.
        """
        if blind.camera != "ok":
            sd_notify.notify("READY=1", f"STATUS=the camera is {blind.camera}")
            self._alive(blind.mono)
        else:
            sd_notify.notify("WATCHDOG=1")

    def _alive(self, mono: float) -> None:
        sd_notify.notify("WATCHDOG=1")
        if mono >= self._health_due or self._health.camera != self._camera:
            self._health_due = mono + self._health_seconds
            self._camera = self._health.camera
            with contextlib.suppress(OutboxError):  # it was logged when it began
                self._save()
                self._restamp()
            values = self._health.report() | self._queue() | {"mqtt": self._publisher.status()}
            self._publisher.publish(self._messages.health(values))

    def _restamp(self) -> None:
        if self._stamped or not self._time_synced():
            return
        changed = self._outbox.restamp(boot_id(), self._clock(), restamped)
        self._stamped = True
        if changed:
            log.info("the clock was set; windows that got their right time: %d", changed)

    def _queue(self) -> dict[str, int | None]:
        """Windows not yet delivered and those given up; None where the disk does not tell."""
        unsaved = len(self._unsaved)
        told: dict[str, int | None] = {"outbox": None, "unsaved": unsaved, "dropped": None}
        with contextlib.suppress(OutboxError):
            told |= {"outbox": len(self._outbox) + unsaved, "dropped": self._outbox.dropped()}
        return told

    def close(self) -> None:
        """Save what waits in memory, or raise OutboxError where the disk still refuses."""
        try:
            self._save()
        except OutboxError as error:
            raise OutboxError(f"{error}; windows lost: {len(self._unsaved)}") from error
