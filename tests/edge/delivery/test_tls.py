"""TLS and client certificates with a real broker and real certificates."""

import gc
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.delivery.mqtt_broker import Broker, tls_context
from edge.delivery.mqtt_probe import probe
from edge.errors import ConfigError, EdgeError
from tests.support.broker import Mosquitto

# a handshake that fails leaves paho's socket to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    yield
    gc.collect()


@dataclass
class Authority:
    """Signs certificates."""

    folder: Path

    def __post_init__(self) -> None:
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
            "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip

    def sign(self, name: str, host: str, days: int = 2) -> None:
        (self.folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-days", str(days), "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip

    def lock(self, name: str) -> None:
        """Write `locked.key`: the key of `name` with a passphrase."""
        self._openssl(
            "pkey", "-in", f"{name}.key", "-aes128", "-passout", "pass:phrase", "-out", "locked.key"
        )

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    authority.sign("server", "localhost")
    authority.sign("elsewhere", "elsewhere.example")
    authority.sign("cluster", "brokers.test")
    authority.sign("device", "lobby")
    authority.sign("expired", "localhost", days=0)  # OpenSSL 3.5 refuses days in the past
    time.sleep(1.1)  # certificates count whole seconds
    other = Authority(tmp_path_factory.mktemp("other"))
    other.sign("stranger", "lobby")
    for file in other.folder.glob("stranger.*"):
        file.rename(authority.folder / file.name)
    return authority


def serve(mosquitto: Mosquitto, authority: Authority, name: str, *rules: str) -> None:
    files = authority.folder
    mosquitto.rules = "\n".join(
        [f"certfile {files}/{name}.pem", f"keyfile {files}/{name}.key", *rules, ""]
    )
    mosquitto.start()


def probe_tls(mosquitto: Mosquitto, authority: Authority | None, device: str | None = None) -> str:
    """Return the MQTT version, or the error, of a probe by TLS."""
    ca = authority.folder / "ca.pem" if authority else None
    own = authority.folder / device if authority and device else None
    context = tls_context(ca, own and own.with_suffix(".pem"), own and own.with_suffix(".key"))
    try:
        return probe(Broker("localhost", mosquitto.port, "lobby", tls=context)).version
    except EdgeError as error:
        return str(error)


def test_a_trusted_certificate_for_the_host(mosquitto: Mosquitto, authority: Authority) -> None:
    serve(mosquitto, authority, "server")
    assert probe_tls(mosquitto, authority) == "5"
    assert "by an authority that mqtt.tls.ca_file does not hold" in probe_tls(mosquitto, None)


def test_one_name_with_several_addresses(
    mosquitto: Mosquitto, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each broker has a certificate for the name; one is away and one hangs."""
    system, numbers = socket.getaddrinfo, [3, 2, 1]
    monkeypatch.setattr(
        "socket.getaddrinfo",
        lambda host, *args, **keys: [
            found
            for number in numbers
            for found in system(f"127.0.0.{number}", *args, **keys)
            if host == "brokers.test"
        ],
    )
    context = tls_context(authority.folder / "ca.pem", None, None)
    there = Broker("brokers.test", mosquitto.port, "lobby", tls=context)
    with socket.create_server(("127.0.0.2", mosquitto.port)):
        serve(mosquitto, authority, "cluster")
        assert probe(there).version == "5"
    mosquitto.stop()
    serve(mosquitto, authority, "elsewhere")
    numbers[:] = [1]
    with pytest.raises(EdgeError, match="is for another name"):
        probe(there)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("elsewhere", "is for another name: mqtt.host must be"),
        ("expired", "has expired; renew it at the broker"),
    ],
)
def test_a_certificate_that_cannot_be_trusted(
    mosquitto: Mosquitto, authority: Authority, name: str, error: str
) -> None:
    serve(mosquitto, authority, name)
    assert f"its certificate {error}" in probe_tls(mosquitto, authority)


@pytest.mark.parametrize("tls", ["tlsv1.3", "tlsv1.2"])
def test_a_broker_that_asks_for_our_certificate(
    mosquitto: Mosquitto, authority: Authority, tls: str
) -> None:
    rules = [f"cafile {authority.folder}/ca.pem", "require_certificate true", f"tls_version {tls}"]
    serve(mosquitto, authority, "server", *rules)
    assert probe_tls(mosquitto, authority, device="device") == "5"
    assert "wants a client certificate: set mqtt.tls" in probe_tls(mosquitto, authority)
    error = probe_tls(mosquitto, authority, device="stranger")
    assert "does not know the authority that signed mqtt.tls.cert_file" in error
    error = probe_tls(mosquitto, authority, device="expired")
    assert "says that mqtt.tls.cert_file has expired" in error


def test_a_broker_without_tls(mosquitto: Mosquitto, authority: Authority) -> None:
    mosquitto.start()
    error = probe_tls(mosquitto, authority)
    assert "does not speak TLS, but MQTT without: set mqtt.tls.enabled: false" in error


def test_a_broker_with_tls_that_is_asked_without(
    mosquitto: Mosquitto, authority: Authority
) -> None:
    serve(mosquitto, authority, "server")
    with pytest.raises(EdgeError, match=r"speaks TLS on this port: set mqtt\.tls\.enabled: true"):
        probe(Broker("localhost", mosquitto.port, "lobby"))


@pytest.mark.parametrize(
    ("ca", "cert", "key", "error"),
    [
        ("server.csr", "device.pem", "device.key", r"tls\.ca_file: .*/server\.csr: cannot be used"),
        (
            "ca.pem",
            "device.csr",
            "device.key",
            r"tls\.cert_file: .*/device\.csr with mqtt\.tls\.key_file: ",
        ),
        (
            "ca.pem",
            "device.pem",
            "server.key",
            r"with mqtt\.tls\.key_file: .*/server\.key: cannot .*mismatch",
        ),
        (
            "ca.pem",
            "device.pem",
            "locked.key",
            r"tls\.key_file: .*/locked\.key: must not be",
        ),
    ],
)
def test_a_bad_file_is_named(
    authority: Authority, ca: str, cert: str, key: str, error: str
) -> None:
    authority.lock("device")
    files = [authority.folder / name for name in (ca, cert, key)]
    with pytest.raises(ConfigError, match=error):
        tls_context(*files)
