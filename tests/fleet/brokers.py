"""Brokers for a fleet, started on loopback: mosquitto, one NATS server, or a cluster of three."""

import contextlib
import json
import os
import shutil
import socket
import sysconfig
import time
import urllib.request
from pathlib import Path
from typing import Any, Protocol

from tests.fleet.node import READY_S, Node

CLUSTER = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 1000000
"""
NATS = """\
server_name: {name}
listen: "{address}:{client}"
http: "{address}:{monitor}"
jetstream {{ store_dir: {store}, sync_interval: {sync} }}
mqtt {{ listen: "{address}:{port}"{replicas} }}
"""
ROUTES = 'cluster {{ name: tally, listen: "{address}:{route}", routes: [{routes}] }}\n'


class Brokers(Protocol):
    """One broker, or several that devices reach under one name."""

    port: int
    nodes: list[Node]

    def leader(self) -> Node:
        """The node that holds the windows' stream: the one whose death hurts most."""

    def wait_ready(self) -> None:
        """Wait until every node takes connections. Raises RuntimeError if one does not."""


class Mosquitto:
    """One mosquitto; `rules` are further lines of its configuration."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.port = free_port(["127.0.0.1"])
        config = folder / "mosquitto.conf"
        text = MOSQUITTO.format(port=self.port, folder=folder) + rules
        # as root, mosquitto would switch to a user that may not write here
        config.write_text(text + "user root\n" * (os.geteuid() == 0))
        command = [program("mosquitto"), "-c", str(config)]
        self.nodes = [Node("mosquitto", "127.0.0.1", self.port, command, folder / "broker.log")]

    def leader(self) -> Node:
        return self.nodes[0]

    def wait_ready(self) -> None:
        self.nodes[0].wait_ready()


class Nats:
    """One NATS server, or three that keep each window three times."""

    def __init__(self, folder: Path, addresses: tuple[str, ...], sync: str) -> None:
        """`sync`: seconds between syncs to the disk, such as `2m`, or `always`."""
        self.port, client, monitor, route = (free_port(list(addresses)) for _ in range(4))
        self._monitor = monitor
        self.nodes = []
        for number, address in enumerate(addresses, 1):
            config = folder / f"n{number}.conf"
            text = NATS.format(
                name=f"n{number}", address=address, client=client, monitor=monitor, sync=sync,
                store=json.dumps(str(folder / f"n{number}")), port=self.port,
                replicas=", stream_replicas: 3" if len(addresses) > 1 else "",
            )  # fmt: skip
            if len(addresses) > 1:
                routes = ", ".join(f'"nats://{other}:{route}"' for other in addresses)
                text += ROUTES.format(address=address, route=route, routes=routes)
            config.write_text(text)
            log = folder / f"n{number}.log"
            command = [program("nats-server"), "-c", str(config)]
            self.nodes.append(Node(f"n{number}", address, self.port, command, log))

    def leader(self) -> Node:
        for node in self.nodes:
            for stream in self._streams(node):
                if stream["name"] == "$MQTT_msgs" and "cluster" in stream:
                    leader = stream["cluster"].get("leader")
                    return next((n for n in self.nodes if n.name == leader), self.nodes[0])
        return self.nodes[0]

    def _streams(self, node: Node) -> list[Any]:
        url = f"http://{node.address}:{self._monitor}/jsz?accounts=true&streams=true"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            accounts = json.load(answer).get("account_details") or []
            return [stream for account in accounts for stream in account["stream_detail"]]
        return []

    def wait_ready(self) -> None:
        """Also waits until JetStream says that it is well."""
        for node in self.nodes:
            node.wait_ready()
            end = time.monotonic() + READY_S
            while not self._is_well(node) and time.monotonic() < end:
                time.sleep(0.1)

    def _is_well(self, node: Node) -> bool:
        url = f"http://{node.address}:{self._monitor}/healthz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
        return False


class Given:
    """A broker that runs already; it is only spoken to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.nodes: list[Node] = []

    def leader(self) -> Node:
        raise RuntimeError("a broker that was given is not killed")

    def wait_ready(self) -> None:
        pass


def free_port(addresses: list[str]) -> int:
    """Return a port that is free on all `addresses`."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            port = 0
            for address in addresses:
                probe = stack.enter_context(socket.socket())
                probe.bind((address, port))
                port = int(probe.getsockname()[1])
            return port


def program(name: str) -> str:
    """Return its path. Raises RuntimeError if it is not installed."""
    path = shutil.which(
        name, path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}:/usr/sbin"
    )
    if path is None:
        raise RuntimeError(f"{name} is not installed; `make test` installs it")
    return path
