"""Publishes messages to an MQTT broker over one connection after another."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from edge.backoff import Backoff
from edge.delivery.mqtt_attempts import Attempts
from edge.delivery.mqtt_broker import Broker
from edge.delivery.mqtt_connection import Connection
from edge.delivery.mqtt_limits import publish_bytes
from edge.delivery.mqtt_patience import Patience
from edge.delivery.mqtt_suspects import Suspects
from edge.errors import EdgeError
from edge.types import AckResult, Message

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
"""Seconds before the first retry; doubled with each failure in a row."""
LONGEST_RETRY_S = 12.0
"""Seconds between two tries while the broker is away, at most. Together with the time a try may
take, a window arrives within 20 s after the broker is back; a random spread of six seconds is
enough for the devices of a site."""
LONGEST_REST_S = 60.0
"""Seconds between two tries, at most, if the broker is there but connections do not last."""
RETRY_JITTER = (0.5, 1.0)
"""Each wait is a random fraction between these of the full one."""
STABLE_S = 30.0
"""A connection that lasts for this many seconds is stable: when it breaks, the waits and warnings
start over."""
HINT_AFTER_DROPS = 3
"""After this many short-lived connections in a row, the warning suggests a duplicate client id."""
DUPLICATE_HINT = "; is another device using the same site and device?"
CLOSE_S = 2.0
"""Seconds to wait for the broker at the end."""


class MqttPublisher:
    """Never stops connecting, and takes messages whether or not a broker is there.

    A message with a key is sent once; `poll` reports whether it was delivered or returned. The
    others are retained: the newest of each topic is sent again after every connect.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        will: Message,
        birth_topic: str | None = None,
        command_topic: str | None = None,
        on_command: Callable[[bytes], None] = lambda _payload: None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Start connecting in the background.

        The broker publishes `will` when a connection dies. After a message `online` on
        `birth_topic` (Home Assistant's) the retained messages are sent again. `on_command` gets
        the payload of each message on `command_topic`, from another thread. `wake` is called
        from another thread when something was delivered or the link changed.

        Raises ConfigError if the password file cannot be read.
        """
        self._broker = broker
        self._will, self._birth_topic, self._wake = will, birth_topic, wake
        self._command_topic, self._on_command = command_topic, on_command
        self._lock = threading.Lock()
        self._retained: dict[str, Message] = {}
        self._attempts, self._suspects = Attempts(broker), Suspects()
        self._patience = Patience(1.5 * broker.keepalive)
        self._is_known = False
        """Whether the broker has ever accepted a connection."""
        self._link = self._new_link()
        self._settled = AckResult()
        """Results for messages on connections that have ended."""
        self._greeted: tuple[Connection, int] | None = None
        """The connection on which all retained messages were last sent, and its births then."""
        self._connects = 0
        self._logged: set[str] = set()
        """Lines logged since the last stable connection: each is logged once."""
        self._warned = False
        self._refused: dict[str, str] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._stay_connected, name="mqtt", daemon=True)
        self._thread.start()

    def _new_link(self) -> Connection:
        def unless_left_out(topic: str | None) -> str | None:
            return None if topic is None or self._suspects.left_out(topic) else topic

        return Connection(
            self._broker,
            self._attempts.version,
            will=self._will,
            birth_topic=unless_left_out(self._birth_topic),
            command_topic=unless_left_out(self._command_topic),
            on_command=self._on_command,
            limits=self._attempts.limits,
            addresses=self._attempts.addresses,
            patience_s=self._patience.seconds,
            is_alone=self._suspects.is_alone,
            wake=self._wake,
        )

    # on the connecting thread

    def _stay_connected(self) -> None:
        away = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, RETRY_JITTER)
        rest = Backoff(FIRST_RETRY_S, LONGEST_REST_S, RETRY_JITTER)
        drops = 0
        while True:
            link, start = self._link, time.monotonic()
            link.run()
            if self._closing.is_set():
                return
            stable = link.opened and time.monotonic() - start >= STABLE_S
            with self._lock:
                self._settle(link)
                self._examine(link, stable)
                self._patience.after(stalled=link.stalled, stable=stable)
                retry_at_once = self._attempts.after(link)
            if link.opened:
                self._is_known = True
                away.reset()
                drops += 1
            if stable:
                rest.reset()
                drops = 0
                self._logged.clear()
                self._warned = False
            if not retry_at_once:
                hint = DUPLICATE_HINT if drops >= HINT_AFTER_DROPS else ""
                # what a broker is that was one before needs no finding out, which takes time
                self._warn(link.explain(diagnose=not self._is_known) + hint)
                self._closing.wait((rest if link.opened else away).next())
            next_link = self._next_link()
            if self._closing.is_set() or next_link is None:
                return
            self._link = next_link

    def _next_link(self) -> Connection | None:
        """Return the next connection; None if the program ends before there can be one."""
        while not self._closing.is_set():
            try:
                return self._new_link()
            except EdgeError as error:  # the password file is gone
                self._warn(str(error))
                self._closing.wait(LONGEST_RETRY_S)
        return None

    def _settle(self, link: Connection) -> None:
        settled = link.settle()
        self._settled.delivered.extend(settled.delivered)
        self._settled.returned.extend(settled.returned)
        for topic in link.topics.accepted:
            self._suspects.acquit(topic)
        link.topics.accepted.clear()

    def _examine(self, link: Connection, stable: bool) -> None:
        """Look for a message that makes the broker end connections."""
        if not link.opened:
            return
        culprit = self._suspects.blame(link.unanswered, stalled=link.stalled)
        if stable and culprit is None:
            self._suspects.forgive()
        self._log_refused(link)

    def _warn(self, reason: str) -> None:
        if self._warned:
            self._log_once(reason)
        else:
            log.warning(
                "broker %s: %s; windows stay on disk and are sent when it is back",
                self._broker.where,
                reason,
            )
            self._logged.add(reason)
        self._warned = True

    def _log_once(self, line: str) -> None:
        if line not in self._logged:
            log.info("broker %s: %s", self._broker.where, line)
        self._logged.add(line)

    # on any other thread

    @property
    def connected(self) -> bool:
        """Whether the broker is there and was sent the newest retained messages."""
        return self._link.open and self._greeted == (self._link, self._link.births)

    @property
    def capacity(self) -> int:
        """How many messages with a key may be published now."""
        with self._lock:  # another thread may be publishing
            return self._link.capacity if self.connected else 0

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics that the broker recently refused."""
        with self._lock:
            return self._link.topics.paused | self._suspects.paused_topics

    def status(self) -> dict[str, Any]:
        """Return for `health`: MQTT version, number of connects, topics refused."""
        link = self._link
        return {
            "version": link.version if link.open else None,
            "connects": self._connects,
            "refused": sorted({topic.rsplit("/", 1)[-1] for topic in self._refused}),
        }

    def publish(self, message: Message) -> None:
        """Send; while the link is down, the newest of each retained topic waits for the connect.

        Messages with a key must be published in order, while there is `capacity`, and not on
        `paused_topics`.
        """
        with self._lock:
            if message.key is None:
                self._retained[message.topic] = message
            if self.connected and not self._suspects.left_out(message.topic):
                self._link.send(message)
            elif message.key is not None:
                self._settled.returned.append(message.key)

    def poll(self) -> AckResult:
        """Greet a broker that came back; return the results for messages with a key."""
        with self._lock:
            self._settle(self._link)
            link, births = self._link, self._link.births
            if link.open and self._greeted != (link, births):
                self._greet(link)
                self._greeted = (link, births)
            elif link.open:
                self._send_retained(link, link.topics.is_due)
            self._log_refused(link)
            settled, self._settled = self._settled, AckResult()
        return settled

    def _greet(self, link: Connection) -> None:
        if self._greeted is None or self._greeted[0] is not link:
            self._log_once(f"connected by MQTT {link.version}")
            self._connects += 1
        self._send_retained(link, lambda _topic: True)

    def _send_retained(self, link: Connection, is_due: Callable[[str], bool]) -> None:
        messages = [m for topic, m in self._retained.items() if is_due(topic)]
        # the largest is the likeliest to be refused: nothing should wait for it
        for message in sorted(messages, key=publish_bytes):
            if not self._suspects.left_out(message.topic):
                link.send(message)

    def _log_refused(self, link: Connection) -> None:
        if not link.opened:
            return  # what the previous connection was refused is the best that is known
        refused = self._suspects.refused | link.topics.refused
        for topic, reason in refused.items():
            if topic not in self._refused:
                log.error("broker %s: refuses topic %s: %s", self._broker.where, topic, reason)
        self._refused = refused

    def close(self, last: Message) -> None:
        """Publish `last` and disconnect; if `last` is not acknowledged, the will is published."""
        self._closing.set()
        link = self._link
        if not link.open:
            link.drop()
        elif not link.close(last, CLOSE_S):
            log.warning("broker %s: the last message was not delivered", self._broker.where)
        self._thread.join(CLOSE_S)
