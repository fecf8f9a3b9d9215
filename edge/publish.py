"""Messages out of the process: MQTT, or JSON lines on stdout."""

import contextlib
import json
import logging
import os
import queue
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import ConfigError, EdgeError
from edge.records import Message

log = logging.getLogger(__name__)


class JsonLinesPublisher:
    """Writes each message as one line `{"topic": ..., "payload": ...}`; delivered once written."""

    connected = True

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._delivered: list[int] = []
        self._broken: str | None = None

    def publish(self, message: Message) -> None:
        """Raises EdgeError, now and ever after, where nobody reads stdout any more."""
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = message.payload
        line = json.dumps({"topic": message.topic, "payload": payload}, separators=(",", ":"))
        with self._lock:
            if self._broken is not None:
                raise EdgeError(self._broken)
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError as error:
                # what is left in the buffer must not fail once more when the program ends
                with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
                    os.dup2(nowhere.fileno(), self._stream.fileno())
                self._broken = f"stdout: cannot be written ({error.strerror})"
                raise EdgeError(self._broken) from error
            if message.key is not None:
                self._delivered.append(message.key)

    def poll(self) -> list[int]:
        """Keys of messages written since the last call."""
        with self._lock:
            keys, self._delivered = self._delivered, []
        return keys

    def close(self, last: Message) -> None:
        """Write `last` if somebody reads."""
        with contextlib.suppress(EdgeError):
            self.publish(last)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to log in."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password_file: Path | None = None
    keepalive: int = 30
    """Seconds."""
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        return f"{self.host}:{self.port}"

    def client(self) -> mqtt.Client:
        """A client not yet connected. Raises ConfigError where the password cannot be read."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.client_id)
        if self.username is not None:
            client.username_pw_set(self.username, _password(self.password_file))
        if self.tls is not None:
            client.tls_set_context(self.tls)
        return client


class MqttPublisher:
    """One connection to a broker that is made again whenever it breaks.

    A message with a key is acknowledged by the broker (QoS 1) before `poll` names it. The
    newest message of each retained topic is sent again after every connect.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        will: Message,
        birth_topic: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Start connecting in the background; a broker that is away is tried again for ever.

        The broker publishes `will` when this connection dies. A message `online` on `birth_topic`
        (Home Assistant's) has the retained messages sent again. `wake` is called from another
        thread when something was delivered or the link changed.

        Raises ConfigError where the password file cannot be read.
        """
        self._where = broker.where
        self._birth_topic, self._wake = birth_topic, wake
        # never taken in a callback: paho holds locks there that publishing takes too
        self._lock = threading.Lock()
        self._retained: dict[str, Message] = {}
        self._keys: dict[int, int] = {}
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._linked = False
        self._greetings = 0
        """How often somebody has come who needs all retained messages."""
        self._greeted = 0
        self._complained = False
        self._client = broker.client()
        self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 60)
        self._client.connect_async(broker.host, broker.port, broker.keepalive)
        self._client.loop_start()

    @property
    def connected(self) -> bool:
        """Whether the broker is there and has the newest retained messages."""
        return self._linked and self._greeted == self._greetings

    def publish(self, message: Message) -> None:
        """Send; where the link is down, the newest of each retained topic is sent on connect.

        Whoever publishes a message with a key keeps it until `poll` has named that key, and does
        both from one thread. Once handed over it is not to be published again: it survives a
        reconnect.
        """
        with self._lock:
            if message.retain:
                self._retained[message.topic] = message
            if self.connected or message.key is not None:
                self._send(message)

    def _send(self, message: Message) -> None:
        # retained messages go by QoS 0: paho would repeat an old one after newer ones on reconnect
        qos = message.qos if message.key is not None else 0
        info = self._client.publish(message.topic, message.payload, qos, message.retain)
        if message.key is not None:
            self._keys[info.mid] = message.key

    def poll(self) -> list[int]:
        """Greet a broker that came back with all retained messages.

        Returns the keys of messages that the broker has acknowledged since the last call.
        """
        with self._lock:
            greetings = self._greetings
            if self._linked and self._greeted != greetings:
                for message in self._retained.values():
                    self._send(message)
                self._greeted = greetings
        keys = []
        while not self._acknowledged.empty():
            key = self._keys.pop(self._acknowledged.get(), None)
            if key is not None:
                keys.append(key)
        return keys

    def close(self, last: Message) -> None:
        """Publish `last` and disconnect; where `last` does not get through, the will speaks."""
        if self._linked:
            info = self._client.publish(last.topic, last.payload, 1, last.retain)
            with contextlib.suppress(RuntimeError, ValueError):  # the link broke meanwhile
                info.wait_for_publish(2)
            connection = self._client.socket()
            if not info.is_published() and isinstance(connection, socket.socket):
                log.warning("broker %s: the last message was not delivered", self._where)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: Any,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._complain(f"refuses the connection: {reason}")
            return
        log.info("broker %s: connected", self._where)
        self._complained = False
        if self._birth_topic is not None:
            client.subscribe(self._birth_topic)
        self._greetings += 1
        self._linked = True
        self._wake()

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        self._complain("does not answer")

    def _complain(self, what: str) -> None:
        if not self._complained:
            log.warning(
                "broker %s: %s; windows stay on disk and go out when it is back", self._where, what
            )
        self._complained = True

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: Any,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._linked = False
        if reason.is_failure:
            self._complain(f"connection lost ({reason})")
        self._wake()

    def _on_publish(
        self,
        _client: mqtt.Client,
        _data: Any,
        mid: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        # MQTT 3.1.1 knows no refusal here
        self._acknowledged.put(mid)
        self._wake()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.payload == b"online":
            self._greetings += 1
            self._wake()


def probe(broker: Broker, messages: Sequence[Message] = (), timeout_s: float = 5.0) -> None:
    """Connect once, publish `messages`, and leave. Raises EdgeError with the reason it fails."""
    # a name of its own: the broker would throw out a running daemon of the same name
    client = replace(broker, client_id=f"{broker.client_id}-check").client()
    answers: list[ReasonCode] = []
    sent: list[mqtt.MQTTMessageInfo] = []

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        answers.append(reason)
        if not reason.is_failure:
            sent.extend(client.publish(m.topic, m.payload, 1, m.retain) for m in messages)

    def done() -> bool:
        return bool(answers) and all(info.is_published() for info in sent)

    client.on_connect = on_connect
    client.connect_timeout = timeout_s
    try:
        client.connect(broker.host, broker.port, broker.keepalive)
        end = time.monotonic() + timeout_s
        while not done() and time.monotonic() < end:
            if client.loop(0.2) != mqtt.MQTT_ERR_SUCCESS:
                break
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EdgeError(f"broker {broker.where}: {reason}") from error
    finally:
        client.disconnect()
    if not answers:
        raise EdgeError(f"broker {broker.where}: takes the connection but does not speak MQTT")
    if answers[0].is_failure:
        raise EdgeError(f"broker {broker.where}: refuses the connection: {answers[0]}")
    if not done():
        raise EdgeError(f"broker {broker.where}: does not acknowledge what was sent")


def tls_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    """TLS 1.2 or newer with the host name checked; a client certificate where one is given.

    Raises ConfigError where a file is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mqtt.tls: certificate or key cannot be used: {error}") from error
    return context


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"mqtt.password_file: {file}: cannot be read ({error})") from error
