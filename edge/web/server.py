"""Serves a page on the loopback address, to one browser, with Python's own HTTP server."""

import json
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, EdgeError
from edge.web.access import Access, is_own_host, is_own_origin
from edge.web.views import Views

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
SHARED = Path(__file__).with_name("page")
"""Files that every page uses."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
"""What is served, by the suffix of its file."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Sent with every answer: nothing is kept, and the page asks nobody else for anything."""
MAX_BODY = 64 * 1024
"""Longest body of a request, bytes: 100 polygons of 10 corners fit."""
IDLE_S = 30.0
"""Seconds after which a silent connection is closed."""
WAIT_S = 2.0
"""Longest wait for a newer view, seconds; then the answer is empty, and the page asks again."""

Action = Callable[[dict[str, Any]], dict[str, Any]]
"""A command of the page: from the values in its JSON to those of the answer. Raises EdgeError."""


class Server(socketserver.ThreadingTCPServer):
    """Not `http.server.HTTPServer`, which would ask the network for this machine's name."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        port: int,
        page: Path,
        *,
        access: Access,
        views: Views,
        actions: Mapping[str, Action],
    ) -> None:
        """Listen on `port`; 0 takes any that is free. `actions` go by path, such as `/zones`.

        The files beside `page`, which is HTML, are served under their names. The answer to
        `/viewer` is that to the right token, with the key added. Raises ConfigError if the port
        cannot be used.
        """
        self.access, self.views, self.actions = access, views, actions
        files = (*SHARED.iterdir(), *page.parent.iterdir())
        self.files = {f"/{file.name}": file for file in files if file.suffix in TYPES}
        self.files["/"] = self.files.pop(f"/{page.name}")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {HOST} port {port} ({error.strerror}); name another with --port"
            ) from error

    @property
    def address(self) -> str:
        """What to open in a browser; the token stands where a browser keeps it to itself."""
        return f"http://{HOST}:{self.server_address[1]}/#{self.access.token}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error."""
        log.debug("page: a connection broke off", exc_info=True)


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Serve on a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if not self._is_from_page():
            return
        if path in self.server.files:
            file = self.server.files[path]
            self._answer(HTTPStatus.OK, file.read_bytes(), TYPES[file.suffix])
        elif path != "/view":
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
        elif self._is_admitted():
            after = query.removeprefix("after=")
            seq = int(after) if after.isdecimal() and len(after) < 20 else 0
            view = self.server.views.wait(seq, WAIT_S)
            self._answer(HTTPStatus.OK, b"null" if view is None else view.payload)

    def do_POST(self) -> None:
        values = self._body() if self._is_from_page() else None
        if values is None:
            return
        action = self.server.actions.get(self.path)
        if action is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such command")
        elif self.path == "/viewer":
            key = self.server.access.exchange(str(values.get("token")))
            if key is None:
                reason = "this address was used before, or is wrong; start the command again"
                self._refuse(HTTPStatus.FORBIDDEN, reason)
            else:
                self._answer_json(action({}) | {"key": key})
        elif self._is_admitted():
            try:
                self._answer_json(action(values))
            except EdgeError as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _is_from_page(self) -> bool:
        """Whether the headers name this machine; otherwise refuses the request."""
        host = self.headers.get("Host")
        if is_own_host(host) and is_own_origin(self.headers.get("Origin"), host):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "only this machine's own page may ask")
        return False

    def _is_admitted(self) -> bool:
        """Whether the browser gives the key; otherwise refuses the request."""
        if self.server.access.admits(self.headers.get("Authorization")):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "open the address that the command printed")
        return False

    def _body(self) -> dict[str, Any] | None:
        """The values in the request's JSON; None, once refused, if it holds none."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too long")
            return None
        try:
            values = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            self._refuse(HTTPStatus.BAD_REQUEST, "the request is not JSON")
            return None
        return values

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # its body may not have been read
        self._answer_json({"error": reason}, status)

    def _answer_json(self, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(status, json.dumps(values).encode())

    def _answer(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body))} | HEADERS
        if self.close_connection:
            headers["Connection"] = "close"
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def version_string(self) -> str:
        return "edge-tally"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
        log.debug("page: %s", format % args)
