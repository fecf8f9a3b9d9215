"""Errors say why there is no connection to a broker, and what to do about it."""

import contextlib
import errno
import gc
import http.server
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.delivery.mqtt_broker import Broker, Version, tls_context
from edge.delivery.mqtt_failures import failure, refusal
from edge.delivery.mqtt_probe import probe
from edge.errors import EdgeError
from tests.support.broker import Mosquitto, free_port

# a handshake that fails leaves paho's socket to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect() -> Iterator[None]:
    yield
    gc.collect()


def probe_error(
    port: int,
    *,
    host: str = "127.0.0.1",
    password: Path | None = None,
    tls: bool = False,
    version: Version | None = None,
    timeout_s: float = 1,
) -> str:
    """Return the error of a probe."""
    there = Broker(
        host, port, "x", "lobby" if password else None, password,
        tls=tls_context(None, None, None) if tls else None, version=version,
    )  # fmt: skip
    with pytest.raises(EdgeError) as error:
        probe(there, timeout_s=timeout_s)
    return str(error.value)


@contextlib.contextmanager
def serving(*answers: bytes, hang_up: bool = False) -> Iterator[int]:
    """A server that answers every client with these bytes, then hangs up or waits."""
    server = socket.create_server(("127.0.0.1", 0))
    links: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = server.accept()
                links.append(link)
                for answer in answers:
                    link.recv(100)
                    link.sendall(answer)
                if hang_up:
                    link.recv(100)
                    link.close()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    for connection in (server, *links):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def test_no_server() -> None:
    assert "Connection refused: is the broker running, and mqtt.port right?" in probe_error(
        free_port()
    )
    text = probe_error(1883, host="broker.invalid")
    assert "is mqtt.host right, and does this network resolve names?" in text


@pytest.mark.parametrize("tls", [False, True])
def test_a_silent_server(tls: bool) -> None:
    with serving() as port:
        text = probe_error(port, tls=tls, timeout_s=7)  # paho waits 5 s for a handshake
    assert "does not speak TLS; usual ports" in text if tls else "does not answer" in text


def test_a_broker_that_hangs_up() -> None:
    with serving(hang_up=True) as port:
        assert "does not answer; is it a broker? usual ports of a broker are" in probe_error(port)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server"),
        (b"SSH-2.0-OpenSSH\r\n", "an SSH server"),
        (b'INFO {"server_id":"x"}\r\n', "NATS, not its MQTT port"),
    ],
)
def test_another_server(answer: bytes, kind: str, tls: bool) -> None:
    with serving(answer, hang_up=True) as port:
        text = probe_error(port, tls=tls)
    assert f"it is {kind}" in text
    assert ("does not speak TLS" if tls else "does not speak MQTT") in text


@pytest.mark.parametrize("tls", [False, True])
def test_a_web_server_that_waits_for_the_end_of_a_line(tls: bool) -> None:
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert "a web server" in probe_error(server.server_port, tls=tls)
        server.shutdown()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_password_that_is_wrong(mosquitto: Mosquitto, tmp_path: Path, version: Version) -> None:
    passwords, password = tmp_path / "passwords", tmp_path / "password"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "lobby", "right"], check=True)
    mosquitto.rules = f"password_file {passwords}\n"
    mosquitto.configuration = lambda: (  # type: ignore[method-assign]
        Mosquitto.configuration(mosquitto).replace("anonymous true", "anonymous false")
    )
    mosquitto.start()
    password.write_text("wrong")
    text = probe_error(mosquitto.port, password=password, version=version)
    assert "refuses the connection: Not authorized; see mqtt.username and mqtt.password" in text
    password.write_text("right")
    there = Broker("127.0.0.1", mosquitto.port, "x", "lobby", password, version=version)
    assert probe(there).version == version


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "does not speak MQTT 3.1.1: set mqtt.version to auto"),
        (2, "refuses the connection: Client identifier not valid; the broker does not allow 'x"),
        (3, "refuses the connection: Server unavailable; the broker is not ready"),
        (4, "refuses the connection: Bad user name or password; see mqtt.username"),
        (5, "refuses the connection: Not authorized; see mqtt.username"),
    ],
)
def test_each_refusal_of_311(code: int, text: str) -> None:
    with serving(b"\x20\x02\x00" + bytes([code]), hang_up=True) as port:
        assert text in probe_error(port, version="3.1.1")


def test_each_refusal_says_what_to_do() -> None:
    assert refusal("Banned", "x").endswith("has banned this device")
    assert refusal("Something new", "x") == "refuses the connection: Something new"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)), "No route to host: is"),
        (OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)), "Network is unreachable: is"),
        (TimeoutError("timed out"), "no answer: is mqtt.host right, is that machine on"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (KeyError(), "KeyError"),
    ],
)
def test_errors_of_the_system(error: Exception, text: str) -> None:
    assert failure(error).startswith(text)


@pytest.mark.parametrize(
    ("code", "text"),
    [(9, "is not valid yet; is this"), (18, "is self-signed"), (99, "cannot")],
)
def test_what_is_wrong_with_a_certificate(code: int, text: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "why"
    assert failure(error).startswith(f"its certificate {text}")
