"""TypeScript and Python that Modelina makes of docs/asyncapi.yaml: names for all types.

Run by tools/dev/check-types, which gets Modelina and TypeScript.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.contract import FILE, contract
from tests.support.paths import ROOT

MODULES = ROOT / "build" / "types" / "node_modules"


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    subprocess.run(
        ["node", ROOT / "tests" / "support" / "modelina.cjs", FILE, folder],
        env=os.environ | {"NODE_PATH": str(MODULES)}, check=True,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("language", ["typescript", "python"])
def test_types_have_the_names_of_their_schemas(types: Path, language: str) -> None:
    files = [file for file in (types / language).iterdir() if file.stem != "__init__"]
    names = [file.stem.replace("_", "").lower() for file in files]
    assert len({*names}) == len(names)
    # numbers and texts are no types of their own
    assert {*names} < {name.lower() for name in contract()["components"]["schemas"]}
    assert {"tallywindow", "health", "info", "durations", "peoplebygender"} <= {*names}
    for file in files:
        assert "anonymous" not in file.read_text().lower(), file.name


def test_python_can_be_compiled(types: Path) -> None:
    for file in (types / "python").glob("*.py"):
        compile(file.read_text(), file.name, "exec")


def test_typescript_takes_the_examples_and_nothing_else(types: Path) -> None:
    lines = []
    for number, channel in enumerate(contract()["channels"].values()):
        (message,) = channel["messages"].values()
        name = message["payload"]["$ref"].rpartition("/")[2]
        lines.append(f"import {{{name} as T{number}}} from './{name}';")
        lines += [
            f"export const e{number}_{index}: T{number} = {json.dumps(example['payload'])};"
            for index, example in enumerate(message["examples"])
        ]
    program = types / "typescript" / "examples.ts"
    assert compiled(program, "\n".join(lines)) == ""
    wrong = "\n".join(lines).replace('"seq"', '"sequence"')
    assert "does not exist in type 'TallyWindow'" in compiled(program, wrong)


def compiled(program: Path, text: str) -> str:
    """What the compiler complains about."""
    program.write_text(text)
    options = ("--noEmit", "--strict", "--target", "es2022", "--moduleResolution", "bundler")
    run = subprocess.run(
        [MODULES / ".bin" / "tsc", *options, "--module", "es2022", program],
        capture_output=True, text=True,
    )  # fmt: skip
    return run.stdout
