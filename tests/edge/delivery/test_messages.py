"""The contract: topics and JSON as dashboards read them."""

import dataclasses
import json
import re
import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from edge.counting import Counter
from edge.delivery.messages import Messages, iso, local_day, replayed
from edge.pause import PAUSE, RESUME
from edge.types import Message, People, Totals, Visit, Window
from tests.support import contract

WINDOW = Window(
    start=1_795_255_200.2,
    end=1_795_255_260.2,
    seconds=60.0,
    people=People(3, 3, 1),
    broken_down=True,
    dwell_mean=6.2345,
    dwell_bins=(3, 2, 2, 0, 0),
    presence_peak=3,
    presence_mean=0.8251,
    coverage=0.99812,
    attention_mean=4.14,
    attention_bins=(4, 3, 0, 0, 0),
)

FEW = dataclasses.replace(
    WINDOW, people=People(unknown=2), broken_down=False, dwell_mean=None, attention_mean=None
)
"""Too few people to be broken down."""

WITH_AGES = dataclasses.replace(WINDOW, ages=(0, 0, 1, 0, 4, 1, 0, 0, 1))


TOTALS = Totals(People(9800, 9700, 811), "2026-11-21", People(20, 21, 1))
AGE_TOTALS = (10, 20, 400, 1900, 7000, 5000, 3000, 2600, 381)

HEALTH: dict[str, Any] = {
    "uptime_s": 3600,
    "frames": 21960,
    "fps": 6.1,
    "ms": {"detect": 41.2, "track": 0.11, "classify": 3.9},
    "memory_mb": 116.2,
    "static_faces": 0,
    "temperature_c": 52.1,
    "throttled": 0,
    "camera": "ok",
    "blind_s": 0.0,
    "paused": False,
    "outbox": 0,
    "unsaved": 0,
    "dropped": 0,
    "mqtt": {"version": "5", "connects": 1, "refused": []},
}


def messages(
    prefix: str | None = "homeassistant", model: str | None = "m@12345678", **keys: Any
) -> Messages:
    return Messages(site="store-7", device="lobby", model=model, discovery_prefix=prefix, **keys)


def window_message(window: Window = WINDOW, maker: Messages | None = None) -> Message:
    maker = maker or messages()
    totals = dataclasses.replace(TOTALS, ages=AGE_TOTALS if maker.ages else None)
    return maker.window(window, epoch="6f0c2a7e", seq=1042, totals=totals, time_synced=True)


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
        "attention_s": {"mean": 4.1, "0-5": 4, "5-15": 3, "15-30": 0, "30-60": 0, "60+": 0},
        "presence": {"peak": 3, "mean": 0.83},
        "coverage": 0.998,
        "totals": {"total": 20311, "female": 9800, "male": 9700, "unknown": 811},
        "today": {"date": "2026-11-21", "total": 42, "female": 20, "male": 21, "unknown": 1},
        "model": "m@12345678",
    }


def test_too_few_people_show_their_total_alone() -> None:
    payload = json.loads(window_message(FEW).payload)
    assert payload["people"] == {"total": 2}
    assert payload["dwell_s"] == payload["attention_s"] == {"mean": None}


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


def test_a_window_with_ages() -> None:
    message = window_message(WITH_AGES)
    contract.validate(message.topic, message.payload)
    payload = json.loads(message.payload)
    ages = payload.pop("ages")
    assert list(ages) == [
        "0-3", "4-7", "8-13", "14-20", "21-35", "36-45", "46-56", "57+", "unknown",
    ]  # fmt: skip
    assert list(ages.values()) == [0, 0, 1, 0, 4, 1, 0, 0, 1]
    # nothing else changes
    assert payload == json.loads(window_message().payload)


def test_models_of_a_window_with_ages() -> None:
    for maker, expected, by_gender in (
        (messages(ages=True), {"model": "m@12345678"}, True),
        (messages(ages=True, gender=False), {"model": "m@12345678"}, False),
        (
            messages(ages=True, age_model="a@12345678"),
            {"model": "m@12345678", "age_model": "a@12345678"},
            True,
        ),
        (
            messages(model=None, ages=True, gender=False, age_model="a@12345678"),
            {"model": "none@00000000", "age_model": "a@12345678"},
            False,
        ),
    ):
        message = window_message(WITH_AGES, maker)
        contract.validate(message.topic, message.payload)
        payload = json.loads(message.payload)
        assert {key: payload[key] for key in payload if "model" in key} == expected
        assert ("female" in payload["people"]) is by_gender
        assert sum(payload["ages"].values()) == payload["people"]["total"] == 7


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
    monkeypatch.setenv("TZ", zone)  # while the program runs
    evening = datetime(2026, 11, 21, 22, 30, tzinfo=UTC).timestamp()
    assert local_day(evening) == day
    monkeypatch.undo()
    time.tzset()


