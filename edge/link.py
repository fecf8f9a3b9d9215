"""The socket of one connection to a broker, read and written on a thread of its own."""

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

from edge import failures

GREETING_S = 10.0
"""How long a broker may take to answer the greeting."""
LOOK_S = 1.0
"""How often it is seen whether a keep-alive is due."""
UNSUPPORTED = "Unsupported protocol version"


class Link:
    """From its first packet to its end; it is never made again.

    paho's callbacks take no lock: paho holds locks of its own there that sending takes too.
    """

    def __init__(
        self,
        client: mqtt.Client,
        host: str,
        port: int,
        *,
        client_id: str,
        tls: ssl.SSLContext | None,
        greeted: Callable[[str | None, dict[str, Any]], None],
        wake: Callable[[], None],
    ) -> None:
        """`greeted` hears the broker's answer to the greeting before the link is open: why it
        refuses the connection, None where it does not, and the properties of MQTT 5 by their names
        in paho. `wake` is called when the link opens and when it has ended."""
        self.opened = False
        """Whether the broker has let us in; stays true after the end."""
        self.ended = threading.Event()
        self.reason = failures.SILENT
        """Why it ended, or did not begin."""
        self.refusal: str | None = None
        """Why the broker refuses the connection."""
        self.stalled = False
        """Whether it ended because nothing came from the broker any more."""
        self._client, self._host, self._port, self._tls = client, host, port, tls
        self._client_id, self._greeted, self._wake = client_id, greeted, wake
        self._reached = self._wordless = False
        client.on_socket_register_write = self._on_want_write
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect

    def run(self, keepalive: int) -> None:
        """Connect and stay until the link ends; then `reason` says why."""
        try:
            # within: for a pair of sockets too there may be nothing left
            self._nudge, nudged = socket.socketpair()
            with self._nudge, nudged:
                self._nudge.setblocking(False)
                self._client.connect(self._host, self._port, keepalive)
                self._reached = self._wordless = True
                self._stay(nudged)
        except Exception as error:  # whatever a broker sends must not end the reconnecting
            self.reason = failures.failure(error)
            self._wordless |= isinstance(error, OSError) and failures.is_silence(error)
        finally:
            self.ended.set()
            self._wake()

    def _stay(self, nudged: socket.socket) -> None:
        """Read and write until the link ends.

        paho's own loop does not keep to one thread: whoever publishes writes to the socket as well,
        even in the midst of a packet that did not fit into a stalled link.
        """
        client, begin = self._client, time.monotonic()
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
            if not self.opened and time.monotonic() - begin > GREETING_S:
                self.drop()

    def _on_want_write(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # nudged often enough, or at its end
            self._nudge.send(b"!")

    def _on_connect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: ReasonCode, properties: Any
    ) -> None:
        self._wordless = False
        self.refusal = str(reason) if reason.is_failure else None
        self._greeted(self.refusal, {} if properties is None else properties.json())
        if self.refusal is not None:
            self.reason = failures.refusal(self.refusal, self._client_id)
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

    # everybody else

    @property
    def speaks_other(self) -> bool:
        """Whether the end looks as if the broker knows only another version of MQTT."""
        wordless = self._wordless or self.refusal == UNSUPPORTED
        return self._reached and not self.opened and wordless

    def explain(self) -> str:
        """Why it ended; looks at the broker once more where that is not known yet."""
        if self._wordless and not self.opened:
            self._wordless = False
            self.reason = failures.look(self._host, self._port, self._tls)
        return self.reason

    def give_up(self, reason: str) -> None:
        """Nothing comes from the broker any more."""
        self.reason, self.stalled = reason, True
        self.drop()

    def drop(self) -> None:
        """End the connection as if the cable were cut: the broker publishes the will."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
