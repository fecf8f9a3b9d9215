"""Explain why there is no connection to a broker, and what to do about it."""

import contextlib
import socket
import ssl

SILENT = "accepts the connection but does not answer"
WRONG_PORT = (
    "usual ports of a broker are 1883 without TLS and 8883 with TLS (mqtt.port, mqtt.tls.enabled)"
)
NOT_MQTT = "accepts the connection but does not speak MQTT"
NO_TLS = "does not speak TLS"
HELLO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
"""An MQTT 3.1.1 greeting with an empty client id."""
TIMEOUT_S = 3.0

REFUSALS = {
    "Unsupported protocol version": "try another mqtt.version",
    "Client identifier not valid": "the broker does not allow {client_id!r} as a client id",
    "Bad user name or password": "see mqtt.username and mqtt.password_file",
    "Not authorized": "see mqtt.username and mqtt.password_file, and the broker's access rules",
    "Server unavailable": "the broker is not ready; it is tried again",
    "Server busy": "the broker is not ready; it is tried again",
    "Quota exceeded": "the broker allows no more connections or messages",
    "Connection rate exceeded": "the broker is not ready; it is tried again",
    "Banned": "the broker's administrator has banned this device",
    "Bad authentication method": "the broker wants a login other than a user name and a password",
    "Retain not supported": "the broker keeps no messages",
    "QoS not supported": "the broker acknowledges no messages",
    "Packet too large": "the broker accepts only smaller packets",
}
"""What to do, by paho's reason, which is MQTT 5's name for it."""
CERTIFICATE = {
    9: "is not valid yet; is this machine's clock right?",
    10: "has expired; renew it at the broker, and check this machine's clock",
    18: "is self-signed: put a copy of it in mqtt.tls.ca_file",
    19: "is signed by an authority that mqtt.tls.ca_file does not hold",
    20: "is signed by an authority that mqtt.tls.ca_file does not hold",
    21: "is signed by an authority that mqtt.tls.ca_file does not hold",
    62: "is for another name: mqtt.host must be a name in it",
    64: "is for another address: mqtt.host must be a name or an address in it",
}
"""What is wrong with a broker's certificate, by OpenSSL's error number (X509_V_ERR_...)."""
ALERTS = {
    "CERTIFICATE_REQUIRED": "wants a client certificate: set mqtt.tls.cert_file and key_file",
    "UNKNOWN_CA": "does not know the authority that signed mqtt.tls.cert_file",
    "CERTIFICATE_EXPIRED": "says that mqtt.tls.cert_file has expired; are both clocks right?",
    "CERTIFICATE_REVOKED": "says that mqtt.tls.cert_file is revoked",
    "BAD_CERTIFICATE": "does not accept mqtt.tls.cert_file",
    "UNSUPPORTED_CERTIFICATE": "does not accept mqtt.tls.cert_file",
    "CERTIFICATE_UNKNOWN": "does not accept mqtt.tls.cert_file",
    "ACCESS_DENIED": "does not accept mqtt.tls.cert_file",
    "HANDSHAKE_FAILURE": "ends the TLS handshake: it may want a client certificate "
    "(mqtt.tls.cert_file), or a version of TLS other than 1.2 and 1.3",
    "PROTOCOL_VERSION": "speaks another version of TLS than 1.2 and 1.3",
    "UNSUPPORTED_PROTOCOL": "speaks another version of TLS than 1.2 and 1.3",
    "UNRECOGNIZED_NAME": "has no certificate for the name in mqtt.host",
}
"""What a broker's TLS alert means, by the end of OpenSSL's name for it."""


def refusal(reason: str, client_id: str) -> str:
    """Explain a broker's answer to the greeting; `reason` is MQTT 5's name for it."""
    hint = REFUSALS.get(reason)
    words = f"refuses the connection: {reason}"
    return words if hint is None else f"{words}; {hint.format(client_id=client_id)}"


