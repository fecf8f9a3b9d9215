"""Messages to an MQTT broker, over one connection after another."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from edge.delivery.mqtt_broker import Broker
from edge.delivery.mqtt_connection import Connection
from edge.delivery.mqtt_limits import publish_bytes
from edge.delivery.mqtt_suspects import Suspects
from edge.delivery.mqtt_versions import Versions
from edge.errors import EdgeError
from edge.types import AckResult, Message

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 12.0
"""Between two tries while a broker is away. With the time that a try may take, a broker that comes
back has a window within 20 s; six seconds of chance are enough for the devices of a site."""
LAST_REST_S = 60.0
"""Likewise, where the broker is there but connections to it do not last."""
STABLE_S = 30.0
"""A link that lasts for so long is a good one: if it breaks, that is a new trouble."""
DROPS = 3
"""After so many links in a row that were shorter, `TWINS` goes with the complaint."""
TWINS = "; is another device using the same site and device?"
CLOSE_S = 2.0
"""How long the end waits for the broker."""


class MqttPublisher:
    """Connects for ever, and takes messages whether a broker is there or not.

    A message with a key goes out once; `poll` tells whether it arrived or came back. Of the others,
    which are retained, the newest of each topic is sent again after every connect.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        will: Message,
        birth_topic: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Start connecting in the background; a broker that is away is tried again for ever.

        The broker publishes `will` when a connection dies. A message `online` on `birth_topic`
        (Home Assistant's) has the retained messages sent again. `wake` is called from another
        thread when something was delivered or the link changed.

        Raises ConfigError where the password file cannot be read.
        """
        self._broker = broker
        self._will, self._birth_topic, self._wake = will, birth_topic, wake
        self._lock = threading.Lock()
        self._retained: dict[str, Message] = {}
        self._versions, self._suspects = Versions(broker.version), Suspects()
        self._link = self._new_link()
        self._settled = AckResult()
        """What became of messages on connections that have ended."""
        self._greeted: tuple[Connection, int] | None = None
        """Who was last sent all retained messages: the connection, and its births."""
        self._connects = 0
        self._told: set[str] = set()
        """What was logged since a link last held: a broker that comes and goes is told of once."""
        self._complained = False
        self._refused: dict[str, str] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._stay_connected, name="mqtt", daemon=True)
        self._thread.start()

    def _new_link(self) -> Connection:
        heard = self._birth_topic is None or not self._suspects.left_out(self._birth_topic)
        return Connection(
            self._broker,
            self._versions.next,
            will=self._will,
            birth_topic=self._birth_topic if heard else None,
            limits=self._versions.limits,
            alone=self._suspects.alone,
            wake=self._wake,
        )

    # the thread that connects

    def _stay_connected(self) -> None:
        failures = drops = 0
        while True:
            link, begun = self._link, time.monotonic()
            link.run()
            if self._closing.is_set():
                return
            stable = link.opened and time.monotonic() - begun >= STABLE_S
            with self._lock:
                self._settle(link)
                self._examine(link, stable)
                at_once = self._versions.after(link)
            if stable:
                drops = 0
                self._told.clear()
                self._complained = False
            failures = 0 if link.opened else failures + 1
            drops += link.opened and not stable
            if not at_once:
                self._complain(link.explain() + (TWINS if drops >= DROPS else ""))
                longest = LAST_REST_S if link.opened else LAST_RETRY_S
                self._closing.wait(retry_s(drops if link.opened else failures, longest))
            following = self._following()
            if self._closing.is_set() or following is None:
                return
            self._link = following

    def _following(self) -> Connection | None:
        """The next connection; None where the program ends before there can be one."""
        while not self._closing.is_set():
            try:
                return self._new_link()
            except EdgeError as error:  # the password file is gone
                self._complain(str(error))
                self._closing.wait(LAST_RETRY_S)
        return None

    def _settle(self, link: Connection) -> None:
        settled = link.settle()
        self._settled.delivered.extend(settled.delivered)
        self._settled.returned.extend(settled.returned)
        for topic in link.accepted:
            self._suspects.acquit(topic)
        link.accepted.clear()

    def _examine(self, link: Connection, stable: bool) -> None:
        """Find the message after which connections end, where there is one."""
        if not link.opened:
            return
        culprit = self._suspects.blame(link.unanswered, stalled=link.stalled)
        if stable and culprit is None:
            self._suspects.forgive()
        self._name_refused(link)

    def _complain(self, what: str) -> None:
        if self._complained:
            self._tell(what)
        else:
            log.warning(
                "broker %s: %s; windows stay on disk and go out when it is back",
                self._broker.where,
                what,
            )
            self._told.add(what)
        self._complained = True

    def _tell(self, what: str) -> None:
        if what not in self._told:
            log.info("broker %s: %s", self._broker.where, what)
        self._told.add(what)

    # everybody else

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
        """Topics that the broker refused not long ago."""
        with self._lock:
            return self._link.paused_topics | self._suspects.paused_topics

    def status(self) -> dict[str, Any]:
        """For `health`: MQTT's version, how often a connection was made, topics refused."""
        link = self._link
        return {
            "version": link.version if link.open else None,
            "connects": self._connects,
            "refused": sorted({topic.rsplit("/", 1)[-1] for topic in self._refused}),
        }

    def publish(self, message: Message) -> None:
        """Send; where the link is down, the newest of each retained topic is sent on connect.

        Whoever publishes messages with a key does so in their order, when there is `room`, and
        none of topics that are `held`.
        """
        with self._lock:
            if message.key is None:
                self._retained[message.topic] = message
            if self.connected and not self._suspects.left_out(message.topic):
                self._link.send(message)
            elif message.key is not None:
                self._settled.returned.append(message.key)

    def poll(self) -> AckResult:
        """Greet a broker that came back; tell what became of messages with a key."""
        with self._lock:
            self._settle(self._link)
            link, births = self._link, self._link.births
            if link.open and self._greeted != (link, births):
                self._greet(link)
                self._greeted = (link, births)
            elif link.open:
                self._send_retained(link, link.due)
            self._name_refused(link)
            settled, self._settled = self._settled, AckResult()
        return settled

    def _greet(self, link: Connection) -> None:
        if self._greeted is None or self._greeted[0] is not link:
            self._tell(f"connected by MQTT {link.version}")
            self._connects += 1
        self._send_retained(link, lambda _topic: True)

    def _send_retained(self, link: Connection, wanted: Callable[[str], bool]) -> None:
        messages = [m for topic, m in self._retained.items() if wanted(topic)]
        # the largest is the likeliest to be refused, and nothing is to wait for it
        for message in sorted(messages, key=publish_bytes):
            if not self._suspects.left_out(message.topic):
                link.send(message)

    def _name_refused(self, link: Connection) -> None:
        if not link.opened:
            return  # what the connection before it was refused is the best that is known
        refused = self._suspects.refused | link.refused
        for topic, why in refused.items():
            if topic not in self._refused:
                log.error("broker %s: refuses topic %s: %s", self._broker.where, topic, why)
        self._refused = refused

    def close(self, last: Message) -> None:
        """Publish `last` and disconnect; where `last` does not get through, the will speaks."""
        self._closing.set()
        link = self._link
        if not link.open:
            link.drop()
        elif not link.close(last, CLOSE_S):
            log.warning("broker %s: the last message was not delivered", self._broker.where)
        self._thread.join(CLOSE_S)


def retry_s(failures: int, longest_s: float = LAST_RETRY_S) -> float:
    """Seconds until the next try: doubled with each failure, and by chance from half of it on.

    Without chance all devices of a site would come back to a restarted broker at the same moment.
    """
    wait_s: float = min(longest_s, FIRST_RETRY_S * 2 ** min(failures, 10))
    return wait_s * random.uniform(0.5, 1)  # noqa: S311  # nothing secret
