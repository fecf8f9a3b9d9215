"""Why a network camera cannot be opened, with servers that say so."""

import base64
import contextlib
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edge.errors import SourceError
from edge.sources.opencv_camera import Capture, stream, usb
from edge.sources.stream_errors import diagnose
from edge.types import CaptureSettings
from tests.support.broker import free_port

VIEW = CaptureSettings(timeout=2)


class Handler(http.server.BaseHTTPRequestHandler):
    """Demands a login, except below /open; never sends a picture."""

    def do_GET(self) -> None:
        kind = self.path.strip("/").split("/", maxsplit=1)[0]
        login = self.headers.get("Authorization", "")
        right = base64.b64encode(b"door:se cret").decode() in login
        if kind == "digest" and login.startswith("Digest "):
            fields = dict(
                part.strip().split("=", 1) for part in login.partition(" ")[2].split(",") if part
            )
            right = fields.get("response") == f'"{self._response(fields.get("nc") is not None)}"'
        if self.path.endswith("missing") and (kind == "open" or right):
            self.send_error(404)
        elif kind == "forbidden":
            self.send_error(403)
        elif kind != "open" and not right:
            self.send_response(401)
            digest = 'Digest realm="cam", qop="auth", nonce="n1", opaque="o"'
            if "plain" in self.path:
                digest = 'Digest realm="cam", nonce="n1"'
            self.send_header("WWW-Authenticate", digest if kind == "digest" else 'Basic realm="x"')
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()

    def _response(self, once: bool) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()  # as cameras do

        middle = "n1:00000001:edge:auth" if once else "n1"
        return md5(f"{md5('door:cam:se cret')}:{middle}:{md5(f'GET:{self.path}')}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{web.server_port}"
        web.shutdown()


@pytest.mark.parametrize(
    ("path", "login", "reason"),
    [
        ("basic", "", "it asks for a login: scheme://user:password@host"),
        ("basic", "door:wrong@", "it refuses the login: are the user name and the password right"),
        ("basic/missing", "door:se%20cret@", "no such stream (404 Not Found); is the path right?"),
        ("digest", "", "it asks for a login"),
        ("digest", "door:wrong@", "it refuses the login"),
        ("digest/missing", "door:se%20cret@", "no such stream (404"),
        ("digest/plain/missing", "door:se%20cret@", "no such stream (404"),
        ("forbidden", "", "this user may not see it (403 Forbidden)"),
        ("open/missing", "", "no such stream (404 Not Found)"),
        ("open", "", "is the address right, and is it a stream?"),
    ],
)
def test_a_web_camera_says_what_is_wrong(server: str, path: str, login: str, reason: str) -> None:
    with pytest.raises(SourceError) as error:
        stream(f"http://{login}{server}/{path}", VIEW)
    assert f"stream http://{server}/...: cannot be opened: " in str(error.value)
    assert reason in str(error.value)
    assert "cret" not in str(error.value)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = server.accept()
                with link:
                    link.recv(4096)
                    link.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n", "it asks for a login"),
        (b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n", "there is no such stream (404 Not Found)"),
        (b"RTSP/1.0 500 Internal\r\nCSeq: 1\r\n\r\n", "it answers 500"),
        (b"SSH-2.0-x\r\n", "it does not speak RTSP; is the port right?"),
    ],
)
def test_an_rtsp_camera_says_what_is_wrong(answer: bytes, reason: str) -> None:
    with answering(answer) as port, pytest.raises(SourceError) as error:
        stream(f"rtsp://127.0.0.1:{port}/live", VIEW)
    assert reason in str(error.value)


def test_nobody_is_there(server: str) -> None:
    assert diagnose(f"rtsp://127.0.0.1:{free_port()}/x").startswith("Connection refused")
    assert "is the host's name right?" in diagnose("http://camera.invalid/x")
    assert diagnose(f"https://{server}/x") == "it does not speak TLS on this port"
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert diagnose(f"http://127.0.0.1:{mute.getsockname()[1]}/x").startswith("no answer")
    for odd in ("udp://127.0.0.1:1", "http://[bad", "http://h:99999/", "rtsp:///x"):
        assert diagnose(odd) == "is the address right, and is it a stream?"


def test_a_device_that_is_not_a_camera() -> None:
    with pytest.raises(SourceError, match=r"camera /dev/null: is not a camera; name a video dev"):
        usb("/dev/null", VIEW)


def test_a_picture_damaged_on_its_way_does_not_end_the_program() -> None:
    """The camera is opened again, as after any other failure."""

    class Damaged:  # OpenCV's own types do not survive to be subclassed
        def read(self) -> Any:
            return cv2.imdecode(np.empty(0, np.uint8), cv2.IMREAD_COLOR)

    camera = Capture(cast(cv2.VideoCapture, Damaged()), "camera /dev/video0", VIEW)
    with pytest.raises(SourceError, match="camera /dev/video0: gives a broken picture"):
        camera.read(lambda: False)
