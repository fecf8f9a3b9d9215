"""Validate messages against the contract, docs/asyncapi.yaml."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

FILE = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


@cache
def contract() -> dict[str, Any]:
    document = yaml.safe_load(FILE.read_text())
    assert isinstance(document, dict)
    return document


def validate(topic: str, payload: Any) -> None:
    """Raise AssertionError if a device's message breaks the contract; ignore other topics.

    A payload given as text is parsed as its channel says.
    """
    levels = topic.split("/")
    if (
        levels[:2] != ["tally", "v1"] or payload == ""
    ):  # an empty payload removes a retained message
        return
    channel = contract()["channels"][levels[-1]]
    assert channel["address"].split("/")[::4] == [levels[0], levels[4]]
    (message,) = channel["messages"].values()
    if isinstance(payload, str) and message.get("contentType") != "text/plain":
        payload = json.loads(payload)
    schema = message["payload"] | {"components": contract()["components"]}
    errors = sorted(Draft202012Validator(schema).iter_errors(payload), key=str)
    assert not errors, f"{topic}: {errors[0].json_path}: {errors[0].message}"
