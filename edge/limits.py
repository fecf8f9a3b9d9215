"""What a broker takes: how large a message may be, and how it may be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.records import Message

IN_FLIGHT = 20
"""Messages sent but not yet acknowledged, at most; the default of paho and of mosquitto."""


@dataclass(frozen=True, slots=True)
class Limits:
    """As a broker of MQTT 5 announces them in its answer to the greeting; 3.1.1 announces none."""

    packet: int | None = None
    """Bytes of the largest packet; None: any."""
    qos: int = 2
    retain: bool = True
    in_flight: int = IN_FLIGHT

    @classmethod
    def announced(cls, properties: Mapping[str, Any]) -> "Limits":
        """From the properties of a CONNACK (MQTT 5, section 3.2.2.3), by their names in paho."""
        return cls(
            packet=properties.get("MaximumPacketSize"),
            qos=properties.get("MaximumQoS", 2),
            retain=bool(properties.get("RetainAvailable", 1)),
            in_flight=min(IN_FLIGHT, properties.get("ReceiveMaximum", IN_FLIGHT)),
        )

    def fit(self, message: Message) -> Message:
        """The message as it may be sent."""
        return replace(
            message, qos=min(message.qos, self.qos), retain=message.retain and self.retain
        )

    def excess(self, message: Message) -> str | None:
        """Why `message` is too large to be sent by MQTT 5; None where it is not."""
        size = publish_bytes(message)
        if self.packet is None or size <= self.packet:
            return None
        return f"its {size} bytes are more than the {self.packet} that the broker takes"


def publish_bytes(message: Message) -> int:
    """Bytes of the whole packet that carries `message` by MQTT 5 (section 3.3)."""
    identifier = 2 if message.qos else 0
    no_properties = 1
    rest = 2 + len(message.topic.encode()) + identifier + no_properties
    rest += len(message.payload.encode())
    digits = max(1, -(-rest.bit_length() // 7))  # the length, seven bits a byte
    return 1 + digits + rest
