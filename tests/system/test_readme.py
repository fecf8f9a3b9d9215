"""What the README and the privacy kit say is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.config import Config
from edge.errors import ConfigError, EdgeError
from tests.edge.delivery.test_messages import window_message
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
KIT = sorted((ROOT / "docs" / "privacy").glob("*.md"))
PAGES = sorted(
    page
    for folder in (".", "docs", "docs/decisions", "docs/fleet", "docs/privacy", "models")
    for page in (ROOT / folder).glob("*.md")
)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", page.read_text())
    for link, heading in links:
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not heading or heading in headings(target), f"{link}#{heading}"


def test_files_and_targets_named_exist() -> None:
    for file in [*PAGES, *CODE, ROOT / "config.yaml", ROOT / "Makefile"]:
        text = file.read_text()
        named = re.findall(r"\b(?:edge|tests|tools|docs)/(?:\w+/)*\w+\.(?:py|md|yaml)", text)
        modules = re.findall(r"python -m ((?:edge|tests|tools)\.[.\w]+)", text)
        for name in named:
            assert (ROOT / name).exists(), f"{file.name}: {name}"
        for module in modules:
            path = ROOT / module.replace(".", "/")
            runs = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
            assert runs, f"{file.name}: {module}"
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


def test_messages_explained_are_messages() -> None:
    """What the table of troubles quotes stands in the code, so that a reader can find it."""
    table = README.split("| message | what to do |")[1].split("\n\n")[0]
    quoted = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(quoted) > 10
    others = [ROOT / "tools" / "dev" / "make-venv", *(ROOT / "edge").rglob("*.py")]
    text = "".join(file.read_text() for file in {*CODE, *others})
    whole = re.sub(r'"\s*\n\s*f?"', "", text)  # strings that go on in the next line
    from_elsewhere = {"make: command not found", ".venv/bin/python: No such file or directory"}
    for message in (
        set(quoted) - from_elsewhere - {"Connection refused", "config.yaml: cannot be read"}
    ):
        assert message in whole, message


def test_exit_codes_told_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ", README.split("### Exit codes")[1], re.MULTILINE)
    assert rows == ["0", "1", "2", "130"]
    assert (EdgeError.exit_code, ConfigError.exit_code) == (1, 2)


def test_the_model_is_as_right_as_its_card_says() -> None:
    card = (ROOT / "models" / "MODEL_CARD.md").read_text()
    (right,) = re.findall(r"UTKFace test, ages 12 and over \| 1 833 \| ([\d.]+ %)", card)
    assert f"right for {right}" in README.replace("\n  ", " ")
    readme = " ".join(README.split())
    women, men = (
        re.findall(rf"UTKFace, {gender} \| [\d ]+ \| ([\d.]+ %)", card)[0]
        for gender in ("women", "men")
    )
    assert f"{women} of the women, {men} of the men" in readme
    for fact in ("one person in 50", "74 %"):
        assert fact in " ".join(card.split())
        assert fact in readme
