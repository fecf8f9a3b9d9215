"""Messages to an MQTT broker, over one connection after another."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edge.delivery.mqtt_broker import VERSIONS, Broker, Version
from edge.delivery.mqtt_connection import Connection
from edge.errors import EdgeError
from edge.types import AckResult, Message

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
HELD_S = 30.0
"""A link that lasts for so long is a good one: if it breaks, that is a new trouble."""
DROPS = 3
"""After so many links in a row that were shorter, a question goes with the complaint."""
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
        self._link = self._new_link(_versions(broker)[0])
        self._ended: list[Connection] = []
        """Connections of which messages may still have to be returned."""
        self._returned: list[int] = []
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

    def _new_link(self, version: Version) -> Connection:
        return Connection(
            self._broker,
            version,
            will=self._will,
            birth_topic=self._birth_topic,
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
            if link.opened and time.monotonic() - begun >= HELD_S:
                failures = drops = 0
                self._told.clear()
                self._complained = False
            else:
                failures += 1
                drops += link.opened
            another = (
                "; is another device using the same site and device?" if drops >= DROPS else ""
            )
            self._complain(link.reason + another)
            self._closing.wait(retry_s(failures))
            following = self._following(link)
            if self._closing.is_set() or following is None:
                return
            with self._lock:
                self._ended.append(link)
                self._link = following

    def _following(self, link: Connection) -> Connection | None:
        """The connection after `link`; None where the program ends before there can be one."""
        versions = _versions(self._broker)
        # back to MQTT 5 after each connection: only a greeting that failed speaks against it
        version = versions[0]
        if link.speaks_other and link.version == version:
            version = versions[-1]
        while not self._closing.is_set():
            try:
                return self._new_link(version)
            except EdgeError as error:  # the password file is gone
                self._complain(str(error))
                self._closing.wait(LAST_RETRY_S)
        return None

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
    def room(self) -> int:
        """How many messages with a key may be published now."""
        with self._lock:  # another thread may be publishing
            return self._link.room if self.connected else 0

    @property
    def held(self) -> frozenset[str]:
        """Topics that the broker refused not long ago."""
        with self._lock:
            return self._link.held

    def status(self) -> dict[str, Any]:
        """For `health`: MQTT's version, how often a connection was made, topics refused."""
        link = self._link
        return {
            "version": link.version if link.open else None,
            "connects": self._connects,
            "refused": sorted(topic.rsplit("/", 1)[-1] for topic in self._refused),
        }

    def publish(self, message: Message) -> None:
        """Send; where the link is down, the newest of each retained topic is sent on connect.

        Whoever publishes messages with a key does so in their order, when there is `room`, and
        none of topics that are `held`.
        """
        with self._lock:
            if message.key is None:
                self._retained[message.topic] = message
            if self.connected:
                self._link.send(message)
            elif message.key is not None:
                self._returned.append(message.key)

    def poll(self) -> AckResult:
        """Greet a broker that came back; tell what became of messages with a key."""
        with self._lock:
            settled = [link.settle() for link in (*self._ended, self._link)]
            self._ended.clear()
            link, births = self._link, self._link.births
            if link.open and self._greeted != (link, births):
                self._greet(link)
                self._greeted = (link, births)
            self._tell_refused(link)
            returned, self._returned = self._returned, []
        return AckResult(
            [key for each in settled for key in each.delivered],
            returned + [key for each in settled for key in each.returned],
        )

    def _greet(self, link: Connection) -> None:
        if self._greeted is None or self._greeted[0] is not link:
            self._tell(f"connected by MQTT {link.version}")
            self._connects += 1
        for message in self._retained.values():
            link.send(message)

    def _tell_refused(self, link: Connection) -> None:
        if not link.opened:
            return  # what the connection before it was refused is the best that is known
        for topic, why in link.refused.items():
            if topic not in self._refused:
                log.error("broker %s: refuses topic %s: %s", self._broker.where, topic, why)
        self._refused = dict(link.refused)

    def close(self, last: Message) -> None:
        """Publish `last` and disconnect; where `last` does not get through, the will speaks."""
        self._closing.set()
        link = self._link
        if not link.open:
            link.drop()
        elif not link.close(last, CLOSE_S):
            log.warning("broker %s: the last message was not delivered", self._broker.where)
        self._thread.join(CLOSE_S)


def retry_s(failures: int) -> float:
    """Seconds until the next try: doubled with each failure, and by chance from half of it on.

    Without chance all devices of a site would come back to a restarted broker at the same moment.
    """
    longest: float = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures, 10))
    return longest * random.uniform(0.5, 1)  # noqa: S311  # nothing secret


def probe(
    broker: Broker,
    messages: Sequence[Message] = (),
    *,
    will: Message | None = None,
    timeout_s: float = 10.0,
) -> Version:
    """Connect once, with a `will`, publish `messages`, leave; the version of MQTT that was spoken.

    Raises EdgeError with the reason it fails, or what was not taken.
    """
    # a name of its own: the broker would throw out a running daemon of the same name
    broker = replace(broker, client_id=f"{broker.client_id}-check")
    end = time.monotonic() + timeout_s
    for version in _versions(broker):
        link = Connection(broker, version, will=will)
        threading.Thread(target=link.run, name="probe", daemon=True).start()
        _wait_until(lambda: link.opened or link.ended.is_set(), end)  # noqa: B023  # asked at once
        if not (link.ended.is_set() and link.speaks_other):
            break
    if not link.open:
        link.drop()
        raise EdgeError(f"broker {broker.where}: {link.reason}")
    missing, returned = dict(enumerate(messages)), set[int]()
    for number, message in missing.items():
        link.send(replace(message, key=number))

    def settled() -> bool:
        told = link.settle()
        for number in told.delivered:
            del missing[number]
        returned.update(told.returned)
        return returned.issuperset(missing)

    _wait_until(settled, end)
    refuses = "refuses" if returned else "does not acknowledge"
    why = f"{link.reason} at" if link.ended.is_set() else refuses
    link.leave()
    link.ended.wait(CLOSE_S)  # or the program might end before it has said so, and the will speak
    if link.refused:
        refused = "; ".join(f"{topic}: {why}" for topic, why in sorted(link.refused.items()))
        raise EdgeError(f"broker {broker.where}: refuses {refused}")
    for message in missing.values():
        kind, size = "retained " * message.retain, len(message.payload.encode())
        raise EdgeError(f"broker {broker.where}: {why} a {kind}message of {size} bytes")
    return link.version


def _versions(broker: Broker) -> list[Version]:
    """Versions of MQTT to try, the best first."""
    return list(VERSIONS) if broker.version is None else [broker.version]


def _wait_until(condition: Callable[[], bool], end: float) -> bool:
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
