"""What the README and the privacy kit say is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_messages import window_message

from edge.config import Config

README = (ROOT / "README.md").read_text()
KIT = sorted((ROOT / "docs" / "privacy").glob("*.md"))
GUIDES = sorted((ROOT / "docs").glob("*.md"))


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


@pytest.mark.parametrize("page", KIT + GUIDES, ids=lambda page: page.stem)
def test_files_named_in_the_documents_exist(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"(?:tests|tools)/\w+\.py|docs/\w+\.yaml", text):
        assert (ROOT / name).exists(), name


def test_files_and_targets_named_exist() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"tools/\w+\.py", README):
        assert (ROOT / name).exists(), name
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
