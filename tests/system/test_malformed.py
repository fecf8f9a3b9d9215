"""Configurations, most of them malformed: each is a clear error or a valid run.

`EXAMPLES=10000 pytest tests/system/test_malformed.py` tries more of them.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from edge.__main__ import main
from edge.config import Config, load_config
from edge.errors import ConfigError
from tests.support import contract
from tests.support.paths import ROOT

SHIPPED = (ROOT / "config.yaml").read_text()
EXAMPLES = int(os.environ.get("EXAMPLES", "1500"))
RUN_EVERY = 5
"""Of those that are valid, so many in one are run; all are read."""


def sections(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Paths of all keys."""
    for name, field in model.model_fields.items():
        yield (name,)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in sections(field.annotation))


KEYS = sorted(sections(Config))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 100)
    | st.floats()
    | st.floats(0, 2)
    | st.text(max_size=12)
    | st.sampled_from(["auto", "demo", "5", "/", "..", "config.yaml", "localhost", "a/b", "\0"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def trees(draw: st.DrawFn) -> bytes:
    """Keys that exist with values that may not be allowed there, and a few that do not exist."""
    tree: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from(KEYS), max_size=5)):
        here = tree
        for name in path[:-1]:
            here = here.setdefault(name, {})
            if not isinstance(here, dict):
                break
        else:
            here[path[-1]] = draw(values)
    if draw(st.integers(0, 9)) == 0:
        tree[draw(st.text(max_size=8))] = draw(values)
    return yaml.safe_dump(tree, allow_unicode=draw(st.booleans())).encode("utf-8", "surrogatepass")


SLIPS = [b"\n", b"\t", b": ", b"- ", b"#", b"{", b"[", b"&a ", b"*a", b"!!python/object:x ", b"0"]


@st.composite
def slips(draw: st.DrawFn) -> bytes:
    """The shipped file after a few slips of a hand or of a disk."""
    text = bytearray(SHIPPED.encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text) - 1))
        length = draw(st.integers(0, 8))
        text[place : place + length] = draw(st.binary(max_size=4) | st.sampled_from(SLIPS))
    return bytes(text)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 90 * number, np.uint8))
    return folder


def test_every_file_is_a_clear_error_or_a_valid_run(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path_factory.mktemp("config") / "any.yaml"
    refused, valid = 0, 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(content=trees() | slips() | st.binary(max_size=60))
    def check(content: bytes) -> None:
        nonlocal refused, valid
        path.write_bytes(content)
        try:
            load_config(path, source=str(pictures))
        except ConfigError as error:
            refused += 1
            first, *mistakes = str(error).splitlines()
            assert first.startswith(f"{path}: ")
            assert all(mistake.startswith("  ") for mistake in mistakes)
            return
        valid += 1
        if valid % RUN_EVERY == 0:
            command = ["run", "--stdout", "--config", str(path), "--source", str(pictures)]
            code = main(command)
            told = capsys.readouterr()
            if code != 0:  # only the model's own file tells that it knows no ages
                assert code == 2, told.err
                assert "estimates no age, but classifier.age is on" in told.err
                return
            lines = [json.loads(line) for line in told.out.splitlines()]
            for line in lines:
                contract.validate(line["topic"], line["payload"])
            assert lines[-1]["payload"] == "stopped"

    check()
    assert refused > EXAMPLES / 10
    assert valid > EXAMPLES / 10
