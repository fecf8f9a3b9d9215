"""Subscribes to all devices; acknowledges a window only once it is on disk."""

import contextlib
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.backoff import Backoff
from tools.collection.broker import Broker
from tools.collection.correction import Matrix
from tools.collection.database import StoreError
from tools.collection.info import read_info
from tools.collection.liveness import LiveDevices
from tools.collection.published import InvalidMessage, PublishedWindow, read_window
from tools.collection.store import Store

CLIENT_ID = "edge-tally-dashboard"
KINDS = {"window": 1, "state": 0, "health": 0, "info": 0, "availability": 0, "presence": 0}
"""Topics and their QoS: only windows shall wait at the broker while this program is away."""
BATCH = 500
"""Most messages kept in one transaction."""
RETRY_S = (1.0, 30.0)
"""First and longest wait after the database has refused something, seconds."""
RECONNECT_S = 5
"""Longest wait between two connections, seconds."""


class _Arrival(NamedTuple):
    """A message that is not on disk yet."""

    message: mqtt.MQTTMessage
    link: int
    """The connection that it came by."""


class Collector:
    """Feeds a store and the live devices until it is stopped."""

    def __init__(
        self, broker: Broker, store: Store, live: LiveDevices,
        *, client_id: str = CLIENT_ID, ca_file: Path | None = None,
    ) -> None:  # fmt: skip
        """The broker keeps windows for `client_id`, which must be in use only once.

        `ca_file` is the certificate of the broker's authority, if the system does not know it.
        """
        self._broker, self._store, self._live = broker, store, live
        self.changed: Callable[[], None] = lambda: None
        """Called, on any thread, after something new can be shown."""
        self._arrivals: queue.SimpleQueue[_Arrival | None] = queue.SimpleQueue()
        self._link = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._matrices: dict[tuple[str, str], Matrix | None] = {}
        self.connected = False
        self._trouble = ""
        self.problem = ""
        """Why nothing can be kept now; empty if it can."""
        self.revision = 0
        """Rises whenever the store has something new."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
        )
        client.reconnect_delay_set(1, RECONNECT_S)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_message = self._on_message
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set(None if ca_file is None else str(ca_file))
        self._client = client
        self._writer = threading.Thread(target=self._write, name="writer")

    def start(self) -> None:
        self._writer.start()
        self._client.connect_async(self._broker.host, self._broker.port)
        self._client.loop_start()

    def stop(self) -> None:
        """Keep what has arrived, then end."""
        self._stopped.set()
        self._arrivals.put(None)
        self._writer.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any,
                    _: object) -> None:  # fmt: skip
        with self._lock:
            self._link += 1
        if reason.is_failure:
            self._note(f"the broker refuses the connection ({reason})")
            return
        self._note("")
        self.connected = True
        client.subscribe([(f"tally/v1/+/+/{kind}", qos) for kind, qos in KINDS.items()])
        self.changed()

    def _on_disconnect(self, *_: object) -> None:
        with self._lock:
            self._link += (
                1  # a number from the old connection may mean another message on a new one
            )
        if self.connected and not self._stopped.is_set():
            self._note("connection lost; it is tried again")
        self.connected = False
        self.changed()

    def _on_connect_fail(self, *_: object) -> None:
        self._note(f"{sys.exc_info()[1]}; it is tried again")

    def _note(self, trouble: str) -> None:
        """Log what keeps the broker away, once."""
        if trouble and trouble != self._trouble:
            _log(f"{self._broker.host}:{self._broker.port}: {trouble}")
        self._trouble = trouble

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        kind = message.topic.rsplit("/", 1)[1]
        try:
            self._live.update(message.topic, _text(message), retained=message.retain)
        except InvalidMessage as error:
            if kind != "window":  # which the writer reports
                _log(f"{message.topic}: {error}")
                return
        if kind in ("window", "info"):
            self._arrivals.put(_Arrival(message, self._link))
        else:
            self.changed()

    def _write(self) -> None:
        while (first := self._arrivals.get()) is not None:
            batch, more = [first], True
            while more and len(batch) < BATCH:
                try:
                    arrival = self._arrivals.get_nowait()
                except queue.Empty:
                    break
                if arrival is None:
                    self._arrivals.put(None)
                    more = False
                else:
                    batch.append(arrival)
            if not self._keep(batch):
                return
            self.revision += 1
            self.changed()

    def _keep(self, batch: list[_Arrival]) -> bool:
        """Until the database takes it; False if the program ends before that."""
        windows = [window for each in batch if (window := _window(each.message)) is not None]
        backoff = Backoff(*RETRY_S, jitter=(0.8, 1.2))
        while True:
            try:
                if windows:
                    self._store.save(windows)
                for each in batch:
                    if each.message.topic.endswith("/info"):
                        self._keep_matrix(each.message)
                break
            except Exception as error:  # a surprise, too, must not end this thread unnoticed
                problem = str(error) if isinstance(error, StoreError) else repr(error)
                if problem != self.problem:
                    _log(f"{problem}; what arrives waits at the broker, and it is tried again")
                self.problem = problem
                self.changed()
            if self._stopped.wait(backoff.next()):
                return False
        self.problem = ""
        for each in batch:
            with self._lock:
                if each.link == self._link:
                    self._client.ack(each.message.mid, each.message.qos)
        return True

    def _keep_matrix(self, message: mqtt.MQTTMessage) -> None:
        if not message.payload:  # the device was removed; what it counted stays
            return
        device = message.topic.split("/")[3]
        try:
            info = read_info(_text(message))
        except InvalidMessage as error:
            _log(f"{message.topic}: {error}")
            return
        if self._matrices.get((device, info.model), 0) != info.matrix:
            self._store.save_matrix(device, info.model, info.matrix)
            self._matrices[device, info.model] = info.matrix


def _window(message: mqtt.MQTTMessage) -> tuple[PublishedWindow, str] | None:
    """The window with its JSON; None if it is none, which is logged."""
    _, _, site, device, kind = message.topic.split("/")
    if kind != "window":
        return None
    try:
        payload = _text(message)
        window = read_window(payload)
        if (window.site, window.device) != (site, device):
            raise InvalidMessage(f"speaks for {window.site}/{window.device}")
    except InvalidMessage as error:
        _log(f"{message.topic}: not a valid window ({error})")
        return None
    return window, payload


def _text(message: mqtt.MQTTMessage) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        return message.payload.decode()
    raise InvalidMessage("not UTF-8")


def _log(line: str) -> None:
    print(f"dashboard: {line}", file=sys.stderr, flush=True)
