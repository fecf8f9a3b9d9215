"""What a broker accepts: how large a message may be, and how it may be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.types import Message

IN_FLIGHT = 20
"""Largest number of unacknowledged messages; the default of paho and of mosquitto."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits as an MQTT 5 broker announces them in its greeting; MQTT 3.1.1 has none."""

    packet: int | None = None
    """Bytes of the largest packet; None: no limit."""
    qos: int = 2
    retain: bool = True
    in_flight: int = IN_FLIGHT

    @classmethod
    def announced(cls, properties: Mapping[str, Any]) -> "Limits":
        """Read the properties of a CONNACK (MQTT 5, section 3.2.2.3), keyed by paho's names."""
        return cls(
            packet=properties.get("MaximumPacketSize"),
            qos=properties.get("MaximumQoS", 2),
            retain=bool(properties.get("RetainAvailable", 1)),
            in_flight=min(IN_FLIGHT, properties.get("ReceiveMaximum", IN_FLIGHT)),
        )

    def fit(self, message: Message) -> Message:
        """Return the message as it may be sent: QoS and retain lowered to the limits."""
        return replace(
            message, qos=min(message.qos, self.qos), retain=message.retain and self.retain
        )

    def excess(self, message: Message) -> str | None:
        """Return why `message` is too large for MQTT 5; None if it fits."""
        size = publish_bytes(message)
        if self.packet is None or size <= self.packet:
            return None
        return f"its {size} bytes are more than the {self.packet} that the broker accepts"


def publish_bytes(message: Message) -> int:
    """Return the bytes of the whole packet that carries `message` in MQTT 5 (section 3.3)."""
    identifier = 2 if message.qos else 0
    no_properties = 1
    remaining = 2 + len(message.topic.encode()) + identifier + no_properties
    remaining += len(message.payload.encode())
    length_bytes = max(1, -(-remaining.bit_length() // 7))  # of the length, seven bits a byte
    return 1 + length_bytes + remaining
