"""Follows the broker while this program's lock is held; stands by while another program holds it.

Two programs with the same client id would throw each other out in turn. Those with the same store
and client id know of each other by a lock that ends with its program: one works, the others wait.
Against others waits help, which grow with each connection that did not last.
"""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal

import paho.mqtt.client as mqtt

from edge.backoff import Backoff
from tools.collection.broker import Broker
from tools.collection.collector import Collector, text
from tools.collection.connection import StoreError
from tools.collection.holder import Holder
from tools.collection.liveness import LiveDevices
from tools.collection.log import log
from tools.collection.published import InvalidMessage
from tools.collection.session import Session

CLIENT_ID = "edge-tally-dashboard"
STATUS = ("state", "health", "info", "availability", "presence")
"""Topics with QoS 0: only windows shall wait at the broker while this program is away."""
STANDBY_S = 1.0
CHECK_S = 3.0
"""How often a standby asks for the lock, and how often it is made sure that it is held."""
UNREACHABLE_S = (1.0, 5.0)
"""First and longest wait while no connection can be made, seconds."""
ENDED_S = (1.0, 300.0)
"""The same after connections that ended. Programs that throw each other out wait longer and longer:
a broker that restarts now and then costs a few seconds."""
JITTER = (0.8, 1.2)
STABLE_S = 2 * ENDED_S[1]
"""A connection that lasts for this long ended by no fault of its own, seconds."""
SHORT = 3
"""After this many connections in a row that did not last the reason is likely another program."""


Obstacle = Literal["", "another", "store"]


class Follower:
    """Hands on what the broker sends, until it is stopped."""

    def __init__(
        self, broker: Broker, live: LiveDevices, collector: Collector, holder: Holder,
        *, client_id: str, sites: Sequence[str] = (), tls: ssl.SSLContext | None = None,
        collects: bool = True,
    ) -> None:  # fmt: skip
        """The broker keeps windows for `client_id`, which must be in use only once.

        Without `sites` it follows all. If not `collects`, windows are left to other programs.
        """
        self._live, self._collector, self._holder = live, collector, holder
        self._broker, self._client_id, self._collects = broker, client_id, collects
        topics = [(f"tally/v1/{site}/+/{kind}", 0) for site in sites or "+" for kind in STATUS]
        topics += [(f"tally/v1/{site}/+/window", 1) for site in (sites or "+") if collects]
        self._session = Session(
            broker, topics, client_id=client_id if collects else "", tls=tls,
            on_message=self._on_message,
        )  # fmt: skip
        self.changed: Callable[[], None] = lambda: None
        """Called, on any thread, after something new can be shown."""
        self._stopped = threading.Event()
        self._trouble = ""
        self.problem = ""
        """What somebody has to do something about; empty if nothing."""
        self._unreachable = Backoff(*UNREACHABLE_S, jitter=JITTER)
        self._ended = Backoff(*ENDED_S, jitter=JITTER)
        self._short = 0
        """Connections in a row that did not last."""
        self.obstacle: Obstacle = ""
        """What it waits for before it connects: another program to end, or the store."""
        self._thread = threading.Thread(target=self._follow, name="broker")

    @property
    def is_connected(self) -> bool:
        return self._session.is_open

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let no more arrive; `finish` follows once what arrived is kept."""
        self._stopped.set()
        self._session.ended.set()
        self._thread.join()

    def finish(self) -> None:
        """Send the acknowledgements, and leave the broker and the lock to others."""
        self._session.close()
        self._holder.release()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                wait_s = self._follow_once()
            except Exception as error:  # a surprise must not end this thread unnoticed
                log(f"{error!r}; it is tried again")
                wait_s = UNREACHABLE_S[1]
            self._stopped.wait(wait_s)

    def _follow_once(self) -> float:
        """Until the lock is another's or the connection ends; how long to wait then, seconds."""
        if not self._has_lock():
            return STANDBY_S
        begin = time.monotonic()
        is_reached = self._stay_connected()
        if self._stopped.is_set():
            return 0.0
        self._session.close()
        self.changed()
        if not self._holder.is_held():
            return STANDBY_S
        if not is_reached:
            return self._unreachable.next()
        self._unreachable.reset()
        if time.monotonic() - begin > STABLE_S:
            self._ended.reset()
            self._short = 0
        self._short += 1
        self._suspect_another()
        return self._ended.next()

    def _has_lock(self) -> bool:
        obstacle: Obstacle
        try:
            obstacle = "" if self._holder.acquire() else "another"
        except StoreError as error:
            self._note(f"{error}; it is tried again")
            obstacle = "store"
        if obstacle != self.obstacle:
            if obstacle == "another":
                log(f"another program collects as {self._client_id}; this one stands by")
            elif not obstacle:
                log(f"collects as {self._client_id} from now on")
            self.obstacle = obstacle
            self.changed()
        return not obstacle

    def _stay_connected(self) -> bool:
        """As long as there is a connection and the lock is held; whether the broker answered."""
        begin = time.monotonic()
        self._session.open()
        is_announced = False
        while not self._session.ended.wait(CHECK_S if is_announced else 0.05):
            if self._session.is_open and not is_announced:
                is_announced = True
                self._note("")
                self.changed()
            if time.monotonic() - begin > STABLE_S:
                self.problem = ""
            if is_announced and not self._holder.is_held():
                self._note("the lock in the database is lost")
                return True
        if not self._stopped.is_set():
            self._note(f"{self._session.problem}; it is tried again")
        return self._session.answered.is_set()

    def _suspect_another(self) -> None:
        if not self._session.is_taken_over and self._short < SHORT:
            return
        self.problem = (
            f"connections as {self._client_id} end soon after they begin, as if another program "
            "used this name; give each its own --client-id"
        )
        self._note(self.problem)

    def _note(self, trouble: str) -> None:
        """Log what keeps the broker away, once."""
        if trouble and trouble != self._trouble:
            log(f"{self._broker.host}:{self._broker.port}: {trouble}")
        self._trouble = trouble

    def _on_message(self, client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        kind = message.topic.rsplit("/", 1)[1]
        try:
            self._live.update(message.topic, text(message), retained=message.retain)
        except InvalidMessage as error:
            if kind != "window":  # which the writer reports
                log(f"{message.topic}: {error}")
                return
        if kind == "window" or (kind == "info" and self._collects):
            self._collector.put(client, message)
        else:
            if kind == "state" and not self._collects:
                self._collector.revision += 1
            self.changed()
