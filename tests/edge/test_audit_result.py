"""The result of an audit reaches `info`, and nothing that is not one does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import wiring
from edge.audit.command import _keep
from edge.audit.report import Report, Share
from edge.audit_result import NAME, AuditResult, load_audit
from edge.config import Config, load_config
from edge.delivery.messages import iso
from tests.support import contract
from tests.support.commands import NO_ESTIMATES

RESULT = AuditResult("2026-03-03T16:20:00Z", tapped=140, counted=137, missed=6, invented=3)


def report(tapped: int) -> Report:
    nobody = Share(0, 0)
    return Report(Share(1, tapped), Share(0, tapped - 1), {}, nobody)


@pytest.fixture
def config(configure: Callable[..., Path], tmp_path: Path) -> Config:
    state = str(tmp_path / "new" / "state")
    return load_config(configure(classifier=NO_ESTIMATES, state_dir=state), source="auto")


def test_a_result_is_published_in_info(config: Config) -> None:
    info = wiring.info(config, wiring.models(config))
    assert "audit" not in info
    RESULT.keep(config.state_dir)
    message = wiring.messages(config).info(wiring.info(config, wiring.models(config)))
    contract.validate(message.topic, message.payload)
    assert json.loads(message.payload)["audit"] == {
        "at": "2026-03-03T16:20:00Z", "tapped": 140, "counted": 137, "missed": 6, "invented": 3,
    }  # fmt: skip


def test_the_command_keeps_it(config: Config) -> None:
    assert _keep(config, report(9)) == "kept      nothing: fewer than 10 people were tapped"
    assert load_audit(config.state_dir) is None
    assert _keep(config, report(10)).startswith(f"kept      in {config.state_dir}, for the topic")
    kept = load_audit(config.state_dir)
    assert kept is not None
    assert iso(0) < kept.pop("at")
    assert kept == {"tapped": 10, "counted": 9, "missed": 1, "invented": 0}


def test_a_result_that_cannot_be_kept_is_reported(config: Config) -> None:
    config.state_dir.parent.mkdir()
    config.state_dir.write_text("")
    assert _keep(config, report(50)) == f"kept      nothing: {config.state_dir}: File exists"


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "7", "null", "\xff", "[" * 9999, '{"at": "2026-03-03T16:20:00Z"}',
        json.dumps({"at": "yesterday", "tapped": 1, "counted": 1, "missed": 0, "invented": 0}),
        json.dumps({"at": "2026-03-03T16:20:00Z", "tapped": "1", "counted": 1, "missed": 0,
                    "invented": 0}),
        json.dumps({"at": "2026-03-03T16:20:00Z", "tapped": True, "counted": 1, "missed": 0,
                    "invented": -1}),
        json.dumps({"at": None, "tapped": 1, "counted": 1, "missed": 0, "invented": 0}),
        json.dumps({"at": "2026-03-03T16:20:00Z", "tapped": 1, "counted": 1, "missed": 0,
                    "invented": 0, "who": "x"}),
    ],
)  # fmt: skip
def test_what_is_no_result_is_not_published(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text, encoding="latin-1")
    assert load_audit(tmp_path) is None
