"""Builds every published message: topics and versioned JSON. Pure."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from edge.delivery.homeassistant import Ids, discovery
from edge.delivery.homeassistant_entities import Expiry, Features
from edge.hours import local_time
from edge.types import AGES, Message, People, Totals, Window

SCHEMA = 1
DWELL_BINS = ("0-5", "5-15", "15-30", "30-60", "60+")
"""Names of the bins of dwell and attention; bounds in seconds."""
NO_MODEL = "none@00000000"
"""The payload's `model` if there is none."""


class Messages:
    """Builds the messages of one device."""

    def __init__(
        self,
        *,
        site: str,
        device: str,
        model: str | None,
        age_model: str | None = None,
        gender: bool = True,
        ages: bool = False,
        discovery_prefix: str | None,
        legacy_ids: bool = False,
        window_seconds: float = 60,
        max_hold: float = 900,
        health_seconds: float = 60,
        presence: bool = False,
        pause: bool = False,
        dashboard_url: str | None = None,
    ) -> None:
        """`site` and `device` are topic levels; without a `discovery_prefix` there is no discovery.

        `legacy_ids` keeps the ids that Home Assistant first knew devices by (`homeassistant.Ids`).
        Without a `model`, or without `gender`, people are published as a total only. `age_model`
        is the age groups' own model, if they have one. With `ages` Home Assistant gets a sensor for
        each group. `window_seconds`, `max_hold` (as for `counting.Counter`) and `health_seconds`
        bound how long Home Assistant waits for the next `state` and `health`, seconds. It gets a
        sensor of the people in view with `presence`, a switch with `pause`, and a link to the
        `dashboard_url`.
        """
        self._site, self._device = site, device
        self._model, self._age_model = model, age_model
        self._gender, self.ages = gender and model is not None, ages
        self._prefix = discovery_prefix
        self._ids = Ids(site, device, legacy_ids)
        self._features = Features(
            gender=self._gender,
            ages=ages,
            presence=presence,
            pause=pause,
            dashboard_url=dashboard_url,
        )
        # from one state to the next: a window, max_hold, and the rest of the window in which
        # max_hold ends; one more window as a margin
        self._expiry = Expiry(
            state_s=math.ceil(max_hold + 3 * window_seconds),
            health_s=math.ceil(3 * health_seconds),
        )
        self._base = f"tally/v{SCHEMA}/{site}/{device}"

    @property
    def command_topic(self) -> str:
        """Where commands for the device come from."""
        return self._topic("command")

    def _topic(self, name: str) -> str:
        return f"{self._base}/{name}"

    def availability(self, state: Literal["online", "offline", "stopped"]) -> Message:
        """Return the retained availability; `offline` is the will."""
        return Message(self._topic("availability"), state, qos=1, retain=True)

    def window(
        self, window: Window, *, epoch: str, seq: int, totals: Totals, time_synced: bool
    ) -> Message:
        """Return the durable message of one window, with the key `seq`."""
        by_gender = window.broken_down and self._gender
        dwell, attention = (
            {"mean": _rounded(mean)}
            | (dict(zip(DWELL_BINS, bins, strict=True)) if window.broken_down else {})
            for mean, bins in (
                (window.dwell_mean, window.dwell_bins),
                (window.attention_mean, window.attention_bins),
            )
        )
        age_model = {} if self._age_model is None else {"age_model": self._age_model}
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
            **_by_age("ages", window.ages),
            "dwell_s": dwell,
            "attention_s": attention,
            "presence": {
                "peak": window.presence_peak,
                "mean": _rounded(window.presence_mean, 2),
            },
            "coverage": _rounded(window.coverage, 3),
            "totals": _people(totals.ever),
            **_by_age("totals_by_age", totals.ages),
            "today": {"date": totals.day, **_people(totals.today)},
            "model": self._model or NO_MODEL,
            **age_model,
        }
        return Message(self._topic("window"), _json(payload), qos=1, key=seq)

    def state(self, window: Message) -> Message:
        """Return the retained copy of the newest window message."""
        return Message(self._topic("state"), window.payload, qos=1, retain=True)

    def presence(self, payload: str) -> Message:
        """Return the retained number of people in view now; empty if nobody knows."""
        return Message(self._topic("presence"), payload, qos=1, retain=True)

    def health(self, values: Mapping[str, Any]) -> Message:
        return Message(
            self._topic("health"), _json({"schema": SCHEMA, **values}), qos=1, retain=True
        )

    def info(self, values: Mapping[str, Any]) -> Message:
        """Return the retained versions, model and configuration; the caller leaves out secrets."""
        payload = {"schema": SCHEMA, "site": self._site, "device": self._device, **values}
        return Message(self._topic("info"), _json(payload), qos=1, retain=True)

    def check(self) -> list[Message]:
        """Return messages on a topic of no use, to test whether the broker accepts windows.

        First an empty retained one, which leaves nothing behind and also serves as a will; then
        one of blanks, as long as a window with very many people.
        """
        many = People(10**5, 10**5, 10**5)
        ages = (10**5,) * len(AGES) if self.ages else None
        longest = self.window(
            Window(
                start=0, end=0, seconds=1e5, people=many, broken_down=True, dwell_mean=1e5,
                dwell_bins=(10**5,) * len(DWELL_BINS), presence_peak=10**4, presence_mean=1e4,
                coverage=0.999, ages=ages,
                attention_mean=1e5, attention_bins=(10**5,) * len(DWELL_BINS),
            ),
            epoch="00000000", seq=10**7, totals=Totals(many, local_day(0), many, ages),
            time_synced=False,
        )  # fmt: skip
        return [Message(self._topic("check"), "", qos=1, retain=True), self.blank(longest)]

    def blank(self, message: Message) -> Message:
        """Return blanks with the size of `message`, on the topic of no use."""
        topic = self._topic("check")
        size = len((message.topic + message.payload).encode()) - len(topic)
        return Message(topic, " " * max(0, size), qos=1)

    def forgotten(self) -> list[Message]:
        """Return messages that remove everything a broker retains for this device."""
        # discovery first: Home Assistant complains of empty values from a device it still knows
        topics = [] if self._prefix is None else [f"{self._prefix}/{self._ids.topic}"]
        names = ("availability", "state", "presence", "health", "info")
        topics += [self._topic(name) for name in names]
        return [Message(topic, "", qos=1, retain=True) for topic in topics]

    def forgotten_ids(self) -> list[Message]:
        """Return messages that remove the device's discovery under the ids not in use."""
        if self._prefix is None:
            return []
        unused = replace(self._ids, legacy=not self._ids.legacy)
        return [Message(f"{self._prefix}/{unused.topic}", "", qos=1, retain=True)]

    def discovery(self, version: str) -> list[Message]:
        """Return Home Assistant's device discovery; nothing if it is switched off."""
        if self._prefix is None:
            return []
        payload = discovery(
            version,
            ids=self._ids,
            topic=self._topic,
            features=self._features,
            expiry=self._expiry,
        )
        return [Message(f"{self._prefix}/{self._ids.topic}", _json(payload), qos=1, retain=True)]


