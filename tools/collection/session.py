"""One connection after another to the broker, whose session outlives them."""

import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tools.collection.broker import Broker

IN_FLIGHT = 10000
"""Windows that the broker sends before the first is acknowledged. MQTT 3.1.1 has no such number:
there the broker's own holds, 20 with mosquitto unless its configuration says more."""
FOREVER = 0xFFFFFFFF
"""Session expiry of MQTT 5, seconds: the broker's own limit holds."""
KEEPALIVE_S = 20
"""A broker that vanished is noticed after this and a half."""
TAKEN_OVER = 0x8E
REFUSES_VERSION = (0x84, 0x01)
"""Reason codes of MQTT 5: another connection with this client id; the version is not spoken."""
OTHER = {
    MQTTProtocolVersion.MQTTv5: MQTTProtocolVersion.MQTTv311,
    MQTTProtocolVersion.MQTTv311: MQTTProtocolVersion.MQTTv5,
}

Topics = Sequence[tuple[str, int]]
"""Filters and their QoS."""


class Session:
    """Connects once each time it is asked to; MQTT 5, or 3.1.1 if the broker speaks nothing else.

    Its callbacks are called on paho's thread.
    """

    def __init__(
        self, broker: Broker, topics: Topics, *, client_id: str, tls: ssl.SSLContext | None,
        on_message: Callable[[mqtt.Client, mqtt.MQTTMessage], None],
    ) -> None:  # fmt: skip
        """Without a `client_id` the broker keeps nothing for it."""
        self._broker, self._topics = broker, topics
        self._client_id, self._tls = client_id, tls
        self._on_message = on_message
        self._version = MQTTProtocolVersion.MQTTv5
        self._client: mqtt.Client | None = None
        self.answered = threading.Event()
        """Set once the broker has accepted or refused a connection."""
        self.ended = threading.Event()
        """Set once it is known that there is no connection any more."""
        self.is_open = False
        self.is_taken_over = False
        """Whether the newest connection ended because another program has the client id."""
        self.problem = ""
        """Why there is no connection."""

    def open(self) -> None:
        """Begin a connection; `answered` and `ended` follow."""
        self.answered.clear()
        self.ended.clear()
        self.is_taken_over = False
        client = self._new_client()
        try:
            if self._version == MQTTProtocolVersion.MQTTv5:
                client.connect(
                    self._broker.host, self._broker.port, KEEPALIVE_S,
                    clean_start=not self._client_id, properties=self._properties(),
                )  # fmt: skip
            else:
                client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
            self.problem = str(error)
            self.ended.set()
            return
        self._client = client
        client.loop_start()

    def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
        self.is_open = False

    def _properties(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho
        properties.ReceiveMaximum = IN_FLIGHT
        if self._client_id:
            properties.SessionExpiryInterval = FOREVER
        return properties

    def _new_client(self) -> mqtt.Client:
        is_old = self._version != MQTTProtocolVersion.MQTTv5
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=self._version,
            clean_session=not self._client_id if is_old else None,
            manual_ack=True, reconnect_on_failure=False,
        )  # fmt: skip
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message = lambda client, _, message: self._on_message(client, message)
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any,
                    _: object) -> None:  # fmt: skip
        if reason.is_failure:
            if reason.value in REFUSES_VERSION and self._version == MQTTProtocolVersion.MQTTv5:
                self._version = MQTTProtocolVersion.MQTTv311
            self.problem = f"the broker refuses the connection ({reason})"
            self.answered.set()
            self.ended.set()
            return
        self.is_open, self.problem = True, ""
        client.subscribe(list(self._topics))
        self.answered.set()

    def _on_disconnect(self, _client: object, _data: object, _flags: object, reason: Any,
                       _: object) -> None:  # fmt: skip
        if self.is_open:
            self.problem = f"connection lost ({reason})"
        elif not self.answered.is_set():
            # TLS 1.3 refuses a client only after the handshake, and then says nothing
            hint = (
                "; it may want a certificate, or another one: see --broker-cert"
                if self._tls
                else ""
            )
            self.problem = f"no answer ({reason}){hint}"
            self._version = OTHER[self._version]  # some brokers refuse a version by silence
        self.is_open = False
        if reason.value == TAKEN_OVER:  # paho calls once more when the socket is closed
            self.is_taken_over = True
        self.ended.set()
