"""What is published, as topics and versioned JSON. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from edge.discovery import Ids, discovery
from edge.hours import on_the_wall
from edge.records import AGES, Message, People, Totals, Window

SCHEMA = 1
DWELL_BINS = ("0-5", "5-15", "15-30", "30-60", "60+")
"""Names of the dwell bins, seconds."""
NO_MODEL = "none@00000000"
"""What stands for the model where there is none."""


class Messages:
    """Makes every message of one device."""

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
    ) -> None:
        """`site` and `device` are topic levels; no discovery where its prefix is None.

        `legacy_ids` are those that Home Assistant knew the device by before (`discovery.Ids`).
        Without a `model`, or without `gender`, people are shown by their total alone. `age_model`
        is named where it is another one. With `ages` Home Assistant gets a sensor for each group.
        `window_seconds`, `max_hold` (as for `count.Counter`) and `health_seconds` say how long
        Home Assistant may have to wait for the next `state` and `health`.
        """
        self._site, self._device = site, device
        self._model, self._age_model = model, age_model
        self._gender, self._ages = gender and model is not None, ages
        self._prefix = discovery_prefix
        self._ids = Ids(site, device, legacy_ids)
        self._window_seconds, self._max_hold = window_seconds, max_hold
        self._health_seconds = health_seconds
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
        by_gender = window.split and self._gender
        if window.split:
            dwell |= dict(zip(DWELL_BINS, window.dwell_bins, strict=True))
        ages = {} if window.ages is None else {"ages": dict(zip(AGES, window.ages, strict=True))}
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
            **ages,
            "dwell_s": dwell,
            "presence": {
                "peak": window.presence_peak,
                "mean": _rounded(window.presence_mean, 2),
            },
            "coverage": _rounded(window.coverage, 3),
            "totals": _people(totals.ever),
            "today": {"date": totals.day, **_people(totals.today)},
            "model": self._model or NO_MODEL,
            **age_model,
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

    def check(self) -> list[Message]:
        """On a topic that nobody needs: whether the broker takes what must arrive.

        First an empty one to be retained, which leaves nothing behind and is fit for a will; then
        one of blanks, as long as a window of very many people.
        """
        many = People(10**5, 10**5, 10**5)
        longest = self.window(
            Window(
                start=0, end=0, seconds=1e5, people=many, split=True, dwell_mean=1e5,
                dwell_bins=(10**5,) * len(DWELL_BINS), presence_peak=10**4, presence_mean=1e4,
                coverage=0.999, ages=(10**5,) * len(AGES) if self._ages else None,
            ),
            epoch="00000000", seq=10**7, totals=Totals(many, local_day(0), many),
            time_synced=False,
        )  # fmt: skip
        return [Message(self._topic("check"), "", qos=1, retain=True), self.blank(longest)]

    def blank(self, message: Message) -> Message:
        """As many bytes as `message` has, on the topic that nobody needs."""
        topic = self._topic("check")
        size = len((message.topic + message.payload).encode()) - len(topic)
        return Message(topic, " " * max(0, size), qos=1)

    def forgotten(self) -> list[Message]:
        """Takes everything that a broker retains of this device away again."""
        # discovery first: Home Assistant would complain of empty values of a device it still knows
        topics = [] if self._prefix is None else [f"{self._prefix}/{self._ids.topic}"]
        topics += [self._topic(name) for name in ("availability", "state", "health", "info")]
        return [Message(topic, "", qos=1, retain=True) for topic in topics]

    def forgotten_ids(self) -> list[Message]:
        """Takes away what Home Assistant may know of the device by the ids not in use."""
        if self._prefix is None:
            return []
        others = replace(self._ids, legacy=not self._ids.legacy)
        return [Message(f"{self._prefix}/{others.topic}", "", qos=1, retain=True)]

    def discovery(self, version: str) -> list[Message]:
        """Home Assistant's device discovery, or nothing where it is switched off."""
        if self._prefix is None:
            return []
        payload = discovery(
            version,
            ids=self._ids,
            topic=self._topic,
            gender=self._gender,
            ages=self._ages,
            window_seconds=self._window_seconds,
            max_hold=self._max_hold,
            health_seconds=self._health_seconds,
        )
        return [Message(f"{self._prefix}/{self._ids.topic}", _json(payload), qos=1, retain=True)]


def replayed(message: Message) -> Message:
    """The same window, marked as delivered late."""
    payload = json.loads(message.payload) | {"replayed": True}
    return Message(message.topic, _json(payload), message.qos, message.retain, message.key)


def restamped(payload: str, seconds: float) -> str:
    """The window in `payload` as it is stamped by a clock that is so many seconds ahead."""
    window = json.loads(payload)
    for end in ("start", "end"):
        window["window"][end] = iso(
            datetime.fromisoformat(window["window"][end]).timestamp() + seconds
        )
    return _json(window | {"time_synced": True})


def iso(utc: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the second."""
    stamp = datetime.fromtimestamp(round(utc), UTC)
    return stamp.isoformat().replace("+00:00", "Z")


def local_day(utc: float) -> str:
    """The date of a moment in the device's own time zone: 2026-11-21."""
    return on_the_wall(utc).date().isoformat()


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
