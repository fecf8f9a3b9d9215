"""A subscriber with a kept session that records every window it gets."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "tally/v1/+/+/window"
KEEPALIVE_S = 5
RETRY_S = 0.5


class Recorder:
    """Acknowledges a window (QoS 1) once it is recorded; moves on when its broker dies."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        """Connect and subscribe. Raises RuntimeError if that fails."""
        self.copies: Counter[tuple[str, int]] = Counter()
        """How often each window came, by device and number."""
        self.newest_at = time.monotonic()
        self.connects = 0
        self.lost_sessions = 0
        """How often a broker no longer had its session."""
        self._addresses, self._port = addresses, port
        self._present, self._over = threading.Event(), threading.Event()
        self._ready = threading.Event()
        self._client: mqtt.Client | None = None
        self._present.set()
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()
        if not self._ready.wait(30):
            raise RuntimeError("the broker does not grant a subscription to all windows")

    def leave(self) -> None:
        """Be away, as a collector that is restarted; the session stays."""
        self._present.clear()
        if self._client is not None:
            self._client.disconnect()

    def come_back(self) -> None:
        self._present.set()

    def close(self) -> None:
        self._over.set()
        self.leave()
        self._present.set()
        self._thread.join(10)

    def _stay(self) -> None:
        turn = 0
        while not self._over.is_set():
            self._present.wait()
            client = mqtt.Client(
                CallbackAPIVersion.VERSION2, client_id="recorder", clean_session=False,
                reconnect_on_failure=False,
            )  # fmt: skip
            client.connect_timeout = 2.0
            client.on_connect, client.on_message = self._on_connect, self._on_message
            client.on_subscribe = self._on_subscribe
            self._client = client
            with contextlib.suppress(OSError):
                client.connect(
                    self._addresses[turn % len(self._addresses)], self._port, KEEPALIVE_S
                )
                client.loop_forever()
            turn += 1
            self._over.wait(RETRY_S)

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        flags: mqtt.ConnectFlags,
        reason: object,
        _p: object,
    ) -> None:
        self.connects += 1
        if str(reason) == "Success" and not flags.session_present:
            self.lost_sessions += self._ready.is_set()
            client.subscribe(TOPIC, qos=1)
        elif str(reason) == "Success":
            self._ready.set()

    def _on_subscribe(self, *_: object) -> None:
        self._ready.set()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        window = json.loads(message.payload)
        self.copies[window["device"], window["seq"]] += 1
        self.newest_at = time.monotonic()
