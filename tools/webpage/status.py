"""How the devices are now, for the page."""

from collections.abc import Mapping
from typing import Any

from tools.collection.liveness import Device, Light

CURRENT_S = 1200
"""A window older than this says nothing about now: none is withheld for longer, seconds."""
ALIVE: tuple[Light, ...] = ("online", "hot", "camera")
MOST_TEXT = 200


def status(live: Mapping[tuple[str, str], Device], now: float) -> list[dict[str, Any]]:
    """One entry for each device, by site and name."""
    return [_entry(*name, device, now) for name, device in live.items()]


def _entry(site: str, name: str, device: Device, now: float) -> dict[str, Any]:
    light, heard = device.light(now), max(device.heard or 0.0, device.lived)
    return {
        "site": site,
        "device": name,
        "light": light,
        "heard_s": round(max(0.0, now - heard)) if heard else None,
        "facing": _facing(device, now) if light in ALIVE else None,
        "is_live": device.presence is not None,
        "temperature_c": _number(device.health.get("temperature_c")),
        "fps": _number(device.health.get("fps")),
        "outbox": _number(device.health.get("outbox")),
        "dropped": _number(device.health.get("dropped")),
        "version": str(device.info.get("version", ""))[:MOST_TEXT],
    }


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
