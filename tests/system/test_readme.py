"""What the README and the privacy kit say is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.config import Config
from tests.conftest import ROOT
from tests.edge.delivery.test_messages import window_message

README = (ROOT / "README.md").read_text()
KIT = sorted((ROOT / "docs" / "privacy").glob("*.md"))
PAGES = [ROOT / "README.md", *KIT, *(ROOT / "docs").glob("*.md"), *(ROOT / "models").glob("*.md")]
CODE = [file for room in ("edge", "tools", "tests") for file in (ROOT / room).rglob("*.py")]


def shape(value: Any) -> Any:
    """Keys and kinds of values, all the way down."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value)


def test_the_window_shown_is_a_window() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert shape(json.loads(block)) == shape(json.loads(window_message().payload))


def keys(text: str) -> set[tuple[str, str]]:
    """Section and key of what a text names of the configuration."""
    named = re.findall(r"`(\w+)\.(\w+)[`:]", text)
    return {(section, key) for section, key in named if section in Config.model_fields}


def test_keys_named_exist() -> None:
    pages = [README, *(page.read_text() for page in KIT)]
    named = set().union(*map(keys, pages))
    assert {("privacy", "min_people"), ("classifier", "gender")} <= named
    for section, key in named:
        section_type: Any = Config.model_fields[section].annotation
        assert key in section_type.model_fields, f"{section}.{key}"


def headings(page: Path) -> set[str]:
    """As links name them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", page.read_text())
    for link, heading in links:
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not heading or heading in headings(target), f"{link}#{heading}"


def test_files_and_targets_named_exist() -> None:
    for file in [*PAGES, *CODE, ROOT / "config.yaml", ROOT / "Makefile"]:
        for name in re.findall(r"\b(?:tests|tools|docs)/\w+\.(?:py|md|yaml)", file.read_text()):
            assert (ROOT / name).exists(), f"{file.name}: {name}"
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (setup|demo|test|\w+)`?\n", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_defaults_told_are_the_defaults() -> None:
    config = Config.model_construct()
    assert f"`privacy.min_people` ({config.privacy.min_people})" in README
    assert f"`privacy.max_hold` ({config.privacy.max_hold / 60:.0f} minutes)" in README
    assert f"counts of one window ({config.window.seconds:g} s)" in README
    flow = (ROOT / "docs" / "privacy" / "data-flow.md").read_text()
    assert f"`tracker.patience` ({config.tracker.patience:g} s; up to 60)" in flow
    assert f"`window.seconds` ({config.window.seconds:g})" in flow
    assert f"`privacy.max_hold` ({config.privacy.max_hold:g})" in flow
    assert f"fewer than `privacy.min_people` people ({config.privacy.min_people})" in flow
