"""Reads a table of devices: a CSV file as people and spreadsheets write it."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigError

SEPARATORS = ",;\t"
"""Which of them a spreadsheet writes depends on its language."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    line: int
    """Its last line in the file, from 1."""
    cells: dict[str, str]
    """By column, without those that are empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows, below a header of distinct columns."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read the table. Raises ConfigError that names file, line and column."""
    text = _read_text(path)
    lines = text.splitlines() or [""]
    separator = max(SEPARATORS, key=lines[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        _check_header(path, header)
        rows: list[Row] = []
        problems: list[str] = []
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if len(values) != len(header):
                problems.append(
                    f"line {reader.line_num}: has {len(values)} cells, the header {len(header)}"
                )
            named = dict(zip(header, values, strict=False))
            rows.append(Row(reader.line_num, {key: text for key, text in named.items() if text}))
    except csv.Error as error:
        raise ConfigError(f"{path}: line {reader.line_num}: is not CSV ({error})") from error
    raise_mistakes(path, problems)
    if not rows:
        raise ConfigError(f"{path}: has no line below its header")
    return Table(header, tuple(rows))


def raise_mistakes(path: Path, lines: list[str]) -> None:
    """Raises ConfigError that lists all mistakes in a file, if there are any."""
    if lines:
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError("\n  ".join([f"{path}: {count}", *lines]))


def _check_header(path: Path, header: tuple[str, ...]) -> None:
    doubles = sorted({name for name in header if header.count(name) > 1})
    if doubles:
        names = ", ".join(name or "(without a name)" for name in doubles)
        raise ConfigError(f"{path}: line 1: columns that are there twice: {names}")
    if "device" not in header:
        raise ConfigError(
            f"{path}: line 1: has no column `device`; the first line names the columns, "
            "such as device,site,mqtt.host"
        )


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is not a file")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}: line {line}: is not UTF-8; save it as 'CSV UTF-8' or as UTF-8"
        ) from error