def failure(error: BaseException) -> str:
    """Explain the error with which a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = CERTIFICATE.get(error.verify_code, "cannot be trusted")
        return f"its certificate {problem} (certificate verify failed: {error.verify_message})"
    if isinstance(error, ssl.SSLError) and (alert := _alert(error)) is not None:
        return alert
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}: is mqtt.host right, and does this network resolve names?"
    if isinstance(error, ConnectionRefusedError):
        return "Connection refused: is the broker running, and mqtt.port right?"
    if isinstance(error, TimeoutError):
        return "no answer: is mqtt.host right, is that machine on, does a firewall stand between?"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, OSError) and text in ("Network is unreachable", "No route to host"):
        return f"{text}: is this machine in a network, and mqtt.host right?"
    return text


def _alert(error: ssl.SSLError) -> str | None:
    reason = error.reason or ""
    return next((words for end, words in ALERTS.items() if reason.endswith(end)), None)


def is_silence(error: BaseException) -> bool:
    """Whether `error`, from a TLS handshake, gives no reason: only `diagnose` may find one."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, ssl.SSLError):
        return _alert(error) is None
    # a machine that does not answer at all is reported as such by `failure`
    handshake = isinstance(error, TimeoutError) and "handshake" in str(error)
    return handshake or isinstance(error, ConnectionResetError | BrokenPipeError)


def diagnose(host: str, port: int, context: ssl.SSLContext | None) -> str:
    """Find out what listens at a port that ended a connection without an answer, or stayed silent.

    Connects once or twice more, without user name and password.
    """
    plain = _answer(host, port, None)
    if context is None:
        return _describe_plain(plain, host, port)
    if plain[:1] == b"\x20":
        return f"{NO_TLS}, but MQTT without: set mqtt.tls.enabled: false, or an mqtt.port with TLS"
    try:
        answer = _answer(host, port, context)
    except OSError as error:
        if not is_silence(error):
            return failure(error)
        kind = _server_kind(plain)
        return f"{NO_TLS}{kind and f', it is {kind}'}; {WRONG_PORT}"
    return _describe(answer, "by TLS")


def _describe_plain(answer: bytes, host: str, port: int) -> str:
    if answer[:2] == b"\x15\x03" or (not _server_kind(answer) and _speaks_tls(host, port)):
        return "speaks TLS on this port: set mqtt.tls.enabled: true, or an mqtt.port without TLS"
    return _describe(answer, "")


def _describe(answer: bytes, how: str) -> str:
    if answer[:4] == b"\x20\x02\x00\x01":
        return "does not speak MQTT 3.1.1: set mqtt.version to auto"
    if answer[:1] == b"\x20":  # it answers this greeting, but not the device's own
        return "ends the connection at the device's greeting; see the broker's log"
    kind = _server_kind(answer)
    if kind:
        return f"{NOT_MQTT}: it is {kind}; {WRONG_PORT}"
    silent = f"{SILENT}{how and f' {how}'}" if not answer else NOT_MQTT
    return f"{silent}; is it a broker? {WRONG_PORT}"


def _server_kind(answer: bytes) -> str:
    """Return the kind of server that answers like this; empty if unknown."""
    beginnings = {b"HTTP/": "a web server", b"<": "a web server", b"SSH-": "an SSH server",
                  b"RTSP/": "a camera (RTSP)", b"INFO {": "NATS, not its MQTT port",
                  b"AMQP": "AMQP, not MQTT"}  # fmt: skip
    return next((kind for start, kind in beginnings.items() if answer.startswith(start)), "")


def _answer(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """Return the server's first bytes; none if it is silent or hangs up.

    With a `context`, raises OSError if TLS fails.
    """
    with contextlib.ExitStack() as stack:
        try:
            link = stack.enter_context(socket.create_connection((host, port), TIMEOUT_S))
            if context is None:
                return _first_bytes(link)
        except OSError:
            return b""
        secure = stack.enter_context(context.wrap_socket(link, server_hostname=host))
        secure.settimeout(1.0)
        with contextlib.suppress(TimeoutError):  # TLS 1.3 refuses a client certificate only now
            return secure.recv(64)
        return _first_bytes(secure)


def _first_bytes(link: socket.socket) -> bytes:
    for request in (HELLO, b"\r\n\r\n"):  # a web server may wait for a line end
        link.settimeout(TIMEOUT_S / 2)
        link.sendall(request)
        with contextlib.suppress(TimeoutError):
            return link.recv(64)
    return b""


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as link:
            context.wrap_socket(link, server_hostname=host).close()
    except ssl.SSLError as error:
        return _alert(error) is not None  # an alert is an answer by TLS
    except OSError:
        return False
    return True
