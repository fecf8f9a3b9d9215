"""Types of single values in config.yaml: names, hosts, files, sources, polygons."""

import ipaddress
import itertools
import re
import socket
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from edge import host
from edge.board import Defaults, defaults
from edge.config_errors import NO_FILE, REQUIRED_TYPES, quoted
from edge.hours import Hours
from edge.sources.name import DEMO, is_live

NAME = r"[A-Za-z0-9_-]{1,64}"
"""A site or device: one level of an MQTT topic, and part of entity ids."""
DISCOVERY_PREFIX = r"[^\s#+/$][^\s#+]{0,127}"
"""The beginning of an MQTT topic."""
MAX_CORNERS = 100
"""Of a polygon."""


def existing_file(path: Path) -> Path:
    """`path` if it is a file that can be read; raises ValueError otherwise."""
    try:
        if path.is_file():
            path.open("rb").close()
            return path
    except OSError as error:
        raise ValueError(f"{quoted(path)}: cannot be read ({error.strerror})") from error
    raise PydanticCustomError(
        NO_FILE,
        "no such file; relative paths start at {folder}",
        {"folder": str(Path.cwd())},
    )


def default_device() -> str:
    """The host name, with - for what a topic may not hold; `edge` if nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname()).strip("-")[:64] or "edge"


def board_defaults() -> Defaults:
    """What `auto` means on this machine."""
    return defaults(host.board_model())


def _auto(key: str, kind: type[int] | type[float]) -> BeforeValidator:
    """Replaces `auto` by what suits this machine's board."""

    def replace(value: Any) -> Any:
        if value == "auto":
            return getattr(board_defaults(), key)
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            raise PydanticCustomError("auto", f"{REQUIRED_TYPES[f'{kind.__name__}_type']}, or auto")
        return value

    return BeforeValidator(replace)


def _name(name: str) -> str:
    if re.fullmatch(NAME, name):
        return name
    raise PydanticCustomError(
        "name", "must be 1 to 64 letters, digits, - or _ (it is part of the MQTT topic)"
    )


def _discovery_prefix(prefix: str) -> str:
    if re.fullmatch(DISCOVERY_PREFIX, prefix):
        return prefix
    raise PydanticCustomError(
        "discovery_prefix",
        "must be the beginning of a topic: no / or $ in front, no spaces, # or +; "
        "null turns discovery off",
    )


def _host(host: str) -> str:
    try:
        if ":" in host:
            ipaddress.IPv6Address(host)
        host.encode("idna")
        if re.fullmatch(r"[^\s/@\\\x00-\x1f\x7f]{1,253}", host):
            return host
    except ValueError:
        pass
    raise ValueError(
        f"{quoted(host)}: must be a host name or an address, without mqtt://, user, port, brackets"
    )


def _web_address(address: str) -> str:
    """It is published, so it must hold no password."""
    try:
        url = urlsplit(address)
        _host(url.hostname or "")
        plain = url.username is None and re.fullmatch(r"[^\s\x00-\x1f]{1,500}", address)
        if url.scheme in ("http", "https") and plain and url.port != 0:
            return address
    except ValueError:
        pass
    raise ValueError(
        f"{quoted(address)}: must be an address such as "
        "http://dashboard.example:3000/, without user and password (it is published)"
    )


def _path(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError(f"{quoted(path)}: must not hold a NUL")
    return path


def _source(source: str) -> str:
    try:
        source.encode()
    except UnicodeError:  # OpenCV crashes on such a name
        raise ValueError(f"{quoted(source)}: its name must be UTF-8; rename it") from None
    if source.lower().startswith("file://"):
        raise ValueError(f"{quoted(source)}: write the path alone, without file://")
    if source == DEMO or is_live(source):
        return source
    path = Path(source)
    try:
        if source and path.is_file():
            path.open("rb").close()
            return source
        if source and (path.is_dir() or path.is_fifo()):
            return source
        is_device = bool(source) and path.exists()
    except OSError as error:
        raise ValueError(f"{quoted(source)}: cannot be read ({error.strerror})") from error
    except ValueError:  # a NUL in the name
        is_device = False
    if is_device:
        raise ValueError(f"{quoted(source)} is a device: write v4l2:{source}")
    raise ValueError(
        f"{quoted(source)}: no such file or folder; allowed are auto, demo, picamera2:N, "
        "v4l2:/dev/videoN, a URL, a video, GIF or picture file, a folder of pictures"
    )


def _polygon(value: Any) -> Any:
    """`value` if it is a polygon: pydantic would report each wrong number, and its own words."""
    if not _is_polygon(value):
        raise ValueError(
            f"{quoted(value)}: must be 3 to {MAX_CORNERS} corners, each [x, y] in fractions of the "
            "picture from 0 to 1: [[0, 0.2], [1, 0.2], [1, 1]]"
        )
    return value


def _polygons(value: Any) -> Any:
    if _is_polygon(value):
        raise ValueError("must be a list of polygons, not one: put one more [ ] around it")
    return value


def _is_polygon(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and 3 <= len(value) <= MAX_CORNERS
        and all(isinstance(corner, list | tuple) and len(corner) == 2 for corner in value)
        and all(type(part) in (int, float) and 0 <= part <= 1 for part in itertools.chain(*value))
    )


Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Source = Annotated[str, AfterValidator(_source)]
DiscoveryPrefix = Annotated[str, AfterValidator(_discovery_prefix)]
WebAddress = Annotated[str, AfterValidator(_web_address)]

AutoFps = Annotated[float, _auto("fps", float)]
AutoThreads = Annotated[int, _auto("threads", int)]
AutoFacePx = Annotated[int, _auto("min_face_px", int)]
"""Numbers for which `auto` stands, too."""

AnyPath = Annotated[Path, Field(strict=False), AfterValidator(_path)]
"""A path to which nothing need exist yet."""
ModelPath = Annotated[Path, Field(strict=False)]
"""A model, which must exist only if something asks for it."""
ExistingFile = Annotated[Path, Field(strict=False), AfterValidator(existing_file)]

QuietHours = Annotated[Hours, BeforeValidator(lambda text: Hours.parse(str(text)))]

Point = Annotated[tuple[float, float], Field(strict=False)]
Polygon = Annotated[tuple[Point, ...], Field(strict=False), BeforeValidator(_polygon)]
"""Corners, x and y in fractions of the picture from its top left corner."""
Polygons = Annotated[
    tuple[Polygon, ...], Field(strict=False, max_length=100), BeforeValidator(_polygons)
]
"""A list of polygons. One that is not in such a list is the likeliest mistake."""
