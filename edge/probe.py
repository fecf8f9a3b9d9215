"""One look at a broker: whether it takes what the daemon sends."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edge.broker import Broker, Version
from edge.connection import UNHEARD, Connection
from edge.errors import EdgeError
from edge.limits import publish_bytes
from edge.link import GREETING_S
from edge.records import Message
from edge.versions import Versions

SETTLE_S = 10.0
"""How long a broker may take to answer a message."""
CLOSE_S = 2.0


@dataclass(slots=True)
class Probe:
    """What a broker does."""

    version: Version
    """Of MQTT, as it was spoken."""
    warnings: list[str] = field(default_factory=list)
    """What it does not do, and the daemon does without."""


def probe(
    broker: Broker,
    messages: Sequence[Message] = (),
    *,
    optional: Sequence[tuple[Message, Message]] = (),
    will: Message | None = None,
    birth_topic: str | None = None,
    timeout_s: float = GREETING_S,
) -> Probe:
    """Connect once, with a `will`, publish `messages`, leave.

    Of each pair in `optional` the first is published, the second named where that fails. Where
    there is a `birth_topic`, it is subscribed to. Neither is needed for the counts.

    Raises EdgeError with the reason it fails, or what was not taken.
    """
    # a name of its own: the broker would throw out a running daemon of the same name
    broker = replace(broker, client_id=f"{broker.client_id}-check")
    link = _connection(broker, will, timeout_s)
    found = Probe(link.version)
    try:
        for message in messages:
            if why := _send(link, message):
                raise EdgeError(f"broker {broker.where}: {why}")
        if not link.limits.retain:
            found.warnings.append(
                "keeps no retained messages: who subscribes later waits for the next ones"
            )
        for message, named in sorted(optional, key=lambda pair: publish_bytes(pair[1])):
            size = publish_bytes(link.limits.fit(named))
            why = link.limits.excess(link.limits.fit(named)) or _send(link, message)
            if why:
                found.warnings.append(f"{named.topic} ({size} bytes) is left out: {why}")
            if not link.open:
                break
        if link.open and birth_topic is not None:
            link.birth_topic = birth_topic  # last: brokers are known that hang up
            _wait_until(lambda: bool(link.settle()) and link.hears_births is not None, SETTLE_S)
            if not link.hears_births:
                found.warnings.append(f"{birth_topic}: {UNHEARD}")
    finally:
        link.leave()
        # or the program might end before it has said so, and the will speak
        link.wait(CLOSE_S)
    return found


def _connection(broker: Broker, will: Message | None, timeout_s: float) -> Connection:
    versions = Versions(broker.version)
    while True:
        link = Connection(broker, versions.next, will=will, limits=versions.limits)
        threading.Thread(target=link.run, name="probe", daemon=True).start()
        _wait_until(lambda: link.opened or link.ended, timeout_s)  # noqa: B023  # now
        if link.open:
            return link
        link.drop()
        link.wait(timeout_s)
        if not versions.after(link):
            raise EdgeError(f"broker {broker.where}: {link.explain()}")


def _send(link: Connection, message: Message) -> str | None:
    """Why the broker does not take `message`; None where it does."""
    link.refused.pop(message.topic, None)
    link.send(replace(message, key=0))
    returned: list[int] = []

    def settled() -> bool:
        fates = link.settle()
        returned.extend(fates.returned)
        if returned and not link.refused and link.open:  # to be tried again at once
            returned.clear()
            link.send(replace(message, key=0))
        return bool(fates.delivered or returned)

    if _wait_until(settled, SETTLE_S) and not returned:
        return None
    kind, size = "retained " * message.retain, publish_bytes(message)
    if link.refused:
        return "refuses " + "; ".join(f"{topic}: {why}" for topic, why in link.refused.items())
    why = "ends the connection at" if link.ended else "does not acknowledge"
    return f"{why} a {kind}message of {size} bytes"


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
