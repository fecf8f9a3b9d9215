"""One connection to a broker: what was sent on it, and what was acknowledged, proven or refused."""

import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery.mqtt_addresses import Address, Addresses
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_echoes import Echoes, Sent, unreadable
from edge.delivery.mqtt_limits import Limits
from edge.delivery.mqtt_send_queue import SendQueue
from edge.delivery.mqtt_socket import Link
from edge.delivery.mqtt_subscriptions import Subscriptions
from edge.delivery.mqtt_topics import Topics
from edge.types import AckResult, Message

SUBSCRIBE_SUSPECT_S = 5.0
"""If a connection ends within this many seconds of a subscription, that may be the reason."""
BIRTH_REFUSED = "the broker refuses the subscription; Home Assistant's start is not noticed"
COMMANDS_REFUSED = "the broker refuses the subscription; the device cannot be paused"
NO_RETAIN, NO_QOS = "Retain not supported", "QoS not supported"


class Connection:
    """A connection from its first packet to its end; it is not reused.

    `run` has a thread of its own; all other calls must exclude each other.
    """

    def __init__(
        self,
        broker: Broker,
        version: Version,
        *,
        will: Message | None = None,
        birth_topic: str | None = None,
        command_topic: str | None = None,
        on_command: Callable[[bytes], None] = lambda _payload: None,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        addresses: Addresses | None = None,
        patience_s: float | None = None,
        is_alone: Callable[[str], bool] = lambda _topic: False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """The broker publishes `will` when the connection dies.

        Messages `online` on `birth_topic` are counted in `births`. `on_command` gets the payload
        of each message on `command_topic`, from the connection's thread; a retained one may be
        long out of date and is left out. The will must fit `limits`; the
        limits that the broker announces replace them. It connects to the next of `addresses`, by
        default the broker's. It ends if nothing is acknowledged for `patience_s` seconds, by
        default as long as a broker waits. Messages without a key on a topic that `is_alone` wait
        until no window is left and nothing else is in flight. `wake` is called from
        the connection's thread when there is something to settle.

        Raises ConfigError if the password cannot be read.
        """
        self.version, self.limits = version, limits
        self.births = 0
        self.topics = Topics()
        """What the broker accepted and refused."""
        self.unanswered: list[Message] = []
        """At the end: messages sent but not acknowledged."""
        self._wake = wake
        self.birth_topic, self.command_topic = birth_topic, command_topic
        self._on_command = on_command
        self._started = False
        """Whether any message was handed over."""
        # as long as a broker waits (MQTT 5, section 3.1.2.10)
        self._longest_s = 1.5 * broker.keepalive
        self._patience_s = self._longest_s if patience_s is None else patience_s
        self._answered_at = 0.0
        """When a message was last acknowledged, monotonic."""
        self._queue = SendQueue(is_alone)
        self._sent: dict[int, Sent] = {}
        """Messages in flight, by packet id."""
        self._unsent: list[int] = []
        """Keys of windows that were refused without being sent."""
        self._acknowledged: queue.SimpleQueue[tuple[int, ReasonCode]] = queue.SimpleQueue()
        self._came_back: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._client = broker.client(version)
        if will is not None:
            will = limits.fit(will)
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._link = Link(
            self._client,
            broker,
            addresses or Addresses(broker.host, broker.port),
            on_greeting=self._on_greeting,
            wake=wake,
        )
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._subscriptions = Subscriptions(self._client)
        self._echoes = Echoes(version, self._subscriptions)

    # on the connection's own thread

    def run(self) -> None:
        """Connect and stay until the link ends; `explain` then gives the reason."""
        self._link.run()

    def _on_greeting(self, refusal: str | None, properties: dict[str, Any]) -> None:
        if self.version == "5":
            self.limits = Limits.announced(properties)
            if refusal == NO_RETAIN:  # a refusal need not announce it
                self.limits = replace(self.limits, retain=False)
            elif refusal == NO_QOS:
                self.limits = replace(self.limits, qos=0)
        self._queue.note_window()

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        self._acknowledged.put((mid, reason))
        self._wake()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == self.birth_topic:
            self.births += message.payload == b"online"
        elif message.topic == self.command_topic:
            if not message.retain:
                self._on_command(bytes(message.payload))
        elif not message.retain:  # a retained one was sent before this connection
            self._came_back.put((message.topic, bytes(message.payload)))
        self._wake()

    # on any other thread

    @property
    def opened(self) -> bool:
        """Whether the broker accepted the connection; stays true after the end."""
        return self._link.opened

    @property
    def ended(self) -> bool:
        return self._link.ended.is_set()

    @property
    def open(self) -> bool:
        return self.opened and not self.ended

    @property
    def stalled(self) -> bool:
        """Whether it ended because nothing more came from the broker."""
        return self._link.stalled

    @property
    def hung(self) -> bool:
        """Whether it never opened because there was no answer in time."""
        return self._link.hung

    @property
    def address(self) -> Address | None:
        """The broker's address; None if its name was not resolved."""
        return self._link.address

    @property
    def speaks_other(self) -> bool:
        """Whether the end suggests that the broker speaks only another version of MQTT."""
        return self._link.speaks_other

    @property
    def refusal(self) -> str | None:
        """Why the broker refused the connection, if it answered."""
        return self._link.refusal

    @property
    def will_refused(self) -> bool:
        """Whether the broker refused the connection because of the will's retain flag or QoS."""
        return self._link.refusal in (NO_RETAIN, NO_QOS)

    def explain(self, *, diagnose: bool = True) -> str:
        """Return why it ended or never opened; `diagnose`: connect once more to find out."""
        return self._link.explain() if diagnose else self._link.reason

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended."""
        self._link.ended.wait(timeout_s)

    @property
    def capacity(self) -> int:
        """How many windows may be sent now, on topics that are not paused.

        The first of a topic is sent alone, until it is accepted: a refusal should cost one
        message, not a dozen.
        """
        pending = [*self._queue.windows, *(sent.message for sent in self._sent.values())]
        topics = [message.topic for message in pending if message.key is not None]
        if not self.open or not self.topics.trusted.issuperset(topics):
            return 0
        return max(0, self.limits.in_flight - len(topics))

    @property
    def listens(self) -> dict[str, bool | None]:
        """Whether it is subscribed to `command_topic` and `birth_topic`, by topic.

        None if that is not known yet.
        """
        topics = (self.command_topic, self.birth_topic)
        return {
            topic: self._subscriptions.is_granted(topic) for topic in topics if topic is not None
        }

    def send(self, message: Message) -> None:
        """Hand a message over; `settle` reports the result."""
        self._started = True
        if message.key is not None and message.topic in self.topics.paused:
            self._unsent.append(message.key)
            return
        if self.version == "5" and (reason := self.limits.excess(self.limits.fit(message))):
            self.topics.refuse(message, reason)
            if message.key is not None:
                self._unsent.append(message.key)
            return
        self._queue.put(message)
        self._send_queued()

    def _send_queued(self) -> None:
        while len(self._sent) < self.limits.in_flight:
            message = self._queue.next(sent.message for sent in self._sent.values())
            if message is None:
                break
            self._send(message)
        idle = not self._sent and not self._queue
        if self._started and self.open and idle:
            for topic, granted in self.listens.items():
                self._subscriptions.subscribe(topic, qos=int(topic == self.command_topic))
                if granted is None:
                    break  # one at a time: if the broker hangs up, it is known at which

    def _send(self, message: Message) -> None:
        self.topics.tried(message.topic)
        if self._lacks_echo(message):
            self._echoes.expect(message.topic)
        fit = self.limits.fit(message)
        info = self._client.publish(fit.topic, fit.payload, fit.qos, fit.retain)
        self._sent[info.mid] = Sent(message)

    def _lacks_echo(self, message: Message) -> bool:
        return self._echoes.lacks(message, self.limits.qos)

    def settle(self) -> AckResult:
        """Return what became known since the last call."""
        ended = self.ended  # before the queues: what arrived before the end counts
        settled = AckResult()
        settled.returned.extend(self._unsent)
        self._unsent.clear()
        while not self._acknowledged.empty():
            mid, reason = self._acknowledged.get()
            self._answered_at = time.monotonic()
            if mid not in self._sent:
                continue
            if reason.is_failure:
                self._return(mid, settled, str(reason))
            else:
                self._sent[mid].acknowledged = True
                self._sent[mid].since = time.monotonic()
        while not self._came_back.empty():
            self._echoes.note(*self._came_back.get(), self._sent.values(), self.limits.qos)
        self._settle_subscriptions(settled)
        now = time.monotonic()
        for mid, sent in list(self._sent.items()):
            waited_s = now - sent.since
            if sent.acknowledged and (sent.echoed or not self._lacks_echo(sent.message)):
                self._accept(mid, settled)
            elif ended:
                if not sent.acknowledged:
                    self.unanswered.append(sent.message)
                self._pop(mid, settled.returned)
            elif sent.acknowledged and self._echoes.are_late(waited_s):
                self._return(mid, settled, *self._echoes.missing(sent.message.topic))
            elif (
                waited_s > self._longest_s
                or now - max(sent.since, self._answered_at) > self._patience_s
            ):
                self._link.give_up("no longer acknowledges messages")
        if ended:
            settled.returned.extend(m.key for m in self._queue.windows if m.key is not None)
            self._queue.clear()
            self._note_subscription()
        else:
            self._send_queued()
        return settled

    def _settle_subscriptions(self, settled: AckResult) -> None:
        for topic, wait_s, failures in self._subscriptions.refusals():
            # nothing in flight can come back
            reason = unreadable(failures)
            for mid, sent in list(self._sent.items()):
                if sent.message.topic == topic and self._lacks_echo(sent.message):
                    self._return(mid, settled, reason, wait_s)
        for topic, granted in self.listens.items():
            if granted:
                self.topics.refused.pop(topic, None)
            elif granted is not None:
                is_birth = topic == self.birth_topic
                self.topics.refused[topic] = BIRTH_REFUSED if is_birth else COMMANDS_REFUSED

    def _note_subscription(self) -> None:
        if self.unanswered:
            return
        for topic in self.listens:
            if self._subscriptions.is_unanswered(topic, SUBSCRIBE_SUSPECT_S):
                self.unanswered.append(Message(topic, ""))

    def _accept(self, mid: int, settled: AckResult) -> None:
        self.topics.accept(self._pop(mid, settled.delivered))

    def _return(
        self, mid: int, settled: AckResult, reason: str | None, wait_s: float | None = None
    ) -> None:
        self.topics.refuse(self._pop(mid, settled.returned), reason, wait_s)

    def _pop(self, mid: int, keys: list[int]) -> Message:
        message = self._sent.pop(mid).message
        if message.key is not None:
            keys.append(message.key)
            self._queue.note_window()
        return message

    def drop(self) -> None:
        """End the connection as if the cable were cut: the broker publishes the will."""
        self._link.drop()

    def close(self, last: Message, timeout_s: float) -> bool:
        """Send `last` and disconnect; return whether it was acknowledged within `timeout_s`.

        If not, the broker publishes the will.
        """
        last = self.limits.fit(last)
        info = self._client.publish(last.topic, last.payload, last.qos, last.retain)
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
