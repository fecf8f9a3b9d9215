"""A real mosquitto knows devices by the certificates that tools/fleet.py makes."""

import gc
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import __main__ as program
from edge.delivery.mqtt_broker import Broker, tls_context
from edge.delivery.mqtt_probe import probe
from edge.errors import EdgeError
from edge.types import Message
from tests.support.broker import Mosquitto, Subscriber, free_port
from tests.support.certificates import FleetBroker, MadeFleet, login
from tests.support.commands import NO_ESTIMATES, wait_for
from tests.support.paths import PICTURE, ROOT
from tools.cli.programs import running, wait_until_it_listens

# a handshake that fails leaves paho's socket to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WINDOWS = "tally/v1/store-7/{}/window"


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> MadeFleet:
    fleet = MadeFleet(tmp_path_factory.mktemp("fleet"))
    fleet.broker("127.0.0.1")
    return fleet


@pytest.fixture(scope="module")
def broker(fleet: MadeFleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetBroker]:
    broker = FleetBroker(tmp_path_factory.mktemp("broker"), fleet=fleet)
    broker.start()
    yield broker
    broker.stop()


def answer(port: int, tls: Any, device: str, **login: Any) -> str:
    """What a broker answers to a window of this device: nothing if it takes it."""
    try:
        probe(
            Broker("localhost", port, "probe", tls=tls, **login),
            [Message(WINDOWS.format(device), "{}", qos=1)],
        )
    except EdgeError as error:
        return str(error)
    return ""


def test_a_device_publishes_as_itself_alone(
    broker: FleetBroker, fleet: MadeFleet, tmp_path: Path
) -> None:
    lobby = login(fleet.device("lobby"), tmp_path)
    assert answer(broker.port, lobby, "lobby") == ""
    assert "Not authorized" in answer(broker.port, lobby, "door")
    stranger = login(MadeFleet(tmp_path / "other").device("lobby"), tmp_path)
    stranger.load_verify_locations(fleet.folder / "authority.crt")
    assert "does not know the authority that signed" in answer(broker.port, stranger, "lobby")
    nobody = tls_context(fleet.folder / "authority.crt", None, None)
    assert "wants a client certificate" in answer(broker.port, nobody, "lobby")


def test_dashboards_keep_their_passwords(
    broker: FleetBroker, fleet: MadeFleet, tmp_path: Path
) -> None:
    passwords = broker.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", passwords, "dashboard", "secret"], check=True)
    passwords.chmod(0o700)
    broker.reload()
    trusted = tls_context(fleet.folder / "authority.crt", None, None)
    (tmp_path / "password").write_text("secret")
    keys = {"username": "dashboard", "password_file": tmp_path / "password"}
    port = broker.password_port
    # it is let in, and writes nothing
    assert "refuses tally/v1/store-7/lobby/window" in answer(port, trusted, "lobby", **keys)
    assert "refuses the connection" in answer(port, trusted, "lobby", username="dashboard")
    assert "refuses the connection" in answer(port, trusted, "lobby")


