"""A real mosquitto on loopback, and a subscriber to it."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import contract
from tests.support.commands import wait_for

NO_BROKER = {"host": "127.0.0.1", "port": 1}
"""Refuses connections, whatever brokers run on this machine."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A broker on loopback that can be stopped and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    rules: str = ""
    """Additional configuration lines."""
    autosave: str = "autosave_on_changes true\nautosave_interval 1\n"
    """When it writes to disk; often costs most of its time."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is not installed; `make test` installs it")
        config = self.folder / "mosquitto.conf"
        config.write_text(self.configuration())
        if os.geteuid() == 0:  # as root, mosquitto would switch to a user that may not write here
            config.write_text(config.read_text() + "user root\n")
        log_file = self.folder / "mosquitto.log"
        with log_file.open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen([program, "-c", str(config)], stderr=log)
        # the first port is open some time before the last one, and before it obeys signals
        wait_for(lambda: b" running\n" in log_file.read_bytes()[before:], "mosquitto does not run")

    def configuration(self) -> str:
        return (
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\nlog_type all\n"
            "persistence true\n"
            f"persistence_location {self.folder}/\n"
            f"{self.autosave}{self.rules}"
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """Kill it once it has saved what it acknowledged, or after a second.

        mosquitto acknowledges what it has read, and only then saves it: what a kill in between
        loses, no publisher can know of.
        """
        process = self.process
        assert process is not None
        for _ in range(100):
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            if self._has_saved():
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        process.kill()
        process.wait()

    def _has_saved(self) -> bool:
        log, database = self.folder / "mosquitto.log", self.folder / "mosquitto.db"
        lines = log.read_bytes().splitlines()
        for line in reversed(lines):
            if b"Sending PUBACK" in line:
                return False
            if b"Saving in-memory database" in line:
                if line is not lines[-1]:
                    return True
                # said before it writes a new file, which then replaces the old one, if any
                saying = log.stat().st_mtime_ns
                return database.exists() and database.stat().st_mtime_ns > saying
        return True

    def allow(self, *rules: str) -> None:
        """Restrict users to what these access list lines allow; also works while it runs."""
        file = self.folder / "acl"
        file.write_text("\n".join(rules) + "\n")
        file.chmod(0o700)
        self.rules = f"acl_file {file}\n"
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)


class Subscriber:
    """A dashboard: collects everything the broker sends, in order."""

    def __init__(
        self,
        port: int,
        *topics: str,
        client_id: str = "dashboard",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.ready = False
        self._topics = topics
        # a persistent session: nothing is missed while the broker restarts
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False
        )
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_for(lambda: self.ready, "the subscription is not granted")

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        for topic in self._topics:
            client.subscribe(topic, qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self.ready = True

    def payloads(self, name: str) -> list[str]:
        """Return the payloads of topics that end in `name`."""
        return [m.payload.decode() for m in self.messages if m.topic.endswith(f"/{name}")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        for message in self.messages:
            contract.validate(message.topic, message.payload.decode())
