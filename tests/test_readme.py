"""What the README says is so."""

import json
import re
from typing import Any

from conftest import ROOT
from test_messages import window_message

from edge.config import Config

README = (ROOT / "README.md").read_text()


def shape(value: Any) -> Any:
    """Keys and kinds of values, all the way down."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value)


def test_the_window_shown_is_a_window() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert shape(json.loads(block)) == shape(json.loads(window_message().payload))


def test_keys_named_exist() -> None:
    sections = Config.model_fields
    named = re.findall(r"`(\w+)\.(\w+)`", README)
    keys = [(section, key) for section, key in named if section in sections]
    assert ("privacy", "min_people") in keys
    for section, key in keys:
        section_type: Any = sections[section].annotation
        assert key in section_type.model_fields, f"{section}.{key}"


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
