"""Reads and writes the socket of one connection to a broker, on its own thread."""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery import mqtt_failures
from edge.delivery.mqtt_addresses import Address, Addresses
from edge.delivery.mqtt_broker import Broker, Client

GREETING_S = 10.0
"""Seconds a broker may take to answer the greeting."""
KEEPALIVE_CHECK_S = 1.0
"""Seconds between checks whether a keep-alive is due."""
UNSUPPORTED = "Unsupported protocol version"


class Link:
    """The socket from its first packet to its end; it is not reused.

    paho's callbacks must take no lock: paho holds locks there that sending needs too.
    """

    def __init__(
        self,
        client: Client,
        broker: Broker,
        addresses: Addresses,
        *,
        on_greeting: Callable[[str | None, dict[str, Any]], None],
        wake: Callable[[], None],
    ) -> None:
        """`on_greeting` gets the broker's answer to the greeting before the link is open: why the
        broker refuses the connection, or None, and the MQTT 5 properties keyed by paho's names.
        `wake` is called when the link opens and when it has ended."""
        self.opened = False
        """Whether the broker accepted the connection; stays true after the end."""
        self.ended = threading.Event()
        self.reason = mqtt_failures.SILENT
        """Why it ended or never opened."""
        self.refusal: str | None = None
        """Why the broker refuses the connection."""
        self.stalled = False
        """Whether it ended because nothing more came from the broker."""
        self.hung = False
        """Whether there was no answer to the greeting in time."""
        self.address: Address | None = None
        """The broker's, once its name is resolved."""
        self._client, self._broker, self._addresses = client, broker, addresses
        self._on_greeting, self._wake = on_greeting, wake
        self._reached = self._silent = False
        self._dropped = False
        client.on_socket_open = self._on_socket_open
        client.on_socket_register_write = self._on_want_write
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect

    def run(self) -> None:
        """Connect and stay until the link ends; `reason` then holds the reason."""
        try:
            # inside the try: there may be no file descriptors left
            self._nudge, nudged = socket.socketpair()
            with self._nudge, nudged:
                self._nudge.setblocking(False)
                self.address = self._client.address = self._addresses.next()
                broker = self._broker
                self._client.connect(broker.host, broker.port, broker.requested_keepalive)
                self._reached = self._silent = True
                self._stay(nudged)
        except Exception as error:  # nothing a broker sends may end the reconnecting
            self.reason = mqtt_failures.failure(error)
            self.hung |= isinstance(error, TimeoutError)
            self._silent |= isinstance(error, OSError) and mqtt_failures.is_silence(error)
        finally:
            self.ended.set()
            self._wake()

    def _stay(self, nudged: socket.socket) -> None:
        """Read and write until the link ends.

        paho's own loop is not confined to one thread: any thread that publishes writes to the
        socket too, even in the middle of a packet that did not fit into a stalled link.
        """
        client, start = self._client, time.monotonic()
        while (connection := client.socket()) is not None:
            write = [connection] if client.want_write() else []
            readable, writable, _ = select.select(
                [connection, nudged], write, [], KEEPALIVE_CHECK_S
            )
            if nudged in readable:
                nudged.recv(4096)
            if connection in readable:
                client.loop_read()
                while (
                    isinstance(connection, ssl.SSLSocket)
                    and client.socket()
                    and connection.pending()
                ):
                    client.loop_read()
            if writable and client.socket():
                client.loop_write()
            client.loop_misc()
            if not self.opened and time.monotonic() - start > GREETING_S:
                self.hung = True
                self.drop()

    def _on_socket_open(self, *_: object) -> None:
        """End a link that was dropped while it was connecting, before it greets the broker."""
        if self._dropped:
            self.drop()
            raise ConnectionAbortedError

    def _on_want_write(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # nudged already, or closed
            self._nudge.send(b"!")

    def _on_connect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._silent = False
        self.refusal = str(reason) if reason.is_failure else None
        self._on_greeting(self.refusal, {} if properties is None else properties.json())
        if self.refusal is not None:
            self.reason = mqtt_failures.refusal(self.refusal, self._broker.client_id)
            return
        self.reason = "connection lost"
        self.opened = True
        self._wake()

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if self.opened and reason.is_failure and not self.stalled:
            self.reason = f"connection lost ({reason})"
            self.stalled = str(reason) == "Keep alive timeout"

    # on any other thread

    @property
    def speaks_other(self) -> bool:
        """Whether the end suggests that the broker speaks only another version of MQTT."""
        silent = self._silent or self.refusal == UNSUPPORTED
        return self._reached and not self.opened and silent

    def explain(self) -> str:
        """Return why it ended; connects to the broker once more if that is not known yet."""
        if self._silent and not self.opened:
            self._silent = False
            broker = self._broker
            self.reason = mqtt_failures.diagnose(broker.host, broker.port, broker.tls)
        return self.reason

    def give_up(self, reason: str) -> None:
        """Drop the connection because nothing more comes from the broker."""
        self.reason, self.stalled = reason, True
        self.drop()

    def drop(self) -> None:
        """End the connection as if the cable were cut: the broker publishes the will.

        A link that is still connecting ends before it greets the broker.
        """
        self._dropped = True
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
