"""Imports follow docs/architecture.md, and each outside library stays in its modules."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `?([^`\n]+)`?\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
"""The text below each heading, such as `edge/vision/`."""


def floors(folder: str) -> dict[str, int]:
    """The floor of each module and package that the page lists for a folder."""
    rows = re.findall(r"^\| (\d) \| (.+) \|$", SECTIONS[folder], re.MULTILINE)
    listed = [
        (re.match(r"`(\w+)`", entry.strip()), int(floor))
        for floor, entries in rows
        for entry in entries.split(" · ")
    ]
    return {match.group(1): floor for match, floor in listed if match}


EDGE, TOOLS = floors("edge/"), floors("tools/")
PACKAGES = ("sources", "vision", "tracking", "delivery", "web", "aim", "audit", "enrollment")
INSIDE = {package: floors(f"edge/{package}/") for package in PACKAGES}
LIBRARIES = {
    library: set(re.findall(r"`([\w.]+)`", row.partition("|")[2]))
    for row in re.findall(r"^\| (`.+) \|$", SECTIONS["Libraries"], re.MULTILINE)
    for library in re.findall(r"`(\w+)`", row.partition("|")[0])
}


def name_of(file: Path) -> str:
    """The dotted name of a module."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file): file for top in ("edge", "tools") for file in (ROOT / top).rglob("*.py")}


def imported(file: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def violation(importer: str, name: str) -> str | None:
    """What is wrong with an import, if anything is."""
    top, _, path = importer.partition(".")
    other_top, _, other_path = name.partition(".")
    if other_top == "tests" or (top, other_top) == ("edge", "tools"):
        return f"{importer} imports {name}"
    if other_top != top or not other_path:
        return None
    room, _, leaf = path.partition(".")
    other, _, other_leaf = other_path.partition(".")
    known = EDGE if top == "edge" else TOOLS
    if top == "tools" and room not in TOOLS:  # a command
        return None
    if room != other:
        below = other in known and known[other] < known[room]
    elif top == "edge":
        below = bool(other_leaf) and INSIDE[room][other_leaf] < INSIDE[room][leaf]
    else:
        below = True  # within a package of tools
    return None if below else f"{importer} imports {name}, which is not below it"


def test_the_page_lists_every_module() -> None:
    edge = ROOT / "edge"
    modules = {file.stem for file in edge.glob("*.py")} - {"__init__"}
    packages = {file.parent.name for file in edge.glob("*/__init__.py")}
    assert set(EDGE) == modules | packages
    for package, inside in INSIDE.items():
        assert set(inside) == {file.stem for file in (edge / package).glob("*.py")} - {"__init__"}
    tools = {folder.parent.name for folder in (ROOT / "tools").glob("*/__init__.py")}
    assert set(TOOLS) == tools


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_downward(module: str) -> None:
    if MODULES[module].name == "__init__.py":
        assert not list(imported(MODULES[module]))
        return
    wrong = [text for name in imported(MODULES[module]) if (text := violation(module, name))]
    assert not wrong


@pytest.mark.parametrize(
    ("importer", "name"),
    [
        ("edge.vision.detector", "edge.tracking.kalman"),
        ("edge.vision.crop", "edge.vision.blazeface"),
        ("edge.types", "edge.config"),
        ("edge.pipeline", "tools.live"),
        ("tools.datasets.readers", "tools.training.batches"),
        ("tools.datasets.readers", "tools.train"),
    ],
)
def test_an_import_that_runs_upward_is_found(importer: str, name: str) -> None:
    assert violation(importer, name)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_in_their_modules(library: str) -> None:
    users = {
        module.removeprefix("edge.")
        for module, file in MODULES.items()
        if module.startswith("edge.")
        and any(name.split(".")[0] == library for name in imported(file))
    }
    assert users == LIBRARIES[library]


def test_the_tools_import_nothing_in_a_circle() -> None:
    graph = {
        module: {name for name in imported(file) if name in MODULES and name != module}
        for module, file in MODULES.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for name in graph[module]:
                visit(name, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())
