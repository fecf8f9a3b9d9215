"""Keeps what devices publish; acknowledges a window only once it is on disk."""

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import paho.mqtt.client as mqtt

from edge.backoff import Backoff
from tools.collection.connection import StoreError
from tools.collection.correction import Matrix
from tools.collection.info import read_info
from tools.collection.log import log
from tools.collection.published import InvalidMessage, PublishedWindow, read_window
from tools.collection.store import Store

BATCH = 10000
"""Most messages kept in one transaction."""
RETRY_S = (1.0, 30.0)
"""First and longest wait after the database has refused something, seconds."""
EXPIRE_EVERY_S = 600.0
EXPIRE_SOON_S = 5.0
"""How often old windows are deleted, and when some are left."""
EXPIRE_BATCH = 2000
"""Windows deleted in one transaction: what arrives meanwhile waits a fraction of a second."""
DAY_S = 86400


class Arrival(NamedTuple):
    """A message that is not on disk yet."""

    message: mqtt.MQTTMessage
    client: mqtt.Client
    """Of the connection that it came by, which alone can acknowledge it."""


class Collector:
    """Writes windows, and matrices from `info`, on a thread of its own."""

    def __init__(self, store: Store, *, keep_days: int | None = None) -> None:
        """Windows are deleted after `keep_days`, if given; the sums of their hours stay."""
        self._store, self._keep_days = store, keep_days
        self.changed: Callable[[], None] = lambda: None
        """Called, on any thread, after something new can be shown."""
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._matrices: dict[tuple[str, str], Matrix | None] = {}
        self._expire_at = 0.0
        self.problem = ""
        """Why nothing can be kept now; empty if it can."""
        self.revision = 0
        """Rises whenever the store has something new."""
        self._writer = threading.Thread(target=self._write, name="writer")

    def start(self) -> None:
        self._writer.start()

    def stop(self) -> None:
        """Keep what has arrived, then end."""
        self._stopped.set()
        self._arrivals.put(None)
        self._writer.join()

    def put(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        """A message to keep and to acknowledge."""
        self._arrivals.put(Arrival(message, client))

    def _write(self) -> None:
        with self._store.kept_open():
            while True:
                batch, is_last = self._next_batch()
                if batch and not self._keep(batch):
                    return
                if batch:
                    self.revision += 1
                    self.changed()
                if is_last:
                    return
                self._expire()

    def _next_batch(self) -> tuple[list[Arrival], bool]:
        """What waits, up to `BATCH`, and whether nothing follows; none if a task is due."""
        batch: list[Arrival] = []
        patience = None if self._keep_days is None else max(0.0, self._expire_at - time.monotonic())
        try:
            arrival = self._arrivals.get(timeout=patience)
            while arrival is not None:
                batch.append(arrival)
                if len(batch) == BATCH:
                    return batch, False
                arrival = self._arrivals.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _keep(self, batch: list[Arrival]) -> bool:
        """Until the database takes it; False if the program ends before that."""
        windows = [window for each in batch if (window := _window(each.message)) is not None]
        matrices = self._new_matrices(batch)
        backoff = Backoff(*RETRY_S, jitter=(0.8, 1.2))
        while True:
            try:
                if windows:
                    self._store.save(windows)
                if matrices:
                    self._store.save_matrices(matrices)
                    self._matrices |= matrices
                break
            except Exception as error:  # a surprise, too, must not end this thread unnoticed
                self._note(error)
            if self._stopped.wait(backoff.next()):
                return False
        self.problem = ""
        for each in batch:
            each.client.ack(each.message.mid, each.message.qos)
        return True

    def _note(self, error: Exception) -> None:
        problem = str(error) if isinstance(error, StoreError) else repr(error)
        if problem != self.problem:
            log(f"{problem}; what arrives waits at the broker, and it is tried again")
        self.problem = problem
        self.changed()

    def _expire(self) -> None:
        """Delete some of what is too old, if it is time to."""
        if self._keep_days is None or time.monotonic() < self._expire_at:
            return
        try:
            deleted = self._store.expire(time.time() - DAY_S * self._keep_days, EXPIRE_BATCH)
        except Exception as error:
            log(f"{error}; old windows are deleted later")
            deleted = 0
        is_more = deleted == EXPIRE_BATCH
        self._expire_at = time.monotonic() + (EXPIRE_SOON_S if is_more else EXPIRE_EVERY_S)

    def _new_matrices(self, batch: list[Arrival]) -> dict[tuple[str, str], Matrix | None]:
        """The errors of models by device and model, as far as they are not kept yet."""
        matrices = {}
        for message in (each.message for each in batch):
            _, _, _, device, kind = message.topic.split("/")
            if kind != "info" or not message.payload:  # removed: what it counted stays
                continue
            try:
                info = read_info(text(message))
            except InvalidMessage as error:
                log(f"{message.topic}: {error}")
                continue
            if self._matrices.get((device, info.model), 0) != info.matrix:
                matrices[device, info.model] = info.matrix
        return matrices


def _window(message: mqtt.MQTTMessage) -> tuple[PublishedWindow, str] | None:
    """The window with its JSON; None if it is none, which is logged."""
    _, _, site, device, kind = message.topic.split("/")
    if kind != "window":
        return None
    try:
        payload = text(message)
        window = read_window(payload)
        if (window.site, window.device) != (site, device):
            raise InvalidMessage(f"speaks for {window.site}/{window.device}")
    except InvalidMessage as error:
        log(f"{message.topic}: not a valid window ({error})")
        return None
    return window, payload


def text(message: mqtt.MQTTMessage) -> str:
    """Raises InvalidMessage."""
    try:
        return message.payload.decode()
    except UnicodeDecodeError:
        raise InvalidMessage("not UTF-8") from None
