"""One connection to a broker: what was sent on it, and what became of that.

MQTT 5 says of each message whether it was refused. MQTT 3.1.1 acknowledges what the broker's access
rules refuse like everything else (section 3.3.5 of its specification leaves the broker no other
answer but to hang up). There, each topic is believed only once the broker has sent one of its
messages back, once per connection, and again for a longer one; where a broker acknowledges nothing
(QoS 0), each message.
"""

import collections
import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_limits import Limits
from edge.delivery.mqtt_socket import Link
from edge.delivery.mqtt_subscriptions import Subscriptions
from edge.types import AckResult, Message

ECHO_S = 5.0
"""For so long after its acknowledgement a message is expected back on MQTT 3.1.1."""
REFUSED_RETRY_S = 60.0
"""Access rules may be mended while the connection stands: what was refused is tried again."""
CALM_S = 0.2
"""Without a window for this long, what is to be alone on its way may go."""
SOON_S = 5.0
"""A connection that ends this soon after a subscription was asked for may have ended of it."""
NO_ECHO = "acknowledged, but not sent back: this user may not both write and read it"
UNREADABLE = "the broker refuses to send it back: this user may not both write and read it"
UNHEARD = "the broker refuses the subscription; Home Assistant's start is not noticed"
NO_RETAIN, NO_QOS = "Retain not supported", "QoS not supported"


@dataclass(slots=True)
class _Sent:
    message: Message
    since: float = field(default_factory=time.monotonic)
    acknowledged: bool = False
    echoed: bool = False


