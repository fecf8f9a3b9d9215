"""The configuration of docs/fleet/nats, run: three servers, users by certificate, one name."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.fleet.brokers import CLUSTER, free_port, program
from tests.fleet.certificates import FOREIGN, OWN, check, tls
from tests.fleet.devices import NAME
from tests.fleet.node import Node
from tests.support.commands import wait_for
from tests.support.paths import ROOT

FILES = ROOT / "docs" / "fleet" / "nats"
USERS = FILES / "users.sh"


@pytest.fixture(scope="module")
def port(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the three servers with their own addresses, ports and folders; give the port for MQTT."""
    users = subprocess.run([USERS], input="lobby\ndoor-2\n", capture_output=True, text=True)
    assert users.returncode == 0, users.stderr
    ports = {number: free_port(list(CLUSTER)) for number in ("4222", "8222", "6222", "8883")}
    nodes = []
    for number, address in enumerate(CLUSTER, 1):
        folder = tmp_path_factory.mktemp(f"nats-{number}")
        (folder / "users.conf").write_text(users.stdout)
        for file in FILES.glob("*.conf"):
            text = file.read_text().replace("127.0.0.1", address).replace("0.0.0.0", address)
            for other, host in enumerate(CLUSTER, 1):
                text = text.replace(f"nats-{other}.example", host)
            for old, new in ports.items():
                text = text.replace(f":{old}", f":{new}")
            text = text.replace("/etc/nats", str(certificates))
            (folder / file.name).write_text(text.replace("/var/lib/nats", str(folder / "store")))
        command = [program("nats-server"), "-c", str(folder / f"nats-{number}.conf")]
        nodes.append(Node(f"n{number}", address, ports["8883"], command, folder / "log"))
    with contextlib.ExitStack() as stack:
        for node in nodes:
            node.start()
            stack.callback(node.kill)
        for node in nodes:
            node.wait_ready()
        yield ports["8883"]


def test_a_device_writes_its_own_topics_and_the_dashboard_reads_all(
    port: int, certificates: Path
) -> None:
    # the cluster has to agree on its streams first
    end = time.monotonic() + 60
    while (answer := check(port, certificates, "lobby", OWN)) != "3.1.1":
        assert time.monotonic() < end, answer
    windows: list[str] = []
    ready: list[int] = []
    dashboard = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="d", clean_session=False)
    dashboard.tls_set_context(tls(certificates, "dashboard"))
    dashboard.on_message = lambda _client, _data, message: windows.append(message.topic)
    dashboard.on_subscribe = lambda _client, _data, _mid, codes, _props: ready.append(
        codes[0].value
    )
    dashboard.connect(NAME, port)
    dashboard.loop_start()
    dashboard.subscribe("tally/v1/+/+/window", 1)
    wait_for(lambda: ready == [1], "the dashboard may not subscribe")
    assert check(port, certificates, "lobby", OWN) == "3.1.1"
    wait_for(lambda: OWN.topic in windows, "the dashboard does not get the window")
    dashboard.publish(OWN.topic, "{}", 1)
    assert "may not both write and read" in check(port, certificates, "lobby", FOREIGN)
    assert windows.count(OWN.topic) == 1, "the dashboard may write"
    assert FOREIGN.topic not in windows
    dashboard.disconnect()
    dashboard.loop_stop()


def test_a_certificate_without_a_user_is_refused(port: int, certificates: Path) -> None:
    answer = check(port, certificates, "stranger", OWN)
    assert "refuses the connection: Not authorized" in answer


@pytest.mark.parametrize("name", ["a.b", "*", "", "dashboard", 'x" }'])
def test_names_that_would_be_rules(name: str) -> None:
    users = subprocess.run([USERS], input=f"{name}\n", capture_output=True, text=True)
    assert users.returncode == 1
    assert users.stderr == f"users.sh: not the name of a device: '{name}'\n"
