"""Publishes windows as they close, health at its interval and the birth messages once."""

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
from edge.errors import EdgeError, OutboxError
from edge.health import Health
from edge.host import boot_id, trim_memory, unload_mapped
from edge.presence import NOT_KNOWN, LivePresence
from edge.types import AGES, UNKNOWN, Frame, Message, NoFrame, Window

log = logging.getLogger(__name__)


class Reporter:
    """Turns what the pipeline reports into messages."""

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
        presence: LivePresence | None = None,
        is_paused: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = lambda: time.time() - time.monotonic(),
    ) -> None:
        """`time_synced` returns whether the wall clock is right, `clock` by how many seconds it is
        ahead of the monotonic clock, `is_paused` whether the configuration or a command has paused
        the daemon. Without `presence` the number of people in view is not published."""
        self._messages, self._outbox = messages, outbox
        self._publisher, self._courier = publisher, courier
        self._health, self._health_seconds = health, health_seconds
        self._time_synced, self._clock = time_synced, clock
        self._presence, self._is_paused = presence, is_paused
        self._restamped = False
        """Whether windows stamped before the clock was set have got their right time."""
        self._health_due = float("-inf")
        self._state = ("ok", False)
        """State of the camera, and whether the daemon was paused, at the last heartbeat."""
        self._unsaved: list[tuple[Window, float | None]] = []
        """Windows, and the clock with which each was stamped if it had not been set by then."""

    def open(self, info: Mapping[str, Any]) -> None:
        """Publish the birth messages: availability, info and discovery."""
        for message in (
            self._messages.availability("online"),
            self._messages.info(info),
            *self._messages.discovery(edge.__version__),
        ):
            self._publisher.publish(message)

    def on_window(self, window: Window) -> None:
        """Save a window, hand it on, and publish it as the newest state.

        If the disk refuses it, it waits in memory and is tried again with the next health.
        """
        self._unsaved.append((window, None if self._time_synced() else self._clock()))
        try:
            self._save()
        except OutboxError as error:
            log.error("%s; windows waiting in memory: %d", error, len(self._unsaved))

    def _save(self) -> None:
        while self._unsaved:
            window, unset_clock = self._unsaved[0]
            message = self._store(window, unset_clock)
            # it is counted now: whatever fails from here on, it must not be counted again
            self._unsaved.pop(0)
            self._courier.announce(message)
            self._publisher.publish(self._messages.state(message))
            sd_notify.notify(f"STATUS=window {message.key}: {window.people.total} people")

    def _store(self, window: Window, unset_clock: float | None) -> Message:
        return self._outbox.append(
            window.people,
            # a window that ends at midnight belongs to the day before
            day=local_day(window.end - 1),
            seconds=window.seconds,
            ages=self._ages_of(window),
            make=lambda epoch, seq, totals: self._messages.window(
                window, epoch=epoch, seq=seq, totals=totals, time_synced=unset_clock is None
            ),
            unset=None if unset_clock is None else (boot_id(), unset_clock),
        )

    def _ages_of(self, window: Window) -> tuple[int, ...] | None:
        """People per group of `AGES`, all of them unknown if they are too few to be shown."""
        if not self._messages.ages:
            return None
        return window.ages or tuple(window.people.total * (age == UNKNOWN) for age in AGES)

    def on_frame(self, frame: Frame, _tracks: object) -> None:
        """Report that a frame was analyzed; health is due by the source's own clock."""
        if self._health.frames_total == 1:
            log.info("counting: first frame analyzed, %d x %d", *frame.image.shape[1::-1])
            sd_notify.notify("READY=1", "STATUS=counting")
            trim_memory()
            unload_mapped()
        self._heartbeat(frame.mono)

    def on_no_frame(self, moment: NoFrame) -> None:
        """Report that time passes without a frame.

        systemd is told that the daemon is up and alive: retries of a camera have a limit of their
        own, and a start that has to wait for a camera has not failed. A loop that hangs comes
        neither here nor to `on_frame`, and reports nothing.
        """
        if moment.camera != "ok":
            sd_notify.notify("READY=1", f"STATUS=the camera is {moment.camera}")
            self._heartbeat(moment.mono)
        else:
            sd_notify.notify("WATCHDOG=1")

    def _heartbeat(self, mono: float) -> None:
        sd_notify.notify("WATCHDOG=1")
        state = (self._health.camera, self._is_paused())
        if mono >= self._health_due or state != self._state:
            self._health_due = mono + self._health_seconds
            self._state = state
            with contextlib.suppress(OutboxError):  # it was logged when it first failed
                self._save()
                self._restamp()
            values = self._health.report() | {"paused": state[1]} | self._outbox_state()
            self._publisher.publish(
                self._messages.health(values | {"mqtt": self._publisher.status()})
            )

    def on_present(self, mono: float, present: int | None) -> None:
        """Publish the number of people in view if that is wanted and due; None: nobody knows."""
        payload = None if self._presence is None else self._presence.update(mono, present)
        if payload is not None:
            self._publisher.publish(self._messages.presence(payload))

    def _restamp(self) -> None:
        if self._restamped or not self._time_synced():
            return
        changed = self._outbox.restamp(boot_id(), self._clock(), restamped)
        self._restamped = True
        if changed:
            log.info("the clock was set; windows with corrected times: %d", changed)

    def _outbox_state(self) -> dict[str, int | None]:
        """Windows not yet delivered and those given up; None if the disk cannot be read."""
        unsaved = len(self._unsaved)
        counts: dict[str, int | None] = {"outbox": None, "unsaved": unsaved, "dropped": None}
        with contextlib.suppress(OutboxError):
            counts |= {"outbox": len(self._outbox) + unsaved, "dropped": self._outbox.dropped()}
        return counts

    def close(self) -> None:
        """Save the windows in memory, and leave no number of people in view behind.

        Raises OutboxError if the disk still refuses the windows.
        """
        if self._presence is not None:
            with contextlib.suppress(EdgeError):  # stdout is closed
                self._publisher.publish(self._messages.presence(NOT_KNOWN))
        try:
            self._save()
        except OutboxError as error:
            raise OutboxError(f"{error}; windows lost: {len(self._unsaved)}") from error
