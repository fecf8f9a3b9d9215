"""How devices are now, from what they publish beside windows."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tools.collection.published import NAME, InvalidMessage, read_window

Light = Literal["online", "waiting", "late", "offline", "stopped", "camera", "resting", "hot"]
"""`waiting`: nothing but retained messages so far, whose age is not known."""

LATE_AFTER = 3
"""A device is late after this many intervals without a report."""
USUAL_S, LEAST_S = 60.0, 5.0
"""Between two reports: if a device does not say, and the least that is counted with, seconds."""
HOT_C = 80.0
"""A Raspberry Pi slows down from here on, degrees Celsius."""
THROTTLED_NOW = 0xF
"""The bits of `throttled` that are about now."""
PROOFS = ("health", "state", "window", "presence")
"""Topics on which a device speaks for itself; `availability` may be the broker's word."""


@dataclass
class Device:
    """What one device said last."""

    started: float
    """When this program first heard of it, seconds since 1970."""
    heard: float | None = None
    """When it last said something that was not retained."""
    health_at: float | None = None
    """When its newest health came, if that was not retained: then nobody knows how old it is."""
    lived: float = 0.0
    """When its newest window ended, if its clock was set; a sign of life that may be retained."""
    availability: str = ""
    availability_at: float = 0.0
    health: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    presence: int | None = None
    """People in view now, if the device publishes it; None if nobody knows."""
    ended: float = 0.0
    """End of its newest window by its own clock, seconds since 1970."""

    @property
    def interval_s(self) -> float:
        """Between two reports, seconds."""
        health = self.info.get("config", {})
        health = health.get("health", {}) if isinstance(health, dict) else {}
        seconds = health.get("seconds") if isinstance(health, dict) else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            return max(LEAST_S, float(seconds))
        return USUAL_S

    def light(self, now: float) -> Light:
        """What to show of it; the worst thing first."""
        patience = LATE_AFTER * self.interval_s
        gone = self.availability in ("offline", "stopped")
        if gone and (self.heard is None or self.availability_at >= self.heard):
            return "stopped" if self.availability == "stopped" else "offline"
        if now - max(self.heard or 0.0, self.lived) >= patience:
            return "late" if now - self.started >= patience else "waiting"
        camera = self.health.get("camera")
        if camera in ("lost", "resting"):
            return "camera" if camera == "lost" else "resting"
        temperature, throttled = self.health.get("temperature_c"), self.health.get("throttled")
        is_hot = isinstance(temperature, int | float) and temperature >= HOT_C
        if is_hot or (isinstance(throttled, int) and throttled & THROTTLED_NOW):
            return "hot"
        return "online"


class LiveDevices:
    """All devices that the broker retains something of. May be used by several threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._devices: dict[tuple[str, str], Device] = {}

    def update(self, topic: str, payload: str, *, retained: bool) -> None:
        """Take a message; an empty one takes its part away. Raises InvalidMessage."""
        _, _, site, name, kind = topic.split("/")
        if not (re.fullmatch(NAME, site) and re.fullmatch(NAME, name)):
            raise InvalidMessage("no device has such a name")
        with self._lock:
            now = self._clock()
            if not payload:
                self._forget((site, name), kind)
                return
            window = read_window(payload) if kind in ("state", "window") else None
            value = {} if kind in ("availability", "presence") else _read(payload)
            present = _count(payload) if kind == "presence" else None
            device = self._devices.setdefault((site, name), Device(now))
            if kind == "availability":
                device.availability, device.availability_at = payload, 0.0 if retained else now
            elif kind == "presence":
                device.presence = present
            elif kind != "window":
                setattr(device, kind, value)
            if kind == "health" and not retained:
                device.health_at = now
            if kind in PROOFS and not retained and not (window and window.replayed):
                device.heard = now
            elif kind == "state" and window and window.time_synced and window.ended <= now:
                device.lived = window.ended
            if kind == "state" and window:
                device.ended = window.ended

    def _forget(self, key: tuple[str, str], kind: str) -> None:
        device = self._devices.get(key)
        if device is None:
            return
        if kind == "availability":
            device.availability = ""
        elif kind == "presence":
            device.presence = None
        elif kind in ("health", "info", "state"):
            setattr(device, kind, {})
        if not (device.availability or device.health or device.info or device.state):
            del self._devices[key]

    def snapshot(self) -> dict[tuple[str, str], Device]:
        """All devices by site and name, as they are now."""
        with self._lock:
            return {key: replace(device) for key, device in sorted(self._devices.items())}


def _count(payload: str) -> int:
    if not (payload.isascii() and payload.isdecimal() and len(payload) < 10):
        raise InvalidMessage("not a number of people")
    return int(payload)


def _read(payload: str) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise InvalidMessage("not a JSON object")
    return value