def test_retained_messages() -> None:
    maker = messages()
    state = maker.state(window_message())
    assert state.topic == "tally/v1/store-7/lobby/state"
    assert state.payload == window_message().payload
    assert state.key is None
    retained = [
        maker.availability("online"),
        state,
        maker.health({"fps": 6.0}),
        maker.info({"a": 1}),
    ]
    assert all(message.retain for message in retained)
    assert json.loads(maker.health({"fps": 6.0}).payload) == {"schema": 1, "fps": 6.0}
    assert json.loads(maker.info({"a": 1}).payload)["device"] == "lobby"


def test_discovery_describes_what_state_and_health_hold() -> None:
    """The rules of Home Assistant's own code, which tests/system/check_homeassistant.py runs."""
    maker = messages()
    (message,) = maker.discovery("1.2.3")
    assert message.topic == "homeassistant/device/store-7/lobby/config"
    assert message.retain
    payload = json.loads(message.payload)
    assert payload["device"]["identifiers"] == ["edge-tally/store-7/lobby"]
    assert payload["origin"]["name"] == "edge-tally"
    assert payload["availability_topic"] == maker.availability("online").topic
    components: dict[str, dict[str, Any]] = payload["components"]
    unique_ids = {c["unique_id"] for c in components.values()}
    assert len(unique_ids) == len(components)
    assert all(name.startswith("edge-tally/store-7/lobby/") for name in unique_ids)
    payloads = {
        message.topic: json.loads(message.payload)
        for message in (maker.state(window_message()), maker.health(HEALTH))
    }
    for component in components.values():
        *_, path = re.findall(r"value_json\.([\w.]+)", component["value_template"])
        value = payloads[component["state_topic"]]
        for key in path.split("."):
            value = value[key]
        if component["platform"] == "sensor":
            assert isinstance(value, int | float)
            assert component["state_class"] in {"measurement", "total_increasing"}
        else:
            assert component["platform"] == "binary_sensor"
            assert component["device_class"] == "problem"
            assert "state_class" not in component
    assert {name for name, c in components.items() if "entity_category" in c} == {
        "coverage", "fps", "temperature", "outbox", "dropped", "camera", "refused", "throttled",
    }  # fmt: skip


def test_discovery_has_a_sensor_for_each_age_group_if_ages_are_counted() -> None:
    (plain,), (aged,) = messages().discovery("1"), messages(ages=True).discovery("1")
    before, components = (json.loads(m.payload)["components"] for m in (plain, aged))
    more = {name: components[name] for name in components if name not in before}
    keys = [
        "age_0_3", "age_4_7", "age_8_13", "age_14_20", "age_21_35", "age_36_45", "age_46_56",
        "age_57", "age_unknown",
    ]  # fmt: skip
    assert list(more) == [*(f"total_{key}" for key in keys), *keys]
    assert components == before | more
    state = json.loads(window_message(WITH_AGES, messages(ages=True)).payload)
    expiry = before["present_peak"]["expire_after"]
    for name, component in more.items():
        path, group = re.findall(r"value_json\.(\w+)\['(.+)'\]", component["value_template"])[0]
        assert isinstance(state[path][group], int)
        total = name.startswith("total_")
        assert path == ("totals_by_age" if total else "ages")
        assert component["state_class"] == ("total_increasing" if total else "measurement")
        assert component.get("expire_after") == (None if total else expiry)


def entity_names(**keys: Any) -> dict[str, str]:
    """Return what Home Assistant calls each entity, by its key."""
    (message,) = messages(**keys).discovery("1")
    components = json.loads(message.payload)["components"]
    return {key: component["name"] for key, component in components.items()}


def test_names_of_entities_read_well() -> None:
    names = entity_names(ages=True, presence=True, pause=True)
    assert names["total_total"] == "People in all"
    assert names["today_female"] == "People today, female"
    assert names["window_total"] == "People in the newest window"
    assert len(set(names.values())) == len(names)
    for name in names.values():
        words = re.findall(r"\w+", name.lower())
        assert len(set(words)) == len(words), f"{name}: a word comes twice"


def test_ages_are_in_order_among_the_sorted_names() -> None:
    names = entity_names(ages=True)
    for start in ("age_", "total_age_"):
        ages = [name for key, name in names.items() if key.startswith(start)]
        assert len(ages) == 9
        assert ages == sorted(ages)
        # as frontends sort that take digits for numbers
        assert ages == sorted(ages, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]
                              or [100])  # fmt: skip


def test_discovery_has_more_entities_if_they_are_switched_on() -> None:
    (plain,) = messages().discovery("1")
    url = "http://shop:3000/"
    (more,) = messages(presence=True, pause=True, dashboard_url=url).discovery("1")
    before, after = json.loads(plain.payload), json.loads(more.payload)
    assert "configuration_url" not in before["device"]
    assert after["device"]["configuration_url"] == url
    assert after["components"].keys() - before["components"].keys() == {"in_view", "pause"}
    base = "tally/v1/store-7/lobby"
    assert after["components"]["in_view"]["state_topic"] == f"{base}/presence"
    switch = after["components"]["pause"]
    assert (switch["platform"], switch["command_topic"]) == ("switch", f"{base}/command")
    assert (switch["payload_on"], switch["payload_off"]) == (PAUSE.decode(), RESUME.decode())
    assert not switch.get("retain"), "a retained command is not obeyed"


