"""One connection to a broker: what was sent on it, and what became of that.

MQTT 5 says of each message whether it was refused. MQTT 3.1.1 acknowledges what the broker's access
rules refuse like everything else (section 3.3.5 of its specification leaves the broker no other
answer but to hang up). There, each topic is believed only once the broker has sent one of its
messages back, once per connection.
"""

import collections
import contextlib
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery.mqtt_broker import Broker, Version
from edge.types import AckResult, Message

IN_FLIGHT = 20
"""Messages sent but not yet acknowledged, at most; the default of paho and of mosquitto."""
ECHO_S = 5.0
"""For so long after its acknowledgement a message is expected back on MQTT 3.1.1."""
REFUSED_RETRY_S = 60.0
"""Access rules may be mended while the connection stands: a refused window is tried again."""
LOOK_S = 1.0
"""How often it is seen whether a keep-alive is due."""
NO_ECHO = "acknowledged, but not sent back: this user may not both write and read it"
UNSUPPORTED = "Unsupported protocol version"


@dataclass(slots=True)
class _Sent:
    message: Message
    since: float = field(default_factory=time.monotonic)
    acknowledged: bool = False


class Connection:
    """A connection from its first packet to its end; it is never made again.

    `run` belongs to a thread of its own, all else to callers that exclude each other. paho's
    callbacks take no lock: paho holds locks of its own there that sending takes too.
    """

    def __init__(
        self,
        broker: Broker,
        version: Version,
        *,
        will: Message | None = None,
        birth_topic: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """The broker publishes `will` when the connection dies.

        Messages `online` on `birth_topic` add to `births`. `wake` is called from the connection's
        thread when there is something to settle.

        Raises ConfigError where the password cannot be read.
        """
        self.version = version
        self.opened = False
        """Whether the broker has let us in; stays true after the end."""
        self.ended = threading.Event()
        self.reason = "does not answer"
        """Why it ended, or did not begin."""
        self.births = 0
        self.refused: dict[str, str] = {}
        """Topics whose last message was refused, and why."""
        self._address = broker.host, broker.port, broker.asked_keepalive
        self._birth_topic, self._wake = birth_topic, wake
        # as long as a broker waits (MQTT 5, section 3.1.2.10)
        self._patience = 1.5 * broker.keepalive
        self._reached = False
        self._most = IN_FLIGHT
        self._waiting: collections.deque[Message] = collections.deque()
        """To be sent when fewer are on their way."""
        self._sent: dict[int, _Sent] = {}
        self._acknowledged: queue.SimpleQueue[tuple[int, ReasonCode]] = queue.SimpleQueue()
        self._echoes: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._asked: set[str] = set()
        """Topics on MQTT 3.1.1 whose echo was asked for."""
        self._proven: set[str] = set()
        self._trusted: set[str] = set()
        """Topics of which the newest window whose fate is known was taken."""
        self._retry_at: dict[str, float] = {}
        """When a topic of which a window was refused is to be tried again."""
        self._client = broker.client(version)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._client.on_socket_register_write = self._on_want_write
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    # the connection's own thread

    def run(self) -> None:
        """Connect and stay until the link ends; then `reason` says why."""
        try:
            # within: for a pair of sockets too there may be nothing left
            self._nudge, nudged = socket.socketpair()
            with self._nudge, nudged:
                self._nudge.setblocking(False)
                self._client.connect(*self._address)
                self._reached = True
                self.reason = "takes the connection but does not speak MQTT"
                self._stay(nudged)
        except Exception as error:  # whatever a broker sends must not end the reconnecting
            self.reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        finally:
            self.ended.set()
            self._wake()

    def _stay(self, nudged: socket.socket) -> None:
        """Read and write until the link ends.

        paho's own loop does not keep to one thread: whoever publishes writes to the socket as well,
        even in the midst of a packet that did not fit into a stalled link.
        """
        client = self._client
        while (link := client.socket()) is not None:
            write = [link] if client.want_write() else []
            readable, writable, _ = select.select([link, nudged], write, [], LOOK_S)
            if nudged in readable:
                nudged.recv(4096)
            if link in readable:
                client.loop_read()
                while isinstance(link, ssl.SSLSocket) and client.socket() and link.pending():
                    client.loop_read()
            if writable and client.socket():
                client.loop_write()
            client.loop_misc()

    def _on_want_write(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # nudged often enough, or at its end
            self._nudge.send(b"!")

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        if reason.is_failure:
            self.reason = f"refuses the connection: {reason}"
            return
        self._most = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        if self._birth_topic is not None:
            client.subscribe(self._birth_topic)
        self.reason = "connection lost"
        self.opened = True
        self._wake()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self.opened and reason.is_failure:
            self.reason = f"connection lost ({reason})"

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        self._acknowledged.put((mid, reason))
        self._wake()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == self._birth_topic:
            self.births += message.payload == b"online"
        elif not message.retain:  # one that was retained comes from before our own
            self._echoes.put((message.topic, bytes(message.payload)))
        self._wake()

    # everybody else

    @property
    def open(self) -> bool:
        return self.opened and not self.ended.is_set()

    @property
    def speaks_other(self) -> bool:
        """Whether the end looks as if the broker knows only another version of MQTT."""
        return (
            self._reached
            and not self.opened
            and (UNSUPPORTED in self.reason or "refuses" not in self.reason)
        )

    @property
    def room(self) -> int:
        """How many windows may be sent now, of topics that are not `held`.

        The first of a topic goes alone, until it was taken: what is refused shall not be sent by
        the dozen.
        """
        pending = [*self._waiting, *(sent.message for sent in self._sent.values())]
        windows = [message.topic for message in pending if message.key is not None]
        if not self.open or not self._trusted.issuperset(windows):
            return 0
        return max(0, self._most - len(windows))

    @property
    def held(self) -> frozenset[str]:
        """Topics of which a window was refused, and which it is too early to try again."""
        now = time.monotonic()
        return frozenset(topic for topic, due in self._retry_at.items() if now < due)

    def send(self, message: Message) -> None:
        """Hand a message over; `settle` tells what became of it."""
        self._waiting.append(message)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and len(self._sent) < self._most:
            message = self._waiting.popleft()
            topic = message.topic
            if self.version == "3.1.1" and topic not in self._asked:
                self._asked.add(topic)
                self._client.subscribe(topic, qos=1)
            info = self._client.publish(topic, message.payload, message.qos, message.retain)
            self._sent[info.mid] = _Sent(message)

    def settle(self) -> AckResult:
        """What became known since the last call."""
        ended = self.ended.is_set()  # before the queues: what came before the end counts
        settled = AckResult()
        while not self._acknowledged.empty():
            mid, reason = self._acknowledged.get()
            if mid not in self._sent:
                continue
            if reason.is_failure:
                self._refuse(mid, str(reason), settled)
            else:
                self._sent[mid].acknowledged = True
                self._sent[mid].since = time.monotonic()
        while not self._echoes.empty():
            self._prove(*self._echoes.get())
        now = time.monotonic()
        for mid, sent in list(self._sent.items()):
            topic, waited = sent.message.topic, now - sent.since
            if sent.acknowledged and (topic not in self._asked or topic in self._proven):
                self._accept(mid, settled)
            elif ended:
                self._pop(mid, settled.returned)
            elif sent.acknowledged and waited > ECHO_S:
                self._refuse(mid, NO_ECHO, settled)
            elif waited > self._patience:
                self.reason = "acknowledges nothing any more"
                self.drop()
        if ended:
            settled.returned.extend(each.key for each in self._waiting if each.key is not None)
            self._waiting.clear()
        else:
            self._send_waiting()
        return settled

    def _prove(self, topic: str, payload: bytes) -> None:
        ours = any(
            sent.message.topic == topic and sent.message.payload.encode() == payload
            for sent in self._sent.values()
        )
        if ours and topic not in self._proven:
            self._proven.add(topic)
            self._client.unsubscribe(topic)

    def _accept(self, mid: int, settled: AckResult) -> None:
        message = self._pop(mid, settled.delivered)
        self.refused.pop(message.topic, None)
        if message.key is not None:
            self._trusted.add(message.topic)

    def _refuse(self, mid: int, why: str, settled: AckResult) -> None:
        message = self._pop(mid, settled.returned)
        self.refused[message.topic] = why
        if message.key is not None:
            self._trusted.discard(message.topic)
            self._retry_at[message.topic] = time.monotonic() + REFUSED_RETRY_S

    def _pop(self, mid: int, keys: list[int]) -> Message:
        message = self._sent.pop(mid).message
        if message.key is not None:
            keys.append(message.key)
        return message

    def drop(self) -> None:
        """End the connection as if the cable were cut: the broker publishes the will."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self, last: Message, timeout_s: float) -> bool:
        """Send `last`, wait until it is acknowledged, and disconnect; whether it was.

        Where it was not, the broker publishes the will.
        """
        info = self._client.publish(last.topic, last.payload, 1, last.retain)
        with contextlib.suppress(RuntimeError, ValueError):  # the link broke meanwhile
            info.wait_for_publish(timeout_s)
            if info.is_published():
                self.leave()
                return True
        self.drop()
        return False

    def leave(self) -> None:
        """Disconnect without the will."""
        self._client.disconnect()
