"""Python that is generated from docs/asyncapi.yaml has a name for each type, and reads messages."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import MadeOnce
from tests.edge.delivery.test_messages import WITH_AGES, window_message
from tests.support.contract import contract
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def source(made_once: MadeOnce) -> Path:
    """What the command of docs/dashboards.md writes."""

    def generate(folder: Path) -> None:
        text = (ROOT / "docs" / "dashboards.md").read_text().replace("\\\n", " ")
        (command,) = re.findall(r"^\.venv/bin/datamodel-codegen .*", text, re.MULTILINE)
        name, *words = shlex.split(command)
        assert words[-1] == "tally.py"
        run = subprocess.run(
            [Path(sys.executable).with_name(Path(name).name), *words[:-1], folder / "tally.py"],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr

    return made_once("generated types", generate) / "tally.py"


@pytest.fixture(scope="module")
def tally(source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("tally", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tally"] = module  # where pydantic looks for the types that are named
    spec.loader.exec_module(module)
    return module


def test_each_type_has_the_name_of_its_schema(source: Path) -> None:
    tree = ast.parse(source.read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert len({name.lower() for name in names}) == len(names)
    payloads = {f"{name.title() * 2}Payload" for name in contract()["channels"]}
    assert {*names} == {*contract()["components"]["schemas"]} | payloads


def test_messages_are_read(tally: ModuleType) -> None:
    for channel in contract()["channels"].values():
        (message,) = channel["messages"].values()
        model = getattr(tally, message["payload"]["$ref"].rpartition("/")[2])
        for example in message["examples"]:
            assert as_published(model, example["payload"]) == example["payload"]
    window = tally.TallyWindow.model_validate_json(window_message(WITH_AGES).payload)
    assert window.ages.field_21_35.root == 4


def as_published(model: Any, payload: Any) -> Any:
    """The payload again, after it was read."""
    if issubclass(model, Enum):
        return model(payload).value
    read = model.model_validate(payload)
    return read.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_what_is_no_message_is_refused(tally: ModuleType) -> None:
    text = window_message().payload
    for wrong in (text.replace('"seq":1042', '"seq":-1'), text.replace('"seq"', '"sequence"')):
        assert wrong != text
        with pytest.raises(ValueError, match="seq"):
            tally.TallyWindow.model_validate_json(wrong)
