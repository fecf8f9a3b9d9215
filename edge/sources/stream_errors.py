"""Finds out from its server why a network stream cannot be opened: OpenCV does not say."""

import base64
import contextlib
import hashlib
import re
import socket
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935}
TIMEOUT_S = 5.0
"""Longest wait for the server, each time, seconds."""
UNKNOWN = "is the address right, and is it a stream?"
LOGIN = {
    True: "it refuses the login: are the user name and the password right?",
    False: "it asks for a login: scheme://user:password@host/...",
}
"""What is wrong with the login, by whether the URL holds one."""
STATUS = {
    403: "this user may not see it (403 Forbidden)",
    404: "there is no such stream (404 Not Found); is the path right?",
    454: "there is no such stream (454 Session Not Found); is the path right?",
}


def diagnose(url: str) -> str:
    """Why OpenCV could not open `url`, in words that contain no secret."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
        if parts.scheme in PORTS and parts.hostname and port:
            return _diagnose(parts, parts.hostname, port)
    return UNKNOWN


def _diagnose(parts: SplitResult, host: str, port: int) -> str:
    try:
        answer = _answer(parts, host, port)
    except socket.gaierror as error:
        return f"{error.strerror}: is the host's name right?"
    except ConnectionRefusedError:
        return "Connection refused: is the server running, and is the port right?"
    except TimeoutError:
        return "no answer: is the address right, and is the camera on?"
    except ssl.SSLError:
        return "it does not speak TLS on this port"
    except OSError as error:
        return (
            f"{error.strerror or error}: is this machine on the network, and is the address right?"
        )
    version, _, rest = answer.partition(b" ")
    code = rest[:3]
    if parts.scheme == "rtmp":
        return UNKNOWN
    if not version.startswith((b"HTTP/", b"RTSP/")) or not code.isdigit():
        return f"it does not speak {parts.scheme.upper()}; is the port right?"
    if code == b"401":
        return LOGIN[parts.username is not None]
    status = int(code)
    return STATUS.get(status, f"it answers {status}; {UNKNOWN}" if status >= 400 else UNKNOWN)


def _answer(parts: SplitResult, host: str, port: int) -> bytes:
    """The beginning of the server's answer. Raises OSError."""
    answer = _exchange(parts, host, port, None)
    if parts.username is None or b" 401 " not in answer[:16]:
        return answer
    # the password is sent in clear text only if the server asks for that
    digest = re.search(rb"(?im)^www-authenticate: *digest (.*)$", answer)
    login = _digest(parts, host, port, digest[1].decode("latin-1")) if digest else _basic(parts)
    return _exchange(parts, host, port, login)


def _exchange(parts: SplitResult, host: str, port: int, login: str | None) -> bytes:
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(socket.create_connection((host, port), TIMEOUT_S))
        if parts.scheme in ("https", "rtsps"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as FFmpeg does
            link = stack.enter_context(context.wrap_socket(link, server_hostname=host))
        if parts.scheme == "rtmp":
            return b""
        method, target, version = _target(parts, host, port)
        lines = [f"{method} {target} {version}", "CSeq: 1", f"Host: {host}:{port}"]
        lines += [] if login is None else [f"Authorization: {login}"]
        link.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return link.recv(4096)


def _target(parts: SplitResult, host: str, port: int) -> tuple[str, str, str]:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme.startswith("http"):
        return "GET", path, "HTTP/1.1"
    address = f"[{host}]" if ":" in host else host
    return "DESCRIBE", f"{parts.scheme}://{address}:{port}{path}", "RTSP/1.0"


def _login(parts: SplitResult) -> tuple[str, str]:
    return unquote(parts.username or ""), unquote(parts.password or "")


def _basic(parts: SplitResult) -> str:
    return "Basic " + base64.b64encode(":".join(_login(parts)).encode()).decode()


def _digest(parts: SplitResult, host: str, port: int, challenge: str) -> str:
    """The Authorization header of RFC 7616, with MD5, which is what cameras ask for."""
    options = {key.lower(): value for key, value in re.findall(r'(\w+)="?([^",]*)"?', challenge)}
    user, password = _login(parts)
    method, target, _ = _target(parts, host, port)
    realm, nonce = options.get("realm", ""), options.get("nonce", "")
    qop_fields = ["00000001", "edge", "auth"] if "qop" in options else []
    user_hash, request_hash = _md5(user, realm, password), _md5(method, target)
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": target,
              "response": _md5(user_hash, nonce, *qop_fields, request_hash)}  # fmt: skip
    if "opaque" in options:
        fields["opaque"] = options["opaque"]
    header = [f'{key}="{value}"' for key, value in fields.items()]
    header += ["qop=auth", "nc=00000001", 'cnonce="edge"'] if qop_fields else []
    return "Digest " + ", ".join(header)


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
