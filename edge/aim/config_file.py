"""Writes zones into config.yaml, whose comments and other lines stay as they are."""

from pathlib import Path

import yaml

from edge.atomic_file import replace_verified
from edge.config import Zones, load_config
from edge.errors import ConfigError

DECIMALS = 4
"""Of a corner's fractions: a tenth of a pixel in a picture 1000 pixels wide."""


def rounded(zones: Zones) -> Zones:
    """The same zones, with corners of `DECIMALS` decimals."""

    def near(polygon: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((round(x, DECIMALS), round(y, DECIMALS)) for x, y in polygon)

    return Zones(
        region=None if zones.region is None else near(zones.region),
        excluded=tuple(near(polygon) for polygon in zones.excluded),
    )


def zones_yaml(zones: Zones) -> str:
    """The section `zones` of config.yaml, ready to be pasted."""
    lines = [f"  {key}: {value}\n" for key, value in _values(zones).items()]
    return "".join(["zones:\n", *lines])


def write_zones(path: Path, zones: Zones) -> None:
    """Replace the zones in the configuration at `path`, and nothing else of it.

    Raises ConfigError, and leaves the file as it was, if it cannot be written or if the result
    would not be the same configuration with these zones.
    """
    path = path.resolve()  # a link stays one
    expected = load_config(path).model_copy(update={"zones": zones})
    by_hand = f"{path}: its zones are written in an unusual way; paste them by hand"

    def verify(new: Path) -> None:
        try:
            is_right = load_config(new) == expected
        except ConfigError as error:
            raise ConfigError(by_hand) from error
        if not is_right:
            raise ConfigError(by_hand)

    try:
        text = path.read_bytes().decode()
        replace_verified(path, with_zones(text, zones).encode(), verify)
    except UnicodeError as error:
        raise ConfigError(f"{path}: is not UTF-8; paste the zones by hand") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


def with_zones(text: str, zones: Zones) -> str:
    """The text of a configuration with other zones, for a text that is valid YAML."""
    values = _values(zones)
    newline = "\r\n" if "\r\n" in text else "\n"
    section = _entries(yaml.compose(text, yaml.SafeLoader)).get("zones")
    if section is None:
        gap = "" if text.endswith("\n") or not text else newline
        return text + gap + zones_yaml(zones).replace("\n", newline)
    _, node = section
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        flow = ", ".join(f"{key}: {value}" for key, value in values.items())
        return _replaced(text, section, f"{{{flow}}}")
    present = _entries(node)
    # from the last one on, so that the places of those before it stay true
    for key in sorted(values.keys() & present.keys(), key=lambda key: -_start(present[key][1])):
        text = _replaced(text, present[key], values[key])
    start, indent = _start(node), " " * node.start_mark.column
    missing = [f"{key}: {values[key]}{newline}{indent}" for key in values if key not in present]
    return text[:start] + "".join(missing) + text[start:]


def _values(zones: Zones) -> dict[str, str]:
    """The keys of `zones` with their values on one line."""
    region = "null" if zones.region is None else _polygon(zones.region)
    return {
        "region": region,
        "excluded": "[" + ", ".join(_polygon(polygon) for polygon in zones.excluded) + "]",
    }


def _polygon(corners: tuple[tuple[float, float], ...]) -> str:
    return "[" + ", ".join(f"[{x:g}, {y:g}]" for x, y in corners) + "]"


Entry = tuple[yaml.Node, yaml.Node]
"""A key and its value."""


def _entries(node: yaml.Node | None) -> dict[str, Entry]:
    """The entries of a mapping by key."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value}


def _replaced(text: str, entry: Entry, value: str) -> str:
    """`text` with another value in this entry."""
    key, node = entry
    start, end = _start(node), _end(node)
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # it has lines of its own
        colon = text.index(":", key.end_mark.index) + 1
        return text[:colon] + f" {value}" + text[colon:start].rstrip() + text[end:]
    gap = " " if text[start - 1 : start] == ":" else ""  # after an empty value there is none
    return text[:start] + gap + value + text[end:]


def _start(node: yaml.Node) -> int:
    return int(node.start_mark.index)


def _end(node: yaml.Node) -> int:
    """Where a value ends: the mark of a block lies behind the comments and blank lines after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
