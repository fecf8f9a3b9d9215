"""docs/asyncapi.yaml describes what the code publishes, and fails what it must not."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge import wiring
from edge.config import load_config
from edge.health import Health
from edge.types import AGES, Message
from tests.edge.delivery.test_messages import WITH_AGES, messages, window_message
from tests.support.contract import contract, validate
from tests.support.paths import ROOT

NAMES = ("availability", "window", "state", "health", "info", "check")
QUEUE = {"outbox": 0, "unsaved": 0, "dropped": 0}
LINK = {"version": "5", "connects": 1, "refused": []}


def one_of_each() -> dict[str, Message]:
    """Return a message of each kind, by the last level of its topic."""
    maker, window = messages(), window_message()
    config = load_config(ROOT / "config.yaml", source="demo")
    examples = [
        maker.availability("online"),
        window,
        maker.state(window),
        maker.health(Health().report() | QUEUE | {"mqtt": LINK}),
        maker.info(wiring.info(config, wiring.models(config))),
        *maker.check(),
    ]
    return {message.topic.rsplit("/", 1)[1]: message for message in examples}


def test_every_topic_is_in_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert set(contract()["channels"]) == set(one_of_each()) == set(NAMES)
    for name, message in one_of_each().items():
        validate(message.topic, message.payload)
        address = contract()["channels"][name]["address"]
        assert address.format(site="store-7", device="lobby") == message.topic
        (binding,) = (
            operation["bindings"]["mqtt"]
            for operation in contract()["operations"].values()
            if operation["channel"]["$ref"] == f"#/channels/{name}"
        )
        assert (binding["qos"], binding["retain"]) == (message.qos, message.retain), name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seq", 0),
        ("epoch", "x"),
        ("people", {"total": 2, "female": 1}),
        ("coverage", 1.2),
        ("replayed", "no"),
        ("picture", "aGVsbG8="),
        ("model", None),
        ("ages", {"0-3": 1}),
        ("ages", dict.fromkeys((*AGES, "100+"), 1)),
        ("ages", dict.fromkeys(AGES, -1)),
        ("age_model", "x"),
        ("window", {"start": "2026-11-21 10:00", "end": "2026-11-21T10:01:00Z", "seconds": 60}),
    ],
)
def test_a_window_that_breaks_the_contract_is_noticed(key: str, value: Any) -> None:
    message = window_message(WITH_AGES)
    broken = json.dumps(json.loads(message.payload) | {key: value})
    with pytest.raises(AssertionError, match=key):
        validate(message.topic, broken)


def test_secrets_in_info_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    info = json.loads(one_of_each()["info"].payload)
    info["config"]["mqtt"]["username"] = "till"
    with pytest.raises(AssertionError, match="config"):
        validate("tally/v1/store-7/lobby/info", json.dumps(info))


def test_the_file_is_sound() -> None:
    document = contract()
    assert document["asyncapi"] == "3.0.0"
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
