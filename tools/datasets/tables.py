"""Read tables of labels, whatever separator, encoding and column names they use."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.datasets.archive import DataError

SEPARATORS = (",", ";", "\t", "|")
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SYNONYMS = {
    "file": (
        "file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_id",
        "image_name", "image_path", "img", "img_name", "img_path", "picture", "photo",
    ),
    "gender": ("gender", "sex", "label", "class"),
    "split": ("split", "subset"),
    "ethnicity": ("ethnicity", "race"),
}  # fmt: skip
"""Other names of a column, in lower case."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    number: int
    """Its last line in the file, from 1."""
    cells: dict[str, str]
    """Text of each column, stripped."""


def text_of(data: bytes, name: str) -> str:
    """The text of a table: UTF-8, UTF-16 or UTF-32, else Windows-1252. Raises DataError."""
    if data.startswith(b"PK\x03\x04"):
        raise DataError(f"data {name}: is an Excel workbook; save it as CSV")
    encoding = next((encoding for bom, encoding in BOMS if data.startswith(bom)), None)
    if encoding is None and b"\0" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    for candidate in (encoding or "utf-8", "cp1252"):
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            if encoding:
                break
    raise DataError(f"data {name}: is not text; save it as CSV in UTF-8")


def read(data: bytes, name: str, needed: Sequence[str], optional: Iterable[str] = ()) -> list[Row]:
    """The rows of a table with a header line, without blank ones. Raises DataError.

    Columns are found by their names, in any case, or by the words in `SYNONYMS`.
    """
    text = text_of(data, name)
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    hint = re.fullmatch(r'"?sep=(.)"?', first.strip())  # Excel reads and writes this
    if hint:
        header = next((line for line in lines[lines.index(first) + 1 :] if line.strip()), "")
    else:
        header = first
    separator = hint.group(1) if hint else _separator(header, needed)
    rows = _rows(text, separator, name)
    if hint:
        next(rows, None)
    try:
        _, names = next(rows)
    except StopIteration:
        raise DataError(f"data {name}: is empty") from None
    columns = _columns(names, [*needed, *optional], name)
    missing = [column for column in needed if column not in columns]
    if missing:
        synonyms = ", ".join(SYNONYMS.get(missing[0], missing[:1]))
        raise DataError(
            f"data {name}: lacks the columns {', '.join(missing)}; its first line has "
            f"{', '.join(map(repr, names))} ({missing[0]} may be called {synonyms})"
        )
    table = []
    for number, cells in rows:
        short = any(columns[column] >= len(cells) for column in needed)
        if short or any(cells[len(names) :]):
            raise DataError(
                f"data {name}: line {number}: has {len(cells)} cells, the first line {len(names)}; "
                "quote cells that hold a separator"
            )
        cells += [""] * (len(names) - len(cells))
        table.append(Row(number, {column: cells[index] for column, index in columns.items()}))
    return table


def _rows(text: str, separator: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank. Raises DataError."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"data {name}: line {reader.line_num}: cannot be read as a table ({error})"
        ) from error


def _separator(header: str, needed: Iterable[str]) -> str:
    """The separator that gives the most needed columns in the first line, then the most cells."""

    def fit(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header.strip()], delimiter=separator, skipinitialspace=True), [])
        names = {_plain(cell) for cell in cells}
        return sum(not names.isdisjoint(SYNONYMS.get(n, (n,))) for n in needed), len(cells)

    return max(SEPARATORS, key=fit)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _columns(names: Sequence[str], columns: Iterable[str], name: str) -> dict[str, int]:
    """Index of each column that is there: the one of exactly that name, else the only synonym."""
    plain = [_plain(header) for header in names]
    indices = {}
    for column in columns:
        matches = [index for index, header in enumerate(plain) if header == _plain(column)]
        if not matches:
            synonyms = SYNONYMS.get(column, ())
            matches = [index for index, header in enumerate(plain) if header in synonyms]
        if len(matches) > 1:
            several = " and ".join(repr(names[index]) for index in matches)
            raise DataError(
                f"data {name}: {several} may each be the column {column}; rename the right one "
                f"to {column}"
            )
        if matches:
            indices[column] = matches[0]
    return indices
