"""Turns rows of a table into the config.yaml of each device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from edge.config import Config
from edge.config_errors import NO_FILE, mistakes
from edge.errors import ConfigError
from edge.strict_yaml import read_keys
from tools.provisioning.device_table import Row, Table, raise_mistakes

NAMES = ("device", "site")
"""Columns that are text, whatever it looks like: `no` and `007` are names."""
FROM_BUNDLE = ("mqtt.tls.ca_file", "mqtt.tls.cert_file", "mqtt.tls.key_file")
"""Keys that the bundle's own certificates give."""
RESERVED = ("dashboard", "homeassistant")
"""Users that the shipped access rules let read what all devices publish."""
DEFAULTS = {"mqtt.port": 8883, "state_dir": "/var/lib/edge-tally"}
"""For keys that neither the table nor the common configuration gives."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device with its configuration."""

    name: str
    site: str
    config: str
    """config.yaml."""


def read_common(path: Path | None) -> dict[str, Any]:
    """What all devices have in common. Raises ConfigError."""
    if path is None:
        return {}
    keys = read_keys(path)
    given = [key for key in ("device", *FROM_BUNDLE) if _get(keys, key) is not None]
    if given:
        raise ConfigError(f"{path}: {', '.join(given)}: leave it out; each bundle has its own")
    raise_mistakes(path, _mistakes(keys))
    return keys


def devices(path: Path, table: Table, common: Mapping[str, Any]) -> list[Device]:
    """The devices of a table at `path`. Raises ConfigError that lists all mistakes."""
    problems = [f"line 1, column {text}" for text in _column_mistakes(table.columns)]
    if "site" not in table.columns and "site" not in common:
        problems.append("line 1: has no column `site`; a column or --config must give it")
    if "mqtt.host" not in table.columns and _get(common, "mqtt.host") is None:
        problems.append("line 1: has no column `mqtt.host`; a column or --config must give it")
    raise_mistakes(path, problems)
    made: list[Device] = []
    lines: dict[str, tuple[str, int]] = {}
    """Name and line of devices, by their names in lower case."""
    for row in table.rows:
        name = row.cells.get("device", "")
        other, line = lines.setdefault(name.lower(), (name, row.line))
        if line != row.line and name:
            how = "is in" if other == name else f"differs only by case from {other} in"
            problems.append(f"line {row.line}, column device: {name}: {how} line {line}, too")
        settings, wrong = _settings(row, common)
        problems += wrong
        if not wrong:
            text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
            made.append(Device(name, settings["site"], text))
    raise_mistakes(path, problems)
    return made


def _column_mistakes(columns: Iterable[str]) -> Iterable[str]:
    for column in columns:
        keys, schema = column.split("."), Config
        for key in keys:
            fields: dict[str, Any] = getattr(schema, "model_fields", {})
            if key not in fields:
                allowed = f"; allowed here: {', '.join(sorted(fields))}" if fields else ""
                yield f"{column}: unknown key{allowed}"
                break
            schema = fields[key].annotation
        else:
            if column in FROM_BUNDLE:
                yield f"{column}: leave it out; each bundle has its own"
            elif isinstance(schema, type) and issubclass(schema, BaseModel):
                yield f"{column}: is a section; name one of its keys, such as {column}." + next(
                    iter(schema.model_fields)
                )


def _settings(row: Row, common: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The configuration of a row, and a line for each mistake in it."""
    where = f"line {row.line}"
    missing = [name for name in NAMES if name not in row.cells and name not in common]
    if _get(common, "mqtt.host") is None and "mqtt.host" not in row.cells:
        missing.append("mqtt.host")
    if missing:
        return {}, [f"{where}, column {name}: is empty" for name in missing]
    values = {column: _value(column, text) for column, text in row.cells.items()}
    settings = _merged(common, values)
    lines = _mistakes(settings)
    if lines:  # text may look like a number: a user name of digits, a version
        as_text = {column: row.cells[column] for column in values if _names(lines, column)}
        again = _merged(common, values | as_text)
        if not _mistakes(again):
            settings, lines = again, []
    if row.cells["device"].lower() in RESERVED:
        lines.append(
            f"device: {row.cells['device']}: the broker's access rules keep this name for a reader"
        )
    if _get(settings, "mqtt.tls.enabled") is not True:
        lines.append("mqtt.tls.enabled: must be true: a certificate is the login")
    columns = [column for column in row.cells if _names(lines, column)]
    return settings, [
        f"{where}, column {line}" if any(_names([line], column) for column in columns)
        else f"{where}: {line}"
        for line in lines
    ]  # fmt: skip


def _names(lines: Iterable[str], column: str) -> bool:
    """Whether one of the lines is about the value in this column."""
    return any(line.startswith((f"{column}:", f"{column}.")) for line in lines)


def _value(column: str, text: str) -> Any:
    if column in NAMES:
        return text
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # such as the 31st of February
        return text


def _merged(common: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`common` with the values of a row, by dotted keys, and defaults for what both leave out."""
    settings: dict[str, Any] = {name: values[name] for name in NAMES if name in values}
    settings |= {key: value for key, value in _copied(common).items() if key not in settings}
    for key, value in values.items():
        _set(settings, key, value)
    for key, value in (DEFAULTS | {"mqtt.tls.enabled": True}).items():
        if _get(settings, key) is None:
            _set(settings, key, value)
    return settings


def _copied(section: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose sections are copies, too."""
    return {
        key: _copied(value) if isinstance(value, Mapping) else value
        for key, value in section.items()
    }


def _get(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None if a part is missing or not a section."""
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _set(settings: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        if not isinstance(settings.get(section), dict):
            settings[section] = {}
        settings = settings[section]
    settings[last] = value


def _mistakes(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with a configuration, but for files that only the device need have."""
    try:
        Config.model_validate({"detector": {}, "classifier": {}, "mqtt": {}} | dict(settings))
    except ValidationError as error:
        return mistakes(error, Config, ignored=NO_FILE)
    return []
