"""Probe a broker: does it accept what the daemon sends?"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge.delivery.mqtt_attempts import Attempts
from edge.delivery.mqtt_broker import Broker, Version
from edge.delivery.mqtt_connection import BIRTH_REFUSED, COMMANDS_REFUSED, Connection
from edge.delivery.mqtt_limits import publish_bytes
from edge.delivery.mqtt_socket import GREETING_S
from edge.errors import EdgeError
from edge.types import Message

SETTLE_S = 10.0
"""Seconds a broker may take to answer a message."""
CLOSE_S = 2.0
"""Seconds to wait for a clean disconnect."""


@dataclass(slots=True)
class ProbeResult:
    """What a broker does with the daemon's messages."""

    version: Version
    """The version of MQTT that was spoken."""
    warnings: list[str] = field(default_factory=list)
    """What it does not do, and the daemon can do without."""


def probe(
    broker: Broker,
    messages: Sequence[Message] = (),
    *,
    optional: Sequence[tuple[Message, Message]] = (),
    will: Message | None = None,
    birth_topic: str | None = None,
    command_topic: str | None = None,
    timeout_s: float = GREETING_S,
) -> ProbeResult:
    """Connect once, with a `will`, publish `messages` and disconnect.

    Of each pair in `optional` the first is published; if that fails, a warning names the second. A
    `birth_topic` and a `command_topic` are subscribed to; a refusal is a warning too. None of these
    is needed for the counts.

    Raises EdgeError if there is no connection or a message is not accepted, with the reason.
    """
    # its own client id: the broker would disconnect a running daemon with the same one
    broker = replace(broker, client_id=f"{broker.client_id}-check")
    link = _connection(broker, will, timeout_s)
    result = ProbeResult(link.version)
    try:
        for message in messages:
            if reason := _send(link, message):
                raise EdgeError(f"broker {broker.where}: {reason}")
        if not link.limits.retain:
            result.warnings.append(
                "keeps no retained messages: later subscribers wait for the next ones"
            )
        for message, named in sorted(optional, key=lambda pair: publish_bytes(pair[1])):
            size = publish_bytes(link.limits.fit(named))
            reason = link.limits.excess(link.limits.fit(named)) or _send(link, message)
            if reason:
                result.warnings.append(f"{named.topic} ({size} bytes) is left out: {reason}")
            if not link.open:
                break
        if link.open and command_topic is not None:
            link.command_topic = command_topic
            if not _is_granted(link, command_topic):
                result.warnings.append(f"{command_topic}: {COMMANDS_REFUSED}")
        if link.open and birth_topic is not None:
            link.birth_topic = birth_topic  # last: some brokers hang up at it
            if not _is_granted(link, birth_topic):
                result.warnings.append(f"{birth_topic}: {BIRTH_REFUSED}")
    finally:
        link.leave()
        # or the program ends before the disconnect is sent, and the will is published
        link.wait(CLOSE_S)
    return result


def _connection(broker: Broker, will: Message | None, timeout_s: float) -> Connection:
    attempts = Attempts(broker)
    while True:
        link = Connection(
            broker,
            attempts.version,
            will=will,
            limits=attempts.limits,
            addresses=attempts.addresses,
        )
        threading.Thread(target=link.run, name="probe", daemon=True).start()
        _wait_until(lambda: link.opened or link.ended, timeout_s)  # noqa: B023  # now
        if link.open:
            return link
        link.drop()
        link.wait(timeout_s)
        if not attempts.after(link):
            raise EdgeError(f"broker {broker.where}: {link.explain()}")


def _send(link: Connection, message: Message) -> str | None:
    """Return why the broker does not accept `message`; None if it does."""
    link.topics.refused.pop(message.topic, None)
    link.send(replace(message, key=0))
    returned: list[int] = []

    def settled() -> bool:
        results = link.settle()
        returned.extend(results.returned)
        if returned and not link.topics.refused and link.open:  # may be tried again at once
            returned.clear()
            link.send(replace(message, key=0))
        return bool(results.delivered or returned)

    if _wait_until(settled, SETTLE_S) and not returned:
        return None
    kind, size = "retained " * message.retain, publish_bytes(message)
    if link.topics.refused:
        return "refuses " + "; ".join(
            f"{topic}: {reason}" for topic, reason in link.topics.refused.items()
        )
    problem = "ends the connection at" if link.ended else "does not acknowledge"
    return f"{problem} a {kind}message of {size} bytes"


def _is_granted(link: Connection, topic: str) -> bool:
    _wait_until(lambda: bool(link.settle()) and link.listens[topic] is not None, SETTLE_S)
    return bool(link.listens[topic])


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
