"""The contract: topics and JSON as dashboards read them."""

import dataclasses
import json
import time
from datetime import UTC, datetime

import contract
import pytest

from edge.messages import Messages, iso, local_day, replayed
from edge.records import Message, People, Totals, Window

WINDOW = Window(
    start=1_795_255_200.2,
    end=1_795_255_260.2,
    seconds=60.0,
    people=People(3, 3, 1),
    split=True,
    dwell_mean=6.2345,
    dwell_bins=(3, 2, 2, 0, 0),
    presence_peak=3,
    presence_mean=0.8251,
    coverage=0.99812,
)


TOTALS = Totals(People(9800, 9700, 811), "2026-11-21", People(20, 21, 1))


def messages(prefix: str | None = "homeassistant", model: str | None = "m@12345678") -> Messages:
    return Messages(site="store-7", device="lobby", model=model, discovery_prefix=prefix)


def window_message(window: Window = WINDOW) -> Message:
    return messages().window(window, epoch="6f0c2a7e", seq=1042, totals=TOTALS, time_synced=True)


def test_window() -> None:
    message = window_message()
    assert (message.topic, message.qos, message.retain, message.key) == (
        "tally/v1/store-7/lobby/window", 1, False, 1042,
    )  # fmt: skip
    assert json.loads(message.payload) == {
        "schema": 1,
        "id": "lobby:6f0c2a7e:1042",
        "site": "store-7",
        "device": "lobby",
        "epoch": "6f0c2a7e",
        "seq": 1042,
        "window": {
            "start": "2026-11-21T10:00:00Z",
            "end": "2026-11-21T10:01:00Z",
            "seconds": 60.0,
        },
        "time_synced": True,
        "replayed": False,
        "people": {"total": 7, "female": 3, "male": 3, "unknown": 1},
        "dwell_s": {"mean": 6.2, "0-5": 3, "5-15": 2, "15-30": 2, "30-60": 0, "60+": 0},
        "presence": {"peak": 3, "mean": 0.83},
        "coverage": 0.998,
        "totals": {"total": 20311, "female": 9800, "male": 9700, "unknown": 811},
        "today": {"date": "2026-11-21", "total": 42, "female": 20, "male": 21, "unknown": 1},
        "model": "m@12345678",
    }


def test_too_few_people_show_their_total_alone() -> None:
    few = dataclasses.replace(WINDOW, people=People(unknown=2), split=False, dwell_mean=None)
    payload = json.loads(window_message(few).payload)
    assert payload["people"] == {"total": 2}
    assert payload["dwell_s"] == {"mean": None}


def test_without_a_model_people_show_their_total_alone() -> None:
    maker = messages(model=None)
    message = maker.window(WINDOW, epoch="6f0c2a7e", seq=1, totals=TOTALS, time_synced=True)
    contract.validate(message.topic, message.payload)
    payload = json.loads(message.payload)
    assert payload["people"] == {"total": 7}
    assert payload["dwell_s"] == {
        "mean": 6.2, "0-5": 3, "5-15": 2, "15-30": 2, "30-60": 0, "60+": 0,
    }  # fmt: skip
    assert payload["model"] == "none@00000000"
    (discovery,) = maker.discovery("1")
    components = json.loads(discovery.payload)["components"]
    assert {"total_total", "today_total", "present_mean"} <= set(components)
    for gender in ("female", "male", "unknown"):
        assert gender not in json.dumps(components)


def test_replayed_changes_nothing_else() -> None:
    message = window_message()
    late = replayed(message)
    assert json.loads(late.payload) == json.loads(message.payload) | {"replayed": True}
    assert (late.topic, late.qos, late.retain, late.key) == (message.topic, 1, False, 1042)


@pytest.mark.parametrize(
    ("zone", "day"),
    [("UTC", "2026-11-21"), ("Asia/Tokyo", "2026-11-22"), ("America/New_York", "2026-11-21")],
)
def test_days_are_the_devices_own(monkeypatch: pytest.MonkeyPatch, zone: str, day: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    evening = datetime(2026, 11, 21, 22, 30, tzinfo=UTC).timestamp()
    assert local_day(evening) == day
    monkeypatch.undo()
    time.tzset()


def test_retained_messages() -> None:
    made = messages()
    state = made.state(window_message())
    assert state.topic == "tally/v1/store-7/lobby/state"
    assert state.payload == window_message().payload
    assert state.key is None
    retained = [made.availability("online"), state, made.health({"fps": 6.0}), made.info({"a": 1})]
    assert all(message.retain for message in retained)
    assert json.loads(made.health({"fps": 6.0}).payload) == {"schema": 1, "fps": 6.0}
    assert json.loads(made.info({"a": 1}).payload)["device"] == "lobby"


def test_discovery_describes_what_state_and_health_hold() -> None:
    (message,) = messages().discovery("1.2.3")
    assert message.topic == "homeassistant/device/lobby/config"
    assert message.retain
    payload = json.loads(message.payload)
    assert {"device", "origin", "components"} <= set(payload)
    components = payload["components"].values()
    assert all({"platform", "unique_id", "value_template"} <= set(c) for c in components)
    assert len({c["unique_id"] for c in components}) == len(components)
    assert payload["components"]["total_female"]["state_class"] == "total_increasing"
    state = json.loads(window_message().payload)
    for component in components:
        path = component["value_template"].strip("{} ").split(".")
        assert path[0] == "value_json"
        if component["state_topic"].endswith("/state"):
            value = state
            for key in path[1:]:
                value = value[key]
            assert isinstance(value, int | float)


def test_no_discovery_where_it_is_switched_off() -> None:
    assert messages(None).discovery("1") == []


def test_times_are_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_795_255_259.7) == "2026-11-21T10:01:00Z"