class Connection:
    """A connection from its first packet to its end; it is never made again.

    `run` belongs to a thread of its own, all else to callers that exclude each other.
    """

    def __init__(
        self,
        broker: Broker,
        version: Version,
        *,
        will: Message | None = None,
        birth_topic: str | None = None,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        alone: Callable[[str], bool] = lambda _topic: False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """The broker publishes `will` when the connection dies.

        Messages `online` on `birth_topic` add to `births`. `limits` are what the will must fit;
        the broker's own take their place. Messages without a key on a topic that is to be `alone`
        wait until no window is left, and until nothing else is on its way. `wake` is called from
        the connection's thread when there is something to settle.

        Raises ConfigError where the password cannot be read.
        """
        self.version, self.limits = version, limits
        self.births = 0
        self.refused: dict[str, str] = {}
        """Topics whose last message was refused, and why."""
        self.accepted: set[str] = set()
        """Topics of which a message was taken."""
        self.unanswered: list[Message] = []
        """At the end: what had been sent and not acknowledged."""
        self._alone, self._wake, self._keepalive = alone, wake, broker.asked_keepalive
        self.birth_topic = birth_topic
        self._begun = False
        """Whether anything was handed over."""
        # as long as a broker waits (MQTT 5, section 3.1.2.10)
        self._patience = 1.5 * broker.keepalive
        self._windows: collections.deque[Message] = collections.deque()
        """To be sent when fewer are on their way."""
        self._others: collections.deque[Message] = collections.deque()
        """Likewise, after the windows."""
        self._window_at = 0.0
        """When a window was last on its way."""
        self._sent: dict[int, _Sent] = {}
        self._unsent: list[int] = []
        """Keys of windows that are not even sent."""
        self._acknowledged: queue.SimpleQueue[tuple[int, ReasonCode]] = queue.SimpleQueue()
        self._echoes: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._proven: dict[str, int] = {}
        """Topics of which a message came back, and bytes of the longest: a longer one may still be
        more than the broker takes."""
        self._trusted: set[str] = set()
        """Topics of which the newest window whose fate is known was taken."""
        self._retry_at: dict[str, float] = {}
        """When a topic of which a message was refused is to be tried again."""
        self._client = broker.client(version)
        if will is not None:
            will = limits.fit(will)
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._link = Link(
            self._client,
            broker.host,
            broker.port,
            client_id=broker.client_id,
            tls=broker.tls,
            greeted=self._greeted,
            wake=wake,
        )
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._subscriptions = Subscriptions(self._client)

    # the connection's own thread

    def run(self) -> None:
        """Connect and stay until the link ends; then `explain` says why."""
        self._link.run(self._keepalive)

    def _greeted(self, refusal: str | None, properties: dict[str, Any]) -> None:
        if self.version == "5":
            self.limits = Limits.announced(properties)
            if refusal == NO_RETAIN:  # a refusal need not announce it
                self.limits = replace(self.limits, retain=False)
            elif refusal == NO_QOS:
                self.limits = replace(self.limits, qos=0)
        self._window_at = time.monotonic()

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, mid: int, reason: ReasonCode, _properties: Any
    ) -> None:
        self._acknowledged.put((mid, reason))
        self._wake()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == self.birth_topic:
            self.births += message.payload == b"online"
        elif not message.retain:  # one that was retained comes from before our own
            self._echoes.put((message.topic, bytes(message.payload)))
        self._wake()

    # everybody else

    @property
    def opened(self) -> bool:
        """Whether the broker has let us in; stays true after the end."""
        return self._link.opened

    @property
    def ended(self) -> bool:
        return self._link.ended.is_set()

    @property
    def open(self) -> bool:
        return self.opened and not self.ended

    @property
    def stalled(self) -> bool:
        """Whether it ended because nothing came from the broker any more."""
        return self._link.stalled

    @property
    def speaks_other(self) -> bool:
        """Whether the end looks as if the broker knows only another version of MQTT."""
        return self._link.speaks_other

    @property
    def will_refused(self) -> bool:
        """Whether it was not opened because of how the will was to be published."""
        return self._link.refusal in (NO_RETAIN, NO_QOS)

    def explain(self) -> str:
        """Why it ended, or did not begin; may look at the broker once more for that."""
        return self._link.explain()

    def wait(self, timeout_s: float) -> None:
        """Until it has ended."""
        self._link.ended.wait(timeout_s)

    @property
    def capacity(self) -> int:
        """How many windows may be sent now, of topics that are not `held`.

        The first of a topic goes alone, until it was taken: what is refused shall not be sent by
        the dozen.
        """
        pending = [*self._windows, *(sent.message for sent in self._sent.values())]
        windows = [message.topic for message in pending if message.key is not None]
        if not self.open or not self._trusted.issuperset(windows):
            return 0
        return max(0, self.limits.in_flight - len(windows))

    @property
    def paused_topics(self) -> frozenset[str]:
        """Topics of which a message was refused, and which it is too early to try again."""
        now = time.monotonic()
        return frozenset(topic for topic, due in self._retry_at.items() if now < due)

    @property
    def hears_births(self) -> bool | None:
        """Whether it is subscribed to `birth_topic`; None where that is not known yet."""
        return None if self.birth_topic is None else self._subscriptions.granted(self.birth_topic)

    def due(self, topic: str) -> bool:
        """Whether a message on it was refused and is to be tried again now."""
        return topic in self._retry_at and topic not in self.paused_topics

    def send(self, message: Message) -> None:
        """Hand a message over; `settle` tells what became of it."""
        self._begun = True
        if message.key is not None and message.topic in self.paused_topics:
            self._unsent.append(message.key)
            return
        if self.version == "5" and (why := self.limits.excess(self.limits.fit(message))):
            self._refuse(message, why, REFUSED_RETRY_S)
            if message.key is not None:
                self._unsent.append(message.key)
            return
        (self._others if message.key is None else self._windows).append(message)
        self._send_waiting()

    def _send_waiting(self) -> None:
        while len(self._sent) < self.limits.in_flight and (message := self._next()) is not None:
            self._send(message)
        waits = self._sent or self._windows or self._others
        if self.birth_topic is not None and self._begun and self.open and not waits:
            self._subscriptions.ask(self.birth_topic)

    def _next(self) -> Message | None:
        """What may be sent now: windows first."""
        if any(each.message.key is None and self._alone(each.message.topic)
               for each in self._sent.values()):  # fmt: skip
            return None
        if self._windows:
            return self._windows.popleft()
        if not self._others:
            return None
        calm = not self._sent and time.monotonic() - self._window_at > CALM_S
        return self._others.popleft() if calm or not self._alone(self._others[0].topic) else None

    def _send(self, message: Message) -> None:
        self._retry_at.pop(message.topic, None)
        if self._missing_echo(message):
            self._subscriptions.ask(message.topic, qos=min(1, self.limits.qos))
        fit = self.limits.fit(message)
        info = self._client.publish(fit.topic, fit.payload, fit.qos, fit.retain)
        self._sent[info.mid] = _Sent(message)

    def _needs_echo(self, message: Message) -> bool:
        """Whether only the broker's sending it back proves that it was taken."""
        return self.version == "3.1.1" or (self.limits.qos == 0 and message.key is not None)

    def settle(self) -> AckResult:
        """What became known since the last call."""
        ended = self.ended  # before the queues: what came before the end counts
        settled = AckResult()
        settled.returned.extend(self._unsent)
        self._unsent.clear()
        while not self._acknowledged.empty():
            mid, reason = self._acknowledged.get()
            if mid not in self._sent:
                continue
            if reason.is_failure:
                self._return(mid, settled, str(reason))
            else:
                self._sent[mid].acknowledged = True
                self._sent[mid].since = time.monotonic()
        while not self._echoes.empty():
            self._prove(*self._echoes.get())
        self._settle_subscriptions(settled)
        now = time.monotonic()
        for mid, sent in list(self._sent.items()):
            waited = now - sent.since
            if sent.acknowledged and (sent.echoed or not self._missing_echo(sent.message)):
                self._accept(mid, settled)
            elif ended:
                if not sent.acknowledged:
                    self.unanswered.append(sent.message)
                self._pop(mid, settled.returned)
            elif sent.acknowledged and waited > ECHO_S:
                self._miss(mid, sent.message.topic, settled)
            elif waited > self._patience:
                self._link.give_up("acknowledges nothing any more")
        if ended:
            settled.returned.extend(each.key for each in self._windows if each.key is not None)
            self._windows.clear()
            self._others.clear()
            self._note_subscription()
        else:
            self._send_waiting()
        return settled

    def _missing_echo(self, message: Message) -> bool:
        proven = self._proven.get(message.topic, -1)
        return self._needs_echo(message) and proven < len(message.payload.encode())

    def _miss(self, mid: int, topic: str, settled: AckResult) -> None:
        """The message was acknowledged, but did not come back."""
        missed = self._subscriptions.missed(topic)
        if missed is None:
            self._return(mid, settled, NO_ECHO)
        else:
            wait_s, times = missed
            self._return(mid, settled, UNREADABLE if times > 1 else None, wait_s)

    def _settle_subscriptions(self, settled: AckResult) -> None:
        for topic, wait_s, times in self._subscriptions.refused():
            # nothing that is on its way can come back
            why = UNREADABLE if times > 1 else None
            for mid, sent in list(self._sent.items()):
                if sent.message.topic == topic and self._missing_echo(sent.message):
                    self._return(mid, settled, why, wait_s)
        if self.birth_topic is not None and self.hears_births is not None:
            if self.hears_births:
                self.refused.pop(self.birth_topic, None)
            else:
                self.refused[self.birth_topic] = UNHEARD

    def _note_subscription(self) -> None:
        topic = self.birth_topic
        if topic is None or self.unanswered:
            return
        if self._subscriptions.unanswered(topic, SOON_S):
            self.unanswered.append(Message(topic, ""))

    def _prove(self, topic: str, payload: bytes) -> None:
        ours = [
            sent
            for sent in self._sent.values()
            if sent.message.topic == topic and sent.message.payload.encode() == payload
        ]
        if not ours:
            return
        if self.limits.qos == 0:  # nothing else speaks for the others of this topic
            ours[0].echoed = True
            return
        if self._missing_echo(ours[0].message):
            self._proven[topic] = len(payload)
        waiting = (sent.message for sent in self._sent.values() if sent.message.topic == topic)
        if not any(self._missing_echo(message) for message in waiting):
            self._subscriptions.end(topic)

    def _accept(self, mid: int, settled: AckResult) -> None:
        message = self._pop(mid, settled.delivered)
        self.refused.pop(message.topic, None)
        self.accepted.add(message.topic)
        if message.key is not None:
            self._trusted.add(message.topic)

    def _return(
        self, mid: int, settled: AckResult, why: str | None, wait_s: float | None = None
    ) -> None:
        message = self._pop(mid, settled.returned)
        wait_s = REFUSED_RETRY_S if wait_s is None else min(wait_s, REFUSED_RETRY_S)
        self._refuse(message, why, wait_s)

    def _refuse(self, message: Message, why: str | None, wait_s: float) -> None:
        if why is not None:
            self.refused[message.topic] = why
        if message.key is not None:
            self._trusted.discard(message.topic)
        self._retry_at[message.topic] = time.monotonic() + wait_s

    def _pop(self, mid: int, keys: list[int]) -> Message:
        message = self._sent.pop(mid).message
        if message.key is not None:
            keys.append(message.key)
            self._window_at = time.monotonic()
        return message

    def drop(self) -> None:
        """End the connection as if the cable were cut: the broker publishes the will."""
        self._link.drop()

    def close(self, last: Message, timeout_s: float) -> bool:
        """Send `last`, wait until it is acknowledged, and disconnect; whether it was.

        Where it was not, the broker publishes the will.
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
