"""Runs the tools as users do, waits for conditions, and skips tests that cannot run here."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.support import preloaded
from tests.support.paths import ROOT

NO_ESTIMATES = {"gender": False, "model": "none.tflite"}
"""The configuration's `classifier` if people are only counted; then no model is needed."""


def tool(
    name: str, *args: str | Path, timeout_s: float = 900, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the workstation's tools as a user does."""
    return preloaded.run(
        [sys.executable, f"tools/{name}.py", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        env=os.environ | environment,
    )


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60) -> None:
    """Return once `condition()` is true; fail with `what` if it never is."""
    begin = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - begin
        if waited_s > timeout_s:
            pytest.fail(f"after {timeout_s} s: {what}")
        time.sleep(min(0.02 + waited_s / 20, 0.2))  # to ask costs time that others need


def without(reason: str) -> NoReturn:
    """Skip a test that cannot run here; in CI, where it must be able to, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