def test_discovery_knows_totals_before_they_are_published() -> None:
    """Of a state from before an upgrade."""
    (message,) = messages(ages=True).discovery("1")
    for component in json.loads(message.payload)["components"].values():
        for key in ("ages", "totals_by_age", "attention_s"):
            if f"value_json.{key}" in component["value_template"]:
                guard = f"none if value_json.{key} is not defined else"
                assert guard in component["value_template"]


def test_discovery_sums_what_rises_and_measures_what_is_there() -> None:
    (message,) = messages().discovery("1")
    components = json.loads(message.payload)["components"]
    for name, component in components.items():
        rises = name.startswith(("total_", "today_")) or name == "dropped"
        if component["platform"] == "sensor":
            expected = "total_increasing" if rises else "measurement"
            assert component["state_class"] == expected, name
    # a device class demands a unit of its own; people have none
    classes = {c["device_class"]: c for c in components.values() if "device_class" in c}
    assert set(classes) == {"temperature", "problem", "duration"}
    assert classes["duration"]["unit_of_measurement"] == "s"
    assert classes["temperature"]["unit_of_measurement"] == "°C"


def test_discovery_lets_values_expire_later_than_windows_may_be_withheld() -> None:
    maker = Messages(
        site="store-7",
        device="lobby",
        model="m@12345678",
        discovery_prefix="homeassistant",
        window_seconds=30.5,
        max_hold=600,
        health_seconds=20.1,
    )
    (message,) = maker.discovery("1")
    for name, component in json.loads(message.payload)["components"].items():
        if name.startswith("total_"):
            assert "expire_after" not in component
        elif component["state_topic"].endswith("/state"):
            assert component["expire_after"] == 692
        else:
            assert component["expire_after"] == 61
    # the longest time between two states: too few people from the first window on
    counter = Counter(seconds=30.5, min_people=3, max_hold=600)
    ends = []
    for mono in range(0, 3000, 10):
        visits = [Visit(mono, mono, "female", 0.9)] if mono % 300 == 40 else []
        ends += [mono for _ in counter.tick(mono, mono, 0, visits)]
    longest = max(after - before for before, after in pairwise(ends))
    assert 600 < longest < 692


def test_forgotten_takes_home_assistants_device_away_first() -> None:
    topics = [message.topic for message in messages().forgotten()]
    assert topics[0] == "homeassistant/device/store-7/lobby/config"
    (other,) = messages().forgotten_ids()
    assert other == messages(legacy_ids=True).forgotten()[0]
    assert other.topic == "homeassistant/device/lobby/config"
    assert messages(legacy_ids=True).forgotten_ids() == messages().forgotten()[:1]
    assert messages(None).forgotten_ids() == []
    assert [topic.rsplit("/", 1)[1] for topic in topics[1:]] == [
        "availability", "state", "presence", "health", "info",
    ]  # fmt: skip
    assert all(message.payload == "" and message.retain for message in messages().forgotten())
    assert len(messages(None).forgotten()) == 5


def ids(site: str, device: str, **keys: Any) -> set[str]:
    """Return all ids by which Home Assistant knows a device."""
    maker = Messages(
        site=site, device=device, model="m@12345678", discovery_prefix="homeassistant", **keys
    )
    (message,) = maker.discovery("1")
    payload = json.loads(message.payload)
    sensors = {each["unique_id"] for each in payload["components"].values()}
    return {message.topic, *payload["device"]["identifiers"], *sensors}


@pytest.mark.parametrize(
    ("first", "second"),
    [(("a", "lobby"), ("b", "lobby")), (("a-b", "c"), ("a", "b-c")), (("a_b", "c"), ("a", "b_c"))],
)
def test_two_devices_share_no_id(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert not ids(*first) & ids(*second)


def test_ids_of_an_earlier_installation_stay() -> None:
    assert {
        "homeassistant/device/lobby/config", "edge-tally-store-7-lobby",
        "edge-tally-store-7-lobby-total_total",
    } <= ids("store-7", "lobby", legacy_ids=True)  # fmt: skip


def test_the_check_is_as_long_as_a_window_of_many_people() -> None:
    empty, long = messages(ages=True).check()
    assert (empty.payload, empty.retain) == ("", True)
    assert not long.payload.strip(" ")
    window = window_message(WITH_AGES)
    assert len(window.topic + window.payload) < len(long.topic + long.payload) < 1500
    (discovery,) = messages().discovery("1")
    size = len((discovery.topic + discovery.payload).encode())
    blank = messages().blank(discovery)
    assert len(blank.topic + blank.payload) == size


def test_no_discovery_if_it_is_switched_off() -> None:
    assert messages(None).discovery("1") == []


def test_times_are_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1_795_255_259.7) == "2026-11-21T10:01:00Z"
