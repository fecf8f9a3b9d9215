"""Fetch a picture from the web."""

import http.client
import queue
import string
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email.message import Message
from typing import IO
from urllib.request import Request

import edge
from edge.sources.pictures import PictureError

MAX_BYTES = 32 * 2**20
"""Largest picture to fetch; a large camera's JPEG has about 20 MiB."""
MAX_REDIRECTS = 5
CHUNK_BYTES = 2**16


def is_url(source: str) -> bool:
    return "://" in source


def fetch(url: str, timeout_s: float) -> bytes:
    """The bytes of the picture at `url`. Raises PictureError.

    `timeout_s` limits the whole fetch. It runs in a thread, which is abandoned when the time is up,
    because a socket's timeout covers neither DNS nor headers that arrive letter by letter.
    """
    answers: queue.SimpleQueue[bytes | PictureError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_answer(url, timeout_s))
        except PictureError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise PictureError(f"took longer than {timeout_s:g} s") from None
    if isinstance(answer, PictureError):
        raise answer
    return answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> object:
        """Follow up to `MAX_REDIRECTS`, only to http and https; fail with one line."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except urllib.error.HTTPError as error:
            if error.fp is fp:  # the redirect was refused; otherwise the next address failed
                error.close()
                reason = f"redirects more than {MAX_REDIRECTS} times, in a circle, or off the web"
                raise PictureError(reason) from error
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """An opener for http and https alone: no files, no ftp, no `data:` URLs."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    # some sites refuse requests without a user agent
    opener.addheaders = [("User-Agent", f"edge-tally/{edge.__version__}")]
    return opener


def _answer(url: str, timeout_s: float) -> bytes:
    if not url.lower().startswith(("http://", "https://")):
        raise PictureError("only http:// and https:// are fetched")
    try:
        # as browsers do with characters that people type, such as ü or a space
        url = urllib.parse.quote(url, safe=string.punctuation)
        with _opener().open(url, timeout=timeout_s) as response:
            return _body(response.headers, response.read)
    except urllib.error.HTTPError as error:
        error.close()
        raise PictureError(f"answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise PictureError(f"cannot be fetched ({error.reason})") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise PictureError(f"cannot be fetched ({reason})") from error


def _body(headers: Message, read: Callable[[int], bytes]) -> bytes:
    if headers.get_content_maintype() != "image":
        raise PictureError(f"is not a picture but {headers.get_content_type()}")
    length = headers.get("Content-Length", "")
    declared = int(length) if length.isdecimal() else None
    data = bytearray()
    if declared is None or declared <= MAX_BYTES:
        while len(data) <= MAX_BYTES and (chunk := read(CHUNK_BYTES)):
            data += chunk
    if max(declared or 0, len(data)) > MAX_BYTES:
        raise PictureError(f"has more than {MAX_BYTES // 2**20} MiB")
    if declared is not None and len(data) < declared:
        raise PictureError(f"ended after {len(data)} of {declared} bytes")
    return bytes(data)
