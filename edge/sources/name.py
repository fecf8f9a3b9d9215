"""What a source's name means, and the name without what may be secret."""

import re

LIVE = re.compile(r"auto|picamera2:[0-9]{1,3}|v4l2:/.+|[A-Za-z0-9+.-]+://.+")
"""Cameras and streams; any other name is a file or folder."""
DEMO = "demo"


def is_live(source: str) -> bool:
    """Whether `source` is a camera or stream, which may be lost and come back."""
    return LIVE.fullmatch(source) is not None


def is_recorded(source: str) -> bool:
    """Whether `source` is a file, a pipe or a folder: it ends, and has its own clock."""
    return source != DEMO and not is_live(source)


def redacted_source(source: str) -> str:
    """`source` as it may be shown: only the scheme and the host of a URL.

    The rest may be secret: some cameras take the password in the path or in the query.
    """
    scheme, separator, rest = source.partition("://")
    if not separator:
        return source
    authority, slash, path = rest.partition("/")
    host = authority.rsplit("@", 1)[-1]
    # an @ in the path means that the password contains a slash
    is_plain = "@" not in path and re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", host)
    return f"{scheme}://{host if is_plain else '***'}{slash and '/...'}"
