"""Reads a YAML file strictly and says what is wrong with it."""

from pathlib import Path
from typing import Any

import yaml

from edge.errors import ConfigError

HINT = "indent with spaces, the keys of a section alike; put odd characters in quotes"
"""How to avoid most mistakes in YAML."""


def read_keys(path: Path) -> dict[str, Any]:
    """The keys and values in `path`; none if it is empty.

    Raises ConfigError that names the line but does not quote it: it may hold a secret.
    """
    try:
        text = path.read_bytes()
        data = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{path}: {_unreadable(text, error)}") from error
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


def _unreadable(text: bytes, error: yaml.reader.ReaderError) -> str:
    """Where and why bytes are not text for YAML, such as what Windows or a power cut left."""
    if error.encoding == "unicode":  # they could be decoded: the position counts characters
        before = text.decode(errors="replace")[: error.position]
        why = f"the character U+{error.character:04X} is not text"
    else:
        before = text[: error.position].decode(errors="replace")
        why = "is not UTF-8; save it in that encoding"
    return f"line {before.count(chr(10)) + 1}: {why}"


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that comes twice; YAML would keep the last value."""

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
