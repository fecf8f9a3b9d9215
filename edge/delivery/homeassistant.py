"""Home Assistant's discovery: a sensor for each number that a device publishes. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.types import AGES


@dataclass(frozen=True, slots=True)
class Ids:
    """A device's ids in Home Assistant, which identifies it by them for good."""

    site: str
    name: str
    """The key `device` in the configuration."""
    legacy: bool = False
    """Use the original ids, which some devices of different sites share."""

    @property
    def topic(self) -> str:
        """The discovery topic, below its prefix."""
        return f"device/{self.name if self.legacy else f'{self.site}/{self.name}'}/config"

    @property
    def device(self) -> str:
        return self._joined("edge-tally", self.site, self.name)

    def sensor(self, name: str) -> str:
        return self._joined(self.device, name)

    def _joined(self, *parts: str) -> str:
        # neither a site nor a device may contain a slash
        return ("-" if self.legacy else "/").join(parts)


def discovery(
    version: str,
    *,
    ids: Ids,
    topic: Callable[[str], str],
    gender: bool,
    ages: bool,
    window_seconds: float,
    max_hold: float,
    health_seconds: float,
) -> dict[str, Any]:
    """Return the payload of Home Assistant's device discovery for a daemon of this `version`.

    `topic` returns the topic of a name such as `state`. With `gender` and `ages` there are sensors
    for each group. `window_seconds`, `max_hold` and `health_seconds` bound the wait for the next
    `state` and `health`, seconds.
    """
    # from one state to the next: a window, max_hold, and the rest of the window in which max_hold
    # ends; one more window as a margin
    state_expires = math.ceil(max_hold + 3 * window_seconds)
    health_expires = math.ceil(3 * health_seconds)
    genders = ("female", "male", "unknown") if gender else ()
    # a total stays true until the next one comes; all other values describe a moment, and an old
    # one must not pass for a current one
    ever = {"state_topic": topic("state")}
    state = ever | {"expire_after": state_expires}
    health = {"state_topic": topic("health"), "expire_after": health_expires}
    components = {
        f"{key}_{name}": _sensor(
            f"{name.capitalize()} {words}",
            f"value_json.{path}.{name}",
            source,
            # a fall, as at midnight for today, begins a new sum
            state_class="total_increasing",
            unit_of_measurement="people",
            icon="mdi:account-multiple-plus",
        )
        for key, words, path, source in (
            ("total", "total", "totals", ever),
            ("today", "today", "today", state),
        )
        for name in ("total", *genders)
    }
    components |= {
        f"present_{name}": _sensor(
            f"People present, {name}",
            f"value_json.presence.{name}",
            state,
            unit_of_measurement="people",
            icon="mdi:account-group",
        )
        for name in ("peak", "mean")
    }
    components |= {
        f"age_{group.rstrip('+').replace('-', '_')}": _sensor(
            f"People, age {group}",
            # too few people are not published by age
            f"none if value_json.ages is not defined else value_json.ages['{group}']",
            state,
            unit_of_measurement="people",
            icon="mdi:account-clock",
        )
        for group in (AGES if ages else ())
    }
    diagnostics = {
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
    for component in diagnostics.values():
        component["entity_category"] = "diagnostic"
    components |= diagnostics
    for name, component in components.items():
        component["unique_id"] = ids.sensor(name)
    return {
        "device": {
            "identifiers": [ids.device],
            "name": ids.name,
            "manufacturer": "Edge Tally",
            "model": "Audience counter",
            "sw_version": version,
            "suggested_area": ids.site,
        },
        "origin": {"name": "edge-tally", "sw_version": version},
        "availability_topic": topic("availability"),
        "payload_available": "online",
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "components": components,
    }


def _sensor(
    name: str, value: str, source: Mapping[str, Any], state_class: str = "measurement", **more: str
) -> dict[str, Any]:
    """Return a sensor; `value` is a Home Assistant template expression."""
    return {
        "platform": "sensor",
        "name": name,
        "value_template": f"{{{{ {value} }}}}",
        "state_class": state_class,
        **source,
        **more,
    }


def _problem(name: str, value: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return a warning light; the expression `value` is `ON`, `OFF`, or none if unknown."""
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": "problem",
        "value_template": f"{{{{ {value} }}}}",
        **source,
    }
