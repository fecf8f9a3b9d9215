"""Imports run downward only, and each outside library stays in its room."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

HOUSE = (ROOT / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"^\| (\d) \| (.+) \|$", HOUSE, re.MULTILINE)
FLOORS = [set(re.findall(r"`(\w+)`", rooms)) for _, rooms in sorted(ROWS)]
"""The rooms on each, from the lowest up, as the plan of the house tells."""
ROOMS = {
    "cv2": {"frames", "cameras", "scene", "idle", "faces", "classify", "crop", "__main__"},
    "paho": {"broker", "link", "connection", "subscriptions"},
    "libcamera": {"cameras"},
    "picamera2": {"cameras"},
    "sqlite3": {"database", "outbox"},
    "yaml": {"yamlfile"},
}
FILES = sorted((ROOT / "edge").glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            assert node.module is not None
            if node.module == "edge":
                yield from (f"edge.{alias.name}" for alias in node.names)
            else:
                yield node.module


def floor_of(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def test_every_file_has_a_floor() -> None:
    rooms = [room for floor in FLOORS for room in floor]
    assert sorted(rooms) == sorted({file.stem for file in FILES} - {"__init__"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports_run_downward(file: Path) -> None:
    if file.stem == "__init__":
        assert not list(imported(file))
        return
    for name in imported(file):
        root, _, room = name.partition(".")
        assert root not in ("tools", "tests"), f"{file.name} imports {name}"
        if root == "edge" and room:
            below = floor_of(room) < floor_of(file.stem)
            assert below, f"{file.name} imports {room}, which is not below it"


@pytest.mark.parametrize("library", ROOMS)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    users = {file.stem for file in FILES if any(n.split(".")[0] == library for n in imported(file))}
    assert users <= ROOMS[library]
    assert users, f"nothing imports {library}"
