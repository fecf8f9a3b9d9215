"""Reads a YAML file strictly and reports what is wrong with it."""

from pathlib import Path
from typing import Any

import yaml

from edge.errors import ConfigError

HINT = (
    "indent with spaces, all keys of a section alike; put values with special characters in quotes"
)
"""How to avoid most mistakes in YAML."""


def read_keys(path: Path) -> dict[str, Any]:
    """The keys and values in `path`; empty if the file is.

    Raises ConfigError that names the line but does not quote it: it may hold a secret.
    """
    try:
        content = path.read_bytes()
        data = yaml.load(content, Loader=_UniqueKeyLoader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{path}: {_unreadable(content, error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # str(error) would quote the line
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        if isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError):
            reason += f"\n  {HINT}"
        raise ConfigError(f"{path}: is not valid YAML{where}: {reason}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold keys and values, such as site: lobby")
    return data


def _unreadable(content: bytes, error: yaml.reader.ReaderError) -> str:
    """Where and why bytes are not YAML's text: another encoding, or zeros after a power cut."""
    if error.encoding == "unicode":  # they could be decoded: the position counts characters
        before = content.decode(errors="replace")[: error.position]
        reason = f"the character U+{error.character:04X} is not text"
    else:
        before = content[: error.position].decode(errors="replace")
        reason = "is not UTF-8; save it in that encoding"
    return f"line {before.count(chr(10)) + 1}: {reason}"


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses duplicate keys; PyYAML would keep the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key_node, _ in node.value:
            key = key_node.value
            if isinstance(key, str) and key in keys:
                mark = key_node.start_mark
                raise yaml.MarkedYAMLError(None, None, f"duplicate key {key!r}", mark)
            if isinstance(key, str):
                keys.add(key)
        return super().construct_mapping(node, deep)
