"""What a source is written as: which kind it names, and how it may be shown."""

import re

LIVE = re.compile(r"auto|picamera2:[0-9]{1,3}|v4l2:/.+|[A-Za-z0-9+.-]+://.+")
"""Cameras and streams; any other name is a file or folder."""
DEMO = "demo"


def is_live(source: str) -> bool:
    """Whether `source` is a camera or stream, which may be lost and come back."""
    return LIVE.fullmatch(source) is not None


def is_recorded(source: str) -> bool:
    """Whether `source` is a file, a pipe or a folder, which ends and has a clock of its own."""
    return source != DEMO and not is_live(source)


def shown_source(source: str) -> str:
    """`source` as it may be shown: of a URL the scheme and the host, never what may be a secret.

    Cameras are known to want their password before the host, in the path and in the query.
    """
    scheme, separator, rest = source.partition("://")
    if not separator:
        return source
    authority, slash, path = rest.partition("/")
    host = authority.rsplit("@", 1)[-1]
    # an @ further on means that the password holds a slash
    plain = "@" not in path and re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", host)
    return f"{scheme}://{host if plain else '***'}{slash and '/...'}"