def test_nats_knows_the_same_certificates(fleet: MadeFleet, tmp_path: Path) -> None:
    """The way to a cluster: `verify_and_map` makes the name in the certificate the user."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
    assert program is not None
    port, folder = free_port(), fleet.folder
    (tmp_path / "nats.conf").write_text(
        f"""
        server_name: one
        listen: "127.0.0.1:{free_port()}"
        jetstream {{ store_dir: "{tmp_path}" }}
        mqtt {{
            listen: "127.0.0.1:{port}"
            tls {{
                cert_file: "{folder}/brokers/localhost.crt"
                key_file: "{folder}/brokers/localhost.key"
                ca_file: "{folder}/authority.crt"
                verify_and_map: true
            }}
        }}
        authorization {{
            users: [ {{ user: "lobby", permissions: {{
                publish: ["tally.v1.*.lobby.>"], subscribe: ["tally.v1.*.lobby.>", "$MQTT.>"]
            }} }} ]
        }}
        """
    )
    lobby, door = (login(fleet.device(name), tmp_path) for name in ("lobby", "door"))
    command = [program, "-c", str(tmp_path / "nats.conf")]
    with running(command, "nats-server", tmp_path / "log") as process:
        wait_until_it_listens(port, process, "nats-server", tmp_path / "log")
        assert answer(port, lobby, "lobby") == ""
        assert "refuses tally/v1/store-7/door/window" in answer(port, lobby, "door")
        assert "refuses the connection" in answer(port, door, "door")


def test_no_certificate_serves_for_something_else(
    broker: FleetBroker, fleet: MadeFleet, tmp_path: Path
) -> None:
    authority, own = fleet.folder / "authority.crt", fleet.folder / "brokers" / "localhost"
    brokers = tls_context(authority, own.with_suffix(".crt"), own.with_suffix(".key"))
    assert "does not accept mqtt.tls.cert_file" in answer(broker.port, brokers, "localhost")

    # a device that poses as the broker
    (tmp_path / "broker").mkdir()
    impostor = Mosquitto(tmp_path / "broker")
    lobby = login(fleet.device("localhost-2"), tmp_path)
    pem = tmp_path / "edge-tally-localhost-2.pem"
    impostor.rules = f"certfile {pem}\nkeyfile {pem}\n"
    impostor.start()
    try:
        assert "certificate" in answer(impostor.port, lobby, "lobby")
    finally:
        impostor.stop()


def test_a_revoked_device_is_refused_and_the_others_are_not(
    broker: FleetBroker, fleet: MadeFleet, tmp_path: Path
) -> None:
    lost, other = (login(fleet.device(name), tmp_path) for name in ("lost", "other"))
    assert answer(broker.port, lost, "lost") == ""
    assert fleet.revoke("lost") == 1
    broker.reload()
    assert "says that mqtt.tls.cert_file is revoked" in answer(broker.port, lost, "lost")
    assert answer(broker.port, other, "other") == ""
    # a second list, whose predecessor the broker still has in memory
    assert fleet.revoke("other") == 1
    broker.reload()
    assert "is revoked" in answer(broker.port, other, "other")
    broker.stop()
    broker.start()
    assert "is revoked" in answer(broker.port, lost, "lost")
    assert answer(broker.port, login(fleet.device("lost"), tmp_path), "lost") == ""


def test_a_renewed_device_goes_on_where_it_was(
    broker: FleetBroker,
    fleet: MadeFleet,
    tmp_path: Path,
    subscribe: Callable[..., Subscriber],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dashboard = subscribe(broker.port, "tally/v1/#", tls=fleet.client("dashboard"))
    root, state = tmp_path / "root", tmp_path / "state"
    root.mkdir()
    path = fleet.device(
        "renewed",
        source=str(PICTURE),
        classifier=NO_ESTIMATES,
        state_dir=str(state),
        mqtt={"host": "localhost", "port": broker.port, "tls": {"enabled": True}},
    )

    def run() -> str:
        """Count one window as the service does, and return what was logged."""
        store, given = root / "etc" / "credstore", tmp_path / "credentials"
        given.mkdir(exist_ok=True)
        for file in store.iterdir():
            (given / file.name.removeprefix("edge-tally.")).write_bytes(file.read_bytes())
        done = subprocess.run(
            [sys.executable, "-m", "edge", "run", "--config", root / "etc/edge-tally/config.yaml"],
            capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
            env=os.environ | {"CREDENTIALS_DIRECTORY": str(given)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    def enroll(path: Path) -> None:
        assert program.main(["enroll", "--root", str(root), str(path)]) == 0, caplog.text

    enroll(path)
    renewed = fleet.renew("renewed")
    assert fleet.revoke("renewed", older=True) == 1
    broker.reload()
    assert "1 window not delivered; kept in the outbox" in run()
    enroll(renewed)
    run()
    wait_for(lambda: len(dashboard.payloads("window")) == 2, "a window is missing")
    windows = [json.loads(payload) for payload in dashboard.payloads("window")]
    assert [window["seq"] for window in windows] == [1, 2]
    assert len({window["epoch"] for window in windows}) == 1
    log = (broker.folder / "mosquitto.log").read_text()
    assert "as edge-tally/store-7/renewed (" in log
    assert "u'renewed'" in log
