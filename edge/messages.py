"""Windows, health and discovery to topics and versioned JSON. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from edge.records import Message, People, Totals, Window

SCHEMA = 1
DWELL_BINS = ("0-5", "5-15", "15-30", "30-60", "60+")
"""Names of the dwell bins, seconds."""
NO_MODEL = "none@00000000"
"""What stands for the model where gender is not estimated."""


class Messages:
    """Makes every message of one device."""

    def __init__(
        self, *, site: str, device: str, model: str | None, discovery_prefix: str | None
    ) -> None:
        """`site` and `device` are topic levels; no discovery where its prefix is None.

        Without a `model` gender is not estimated, and people are shown by their total alone.
        """
        self._site, self._device, self._model = site, device, model
        self._prefix = discovery_prefix
        self._base = f"tally/v{SCHEMA}/{site}/{device}"

    def _topic(self, name: str) -> str:
        return f"{self._base}/{name}"

    def availability(self, state: Literal["online", "offline", "stopped"]) -> Message:
        """Retained; `offline` is the last will."""
        return Message(self._topic("availability"), state, qos=1, retain=True)

    def window(
        self, window: Window, *, epoch: str, seq: int, totals: Totals, time_synced: bool
    ) -> Message:
        """The durable message of one window, to be kept under the key `seq`."""
        dwell: dict[str, Any] = {"mean": _rounded(window.dwell_mean)}
        by_gender = window.split and self._model is not None
        if window.split:
            dwell |= dict(zip(DWELL_BINS, window.dwell_bins, strict=True))
        payload = {
            "schema": SCHEMA,
            "id": f"{self._device}:{epoch}:{seq}",
            "site": self._site,
            "device": self._device,
            "epoch": epoch,
            "seq": seq,
            "window": {
                "start": iso(window.start),
                "end": iso(window.end),
                "seconds": _rounded(window.seconds),
            },
            "time_synced": time_synced,
            "replayed": False,
            "people": _people(window.people) if by_gender else {"total": window.people.total},
            "dwell_s": dwell,
            "presence": {
                "peak": window.presence_peak,
                "mean": _rounded(window.presence_mean, 2),
            },
            "coverage": _rounded(window.coverage, 3),
            "totals": _people(totals.ever),
            "today": {"date": totals.day, **_people(totals.today)},
            "model": self._model or NO_MODEL,
        }
        return Message(self._topic("window"), _json(payload), qos=1, key=seq)

    def state(self, window: Message) -> Message:
        """The retained copy of the newest window message."""
        return Message(self._topic("state"), window.payload, qos=1, retain=True)

    def health(self, values: Mapping[str, Any]) -> Message:
        return Message(
            self._topic("health"), _json({"schema": SCHEMA, **values}), qos=1, retain=True
        )

    def info(self, values: Mapping[str, Any]) -> Message:
        """Versions, model and configuration; the caller leaves secrets out."""
        payload = {"schema": SCHEMA, "site": self._site, "device": self._device, **values}
        return Message(self._topic("info"), _json(payload), qos=1, retain=True)

    def check(self) -> Message:
        """Empty, on a topic that nobody needs: whether the broker takes what we write."""
        return Message(self._topic("check"), "", qos=1)

    def forgotten(self) -> list[Message]:
        """Takes everything that a broker retains of this device away again."""
        topics = [self._topic(name) for name in ("availability", "state", "health", "info")]
        if self._prefix is not None:
            topics.append(self._discovery_topic)
        return [Message(topic, "", qos=1, retain=True) for topic in topics]

    @property
    def _discovery_topic(self) -> str:
        return f"{self._prefix}/device/{self._device}/config"

    def discovery(self, version: str) -> list[Message]:
        """Home Assistant's device discovery, or nothing where it is switched off."""
        if self._prefix is None:
            return []
        state, health = self._topic("state"), self._topic("health")
        genders = () if self._model is None else ("female", "male", "unknown")
        components = {
            f"{key}_{name}": _sensor(
                f"{name.capitalize()} {words}",
                state,
                f"{path}.{name}",
                "total_increasing",
                icon="mdi:account-multiple-plus",
            )
            for key, words, path in (("total", "total", "totals"), ("today", "today", "today"))
            for name in ("total", *genders)
        }
        components |= {
            "present_peak": _sensor("People present, peak", state, "presence.peak"),
            "present_mean": _sensor("People present, mean", state, "presence.mean"),
            "coverage": _sensor("Coverage", state, "coverage", diagnostic=True),
            "fps": _sensor("Frames per second", health, "fps", diagnostic=True),
            "temperature": _sensor(
                "Temperature",
                health,
                "temperature_c",
                diagnostic=True,
                device_class="temperature",
                unit_of_measurement="°C",
            ),
            "outbox": _sensor("Windows waiting", health, "outbox", diagnostic=True),
            "dropped": _sensor("Windows dropped", health, "dropped", diagnostic=True),
        }
        for name, component in components.items():
            component["unique_id"] = f"edge-tally-{self._site}-{self._device}-{name}"
        payload = {
            "device": {
                "identifiers": [f"edge-tally-{self._site}-{self._device}"],
                "name": self._device,
                "manufacturer": "Edge Tally",
                "model": "Audience counter",
                "sw_version": version,
                "suggested_area": self._site,
            },
            "origin": {"name": "edge-tally", "sw_version": version},
            "availability_topic": self._topic("availability"),
            "payload_available": "online",
            "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
            "components": components,
        }
        return [Message(self._discovery_topic, _json(payload), qos=1, retain=True)]


def replayed(message: Message) -> Message:
    """The same window, marked as delivered late."""
    payload = json.loads(message.payload) | {"replayed": True}
    return Message(message.topic, _json(payload), message.qos, message.retain, message.key)


def iso(utc: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the second."""
    stamp = datetime.fromtimestamp(round(utc), UTC)
    return stamp.isoformat().replace("+00:00", "Z")


def local_day(utc: float) -> str:
    """The date of a moment in the device's own time zone: 2026-11-21."""
    return datetime.fromtimestamp(utc, UTC).astimezone().date().isoformat()


def _sensor(
    name: str,
    topic: str,
    path: str,
    state_class: str = "measurement",
    *,
    diagnostic: bool = False,
    **more: str,
) -> dict[str, Any]:
    sensor: dict[str, Any] = {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json.{path} }}}}",
        "state_class": state_class,
    }
    if diagnostic:
        sensor["entity_category"] = "diagnostic"
    return sensor | more


def _people(people: People) -> dict[str, int]:
    return {
        "total": people.total,
        "female": people.female,
        "male": people.male,
        "unknown": people.unknown,
    }


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _json(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
