"""Print what the daemon needs from a package index, a line each, as pip reads it."""

import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
print(*PROJECT["dependencies"], sep="\n")
