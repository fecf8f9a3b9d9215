"""The entities that Home Assistant gets: one for each number that a device publishes. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.types import AGES, UNKNOWN

Component = dict[str, Any]
"""An entity in Home Assistant's device discovery."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a device can do beyond counting people."""

    gender: bool = True
    ages: bool = False
    presence: bool = False
    """The number of people in view is published at once."""
    pause: bool = False
    """It obeys the commands `pause` and `resume`."""
    dashboard_url: str | None = None
    """Where to see more."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """How long values are shown, seconds, if no new ones come."""

    state_s: int
    health_s: int


def entities(
    topic: Callable[[str], str], features: Features, expiry: Expiry
) -> dict[str, Component]:
    """Return the entities by their keys, which stay; names may change.

    `topic` returns the topic of a name such as `state`.
    """
    # a total stays true until the next one comes; all other values describe a moment, and an old
    # one must not pass for a current one
    ever = {"state_topic": topic("state")}
    state = ever | {"expire_after": expiry.state_s}
    health = {"state_topic": topic("health"), "expire_after": expiry.health_s}
    components = _totals(features, ever, state) | _newest_window(features, state)
    if features.presence:
        components["in_view"] = _people(
            "People in view now", "value | int(none)", {"state_topic": topic("presence")}
        )
    if features.pause:
        components["pause"] = _pause_switch(topic)
    return components | {
        name: component | {"entity_category": "diagnostic"}
        for name, component in _diagnostics(state, health).items()
    }


def _totals(
    features: Features, ever: Mapping[str, Any], state: Mapping[str, Any]
) -> dict[str, Component]:
    """Sums that rise; a fall, as at midnight for today, begins a new sum."""
    genders = {"total": ""}
    if features.gender:
        genders |= {gender: f", {gender}" for gender in ("female", "male", UNKNOWN)}
    rising = {"state_class": "total_increasing", "icon": "mdi:account-multiple-plus"}
    components = {
        f"{key}_{gender}": _people(
            f"{words}{ending}", f"value_json.{path}.{gender}", source, **rising
        )
        for key, words, path, source in (
            ("total", "People in all", "totals", ever),
            ("today", "People today", "today", state),
        )
        for gender, ending in genders.items()
    }
    return components | {
        f"total_{_age_key(age)}": _people(
            f"People in all, {_age_name(age)}", _by_age("totals_by_age", age), ever, **rising
        )
        for age in (AGES if features.ages else ())
    }


def _newest_window(features: Features, state: Mapping[str, Any]) -> dict[str, Component]:
    components = {
        "window_total": _people("People in the newest window", "value_json.people.total", state)
    }
    components |= {
        f"present_{name}": _people(f"People present, {name}", f"value_json.presence.{name}", state)
        for name in ("peak", "mean")
    }
    components |= {
        key: _sensor(
            name,
            # a state from before an upgrade has no attention
            f"none if value_json.{path} is not defined else value_json.{path}.mean",
            state,
            device_class="duration",
            unit_of_measurement="s",
            suggested_display_precision=1,
            icon=icon,
        )
        for key, name, path, icon in (
            ("dwell", "Mean time in view", "dwell_s", "mdi:timer-outline"),
            ("attention", "Mean attention", "attention_s", "mdi:eye-outline"),
        )
    }
    return components | {
        _age_key(age): _people(
            f"People, {_age_name(age)}", _by_age("ages", age), state, icon="mdi:account-clock"
        )
        for age in (AGES if features.ages else ())
    }


def _diagnostics(state: Mapping[str, Any], health: Mapping[str, Any]) -> dict[str, Component]:
    return {
        "coverage": _sensor(
            "Coverage",
            "(100 * value_json.coverage) | round(1)",
            state,
            unit_of_measurement="%",
        ),
        "fps": _sensor("Frames per second", "value_json.fps", health),
        "temperature": _sensor(
            "Temperature",
            "value_json.temperature_c",
            health,
            device_class="temperature",
            unit_of_measurement="°C",
        ),
        "outbox": _sensor("Windows waiting", "value_json.outbox", health),
        "dropped": _sensor(
            "Windows dropped", "value_json.dropped", health, state_class="total_increasing"
        ),
        "camera": _problem("Camera lost", "'ON' if value_json.camera == 'lost' else 'OFF'", health),
        "refused": _problem(
            "Topics refused by the broker",
            "'ON' if value_json.mqtt.refused else 'OFF'",
            health,
        ),
        # the lowest four bits are the present state, the others what has happened since boot:
        # https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
        "throttled": _problem(
            "Power or heat",
            "none if value_json.throttled is none"
            " else 'ON' if value_json.throttled % 16 else 'OFF'",
            health,
        ),
    }


def _age_key(age: str) -> str:
    return f"age_{age.rstrip('+').replace('-', '_')}"


def _age_name(age: str) -> str:
    """As `age 04-07`: Home Assistant sorts entities by name."""
    return f"age {'-'.join(years.zfill(2) for years in age.split('-'))}"


def _by_age(key: str, age: str) -> str:
    # too few people are not published by age
    return f"none if value_json.{key} is not defined else value_json.{key}['{age}']"


def _people(name: str, value: str, source: Mapping[str, Any], **more: str) -> Component:
    unit = {"unit_of_measurement": "people", "icon": "mdi:account-group"}
    return _sensor(name, value, source, **unit | more)


def _sensor(
    name: str,
    value: str,
    source: Mapping[str, Any],
    state_class: str = "measurement",
    **more: str | int,
) -> Component:
    """Return a sensor; `value` is a Home Assistant template expression."""
    return {
        "platform": "sensor",
        "name": name,
        "value_template": f"{{{{ {value} }}}}",
        "state_class": state_class,
        **source,
        **more,
    }


def _problem(name: str, value: str, source: Mapping[str, Any]) -> Component:
    """Return a warning light; the expression `value` is `ON`, `OFF`, or none if unknown."""
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": "problem",
        "value_template": f"{{{{ {value} }}}}",
        **source,
    }


def _pause_switch(topic: Callable[[str], str]) -> Component:
    return {
        "platform": "switch",
        "name": "Pause",
        "icon": "mdi:camera-off",
        "command_topic": topic("command"),
        "payload_on": "pause",
        "payload_off": "resume",
        "state_topic": topic("health"),
        "value_template": "{{ 'pause' if value_json.paused else 'resume' }}",
        "state_on": "pause",
        "state_off": "resume",
    }
