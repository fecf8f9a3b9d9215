"""How the devices are now, for the page."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tools.collection.liveness import Device, Light

CURRENT_S = 1200
"""A window older than this says nothing about now: none is withheld for longer, seconds."""
ALIVE: tuple[Light, ...] = ("online", "hot", "camera")
MOST_TEXT = 200


WATCHED_ENOUGH = 0.5
"""A camera that saw less of its newest window is blind: covered, cut off, or too slow."""
WORST_FIRST = (
    "late", "offline", "camera", "blind", "hot", "outdated", "stopped", "waiting", "resting",
)  # fmt: skip
"""States of a device, and how urgent they are."""

Version = tuple[tuple[int, ...], bool]


def status(live: Mapping[tuple[str, str], Device], now: float) -> list[dict[str, Any]]:
    """One entry for each device, by site and name; nothing in it changes by time alone but states.

    Times are in seconds since 1970.
    """
    newest = newest_version(str(device.info.get("version", "")) for device in live.values())
    return [_entry(*name, device, now, newest) for name, device in live.items()]


def _entry(
    site: str, name: str, device: Device, now: float, newest: Version | None
) -> dict[str, Any]:
    light, heard = device.light(now), max(device.heard or 0.0, device.lived)
    version = str(device.info.get("version", ""))[:MOST_TEXT]
    states: list[str] = [light] if light != "online" else []
    coverage = _number(device.state.get("coverage")) if now - device.ended <= CURRENT_S else None
    if light in ALIVE and coverage is not None and coverage < WATCHED_ENOUGH:
        states.append("blind")
    if (own := read_version(version)) and newest and own < newest:
        states.append("outdated")
    return {
        "site": site,
        "device": name,
        "light": light,
        "states": sorted(states, key=WORST_FIRST.index),
        "heard": round(heard) or None,
        "health": None if device.health_at is None else round(device.health_at),
        "facing": _facing(device, now) if light in ALIVE else None,
        "is_live": device.presence is not None,
        "coverage": coverage,
        "temperature_c": _number(device.health.get("temperature_c")),
        "fps": _number(device.health.get("fps")),
        "outbox": _number(device.health.get("outbox")),
        "dropped": _number(device.health.get("dropped")),
        "version": version,
    }


def read_version(text: str) -> Version | None:
    """To compare: 1.10 is newer than 1.9, and newer than 1.10rc1; None if it is none."""
    match = re.fullmatch(r"v?(\d{1,9}(?:\.\d{1,9})*)([-+.~]?[a-zA-Z].*)?", text, re.DOTALL)
    if match is None:
        return None
    numbers = tuple(map(int, match[1].split(".")))
    while numbers and numbers[-1] == 0:  # 1.2.0 is 1.2
        numbers = numbers[:-1]
    return numbers, not re.match(r"[-.~]?(a|b|rc|dev|alpha|beta)", match[2] or "")


def newest_version(texts: Iterable[str]) -> Version | None:
    return max((v for text in texts if (v := read_version(text)) is not None), default=None)


def _facing(device: Device, now: float) -> float | None:
    """People who face the camera: as the device says at each change, else its newest minute."""
    if device.presence is not None:
        return device.presence
    presence = device.state.get("presence", {})
    if now - device.ended > CURRENT_S or not isinstance(presence, dict):
        return None
    return _number(presence.get("mean"))


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < 1e12 else None