def replayed(message: Message) -> Message:
    """Return the same window, marked as delivered late."""
    payload = json.loads(message.payload) | {"replayed": True}
    return Message(message.topic, _json(payload), message.qos, message.retain, message.key)


def restamped(payload: str, seconds: float) -> str:
    """Return the window in `payload` with its times `seconds` later, marked as synced."""
    window = json.loads(payload)
    for end in ("start", "end"):
        window["window"][end] = iso(
            datetime.fromisoformat(window["window"][end]).timestamp() + seconds
        )
    return _json(window | {"time_synced": True})


def iso(utc: float) -> str:
    """Format seconds since 1970 as ISO 8601 in UTC, to the second."""
    stamp = datetime.fromtimestamp(round(utc), UTC)
    return stamp.isoformat().replace("+00:00", "Z")


def local_day(utc: float) -> str:
    """Return the date in the device's own time zone, as 2026-11-21."""
    return local_time(utc).date().isoformat()


def _people(people: People) -> dict[str, int]:
    return {
        "total": people.total,
        "female": people.female,
        "male": people.male,
        "unknown": people.unknown,
    }


def _by_age(key: str, people: tuple[int, ...] | None) -> dict[str, dict[str, int]]:
    return {} if people is None else {key: dict(zip(AGES, people, strict=True))}


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _json(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
