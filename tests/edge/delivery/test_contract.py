"""docs/asyncapi.yaml describes what the code publishes, and fails what it must not."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge import expected_error, wiring
from edge.conditions import Conditions
from edge.config import load_config
from edge.expected_error_fit import TYPICAL
from edge.health import Health
from edge.pause import PAUSE, RESUME
from edge.types import AGES, Message
from tests.edge.delivery.test_messages import WITH_AGES, messages, window_message
from tests.support.contract import contract, validate
from tests.support.paths import ROOT

NAMES = ("availability", "window", "state", "presence", "health", "info", "check")
QUEUE = {"outbox": 0, "unsaved": 0, "dropped": 0}
OPTIONAL = {"health": ("paused",)}
"""Keys that the code adds elsewhere."""
LINK = {"version": "5", "connects": 1, "refused": []}


def one_of_each() -> dict[str, Message]:
    """Return a message of each kind, by the last level of its topic."""
    maker, window = messages(), window_message()
    config = load_config(ROOT / "config.yaml", source="demo")
    examples = [
        maker.availability("online"),
        window,
        maker.state(window),
        maker.presence("3"),
        maker.health(Health().report() | QUEUE | {"mqtt": LINK}),
        maker.info(wiring.info(config, wiring.models(config))),
        *maker.check(),
    ]
    return {message.topic.rsplit("/", 1)[1]: message for message in examples}


def test_every_topic_is_in_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert set(contract()["channels"]) == {*NAMES, "command"}
    assert set(one_of_each()) == set(NAMES)
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


def test_the_device_listens_to_the_topic_of_the_contract() -> None:
    channel = contract()["channels"]["command"]
    assert channel["address"].format(site="store-7", device="lobby") == messages().command_topic
    for command in (PAUSE, RESUME):
        validate(messages().command_topic, command.decode())
    with pytest.raises(AssertionError, match="reboot"):
        validate(messages().command_topic, "reboot")


@pytest.mark.parametrize("factor", [1, 0.01])
def test_the_expected_error_keeps_to_the_contract(factor: float) -> None:
    """In conditions that it is known in, and in others."""
    values = {name: factor * value for name, value in TYPICAL.items()}
    error = expected_error.report(Conditions(30, **values))
    assert bool(error["outside"]) == (error["missed"] is None) == (factor < 1)
    health = Health().report() | QUEUE | {"mqtt": LINK, "expected_error": error}
    validate("tally/v1/store-7/lobby/health", messages().health(health).payload)


def test_a_window_from_before_attention_was_measured_keeps_to_the_contract() -> None:
    message = window_message(WITH_AGES)
    payload = json.loads(message.payload)
    del payload["attention_s"]
    validate(message.topic, json.dumps(payload))


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
        ("attention_s", {"mean": -1}),
        ("attention_s", {"mean": 1.0, "0-5": 1.5}),
        ("totals_by_age", {"0-3": 1}),
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


def test_examples_keep_to_the_contract() -> None:
    """And the first of each message has every key that is always there."""
    made = one_of_each()
    for channel in contract()["channels"].values():
        topic = channel["address"].format(site="store-7", device="lobby")
        (message,) = channel["messages"].values()
        examples = [example["payload"] for example in message["examples"]]
        for example in examples:
            validate(topic, example if isinstance(example, str) else json.dumps(example))
        kind = topic.rsplit("/", 1)[1]
        if isinstance(examples[0], dict) and kind != "info":  # whose confusion is optional
            published = json.loads(made[kind].payload)
            assert examples[0].keys() == published.keys() | {*OPTIONAL.get(kind, ())}


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Return everything below a schema that is a schema itself, as far as this file has them."""
    for inner in schema.get("properties", {}).values():
        yield inner
        yield from subschemas(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield schema[key]
            yield from subschemas(schema[key])
    for key in ("oneOf", "anyOf", "allOf"):
        for inner in schema.get(key, []):
            yield inner
            yield from subschemas(inner)


RESERVED = {"window", "object", "string", "number", "date", "map", "set", "type", "any", "error"}
"""Types that languages have already."""


def test_generated_code_has_names_for_all_types() -> None:
    """Tools name a type by the title of its schema, and one without by a number."""
    schemas = contract()["components"]["schemas"]
    names = [name.lower() for name in schemas]
    assert len(set(names)) == len(names)
    assert not RESERVED & set(names)
    for name, schema in schemas.items():
        assert re.fullmatch(r"([A-Z][a-z0-9]*)+", name), name
        assert schema["title"] == name
        for inner in subschemas(schema):
            types = inner.get("type", ())
            types = {types} if isinstance(types, str) else set(types)
            typed = {"properties", "enum", "const", "oneOf", "anyOf", "allOf"} & inner.keys()
            assert "$ref" in inner or (types and not typed and "object" not in types), (name, inner)
    for channel in contract()["channels"].values():
        (message,) = channel["messages"].values()
        assert message["payload"].keys() == {"$ref"}
