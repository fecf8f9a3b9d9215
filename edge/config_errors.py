"""Turns what pydantic reports into lines that say what to change in config.yaml."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

MAX_CHARS = 60
"""Longest excerpt of a value in a line, characters."""

REQUIRED_TYPES = {
    "bool_type": "must be on or off (true or false), without quotes",
    "float_type": "must be a number, without quotes and with a point for fractions",
    "int_type": "must be a whole number, without quotes",
    "model_type": "must hold keys, each indented below it",
    "path_type": "must be the path of a file or folder",
    "string_type": "must be text; put it in quotes if it looks like a number, a date, yes or no",
    "tuple_type": "must be a list, in [ ]",
}
"""What a value must be, by pydantic's name for the error about another type."""


NO_FILE = "path_not_file"
"""pydantic's name for the error about a file that does not exist."""


def mistakes(
    error: ValidationError, schema: type[BaseModel], *, ignored: str | None = None
) -> list[str]:
    """A line for each mistake, sorted: key path, value, what `schema` allows.

    Errors of the type `ignored` are left out.
    """
    errors = error.errors(include_url=False)
    return sorted(_line(details, schema) for details in errors if details["type"] != ignored)


def quoted(value: Any) -> str:
    """`value` as an error may quote it: short, and without what may be a password."""
    text = repr(str(value) if isinstance(value, Path) else value)
    if "@" in text:  # what stands before it may be a password
        text = "'***@" + text.rsplit("@", 1)[1]
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 3]}..."


def _line(details: Any, schema: type[BaseModel]) -> str:
    key = ".".join(_part(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        # the value of an unknown key may be a secret in the wrong place
        allowed = ", ".join(_keys(schema, details["loc"][:-1]))
        return f"{key}: unknown key; allowed here: {allowed}"
    reason = str(details["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    reason = REQUIRED_TYPES.get(details["type"], reason)
    if isinstance(details["input"], dict) or details["type"] == "value_error":
        return f"{key}: {reason}" if key else reason
    return f"{key}: {quoted(details['input'])}: {reason}"


def _part(part: Any) -> str:
    """A key or an index as a line may hold it."""
    text = str(part)
    return text if text.isprintable() and len(text) <= MAX_CHARS else quoted(text)


def _keys(schema: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys that the section at `location` allows."""
    for part in location:
        schema = schema.model_fields[part].annotation
    return sorted(schema.model_fields)
