"""Home Assistant's discovery: how it learns of a device. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.delivery.homeassistant_entities import Expiry, Features, entities


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
    features: Features,
    expiry: Expiry,
) -> dict[str, Any]:
    """Return the payload of Home Assistant's device discovery for a daemon of this `version`.

    `topic` returns the topic of a name such as `state`.
    """
    components = entities(topic, features, expiry)
    for name, component in components.items():
        component["unique_id"] = ids.sensor(name)
    device = {
        "identifiers": [ids.device],
        "name": ids.name,
        "manufacturer": "Edge Tally",
        "model": "Audience counter",
        "sw_version": version,
        "suggested_area": ids.site,
    }
    if features.dashboard_url is not None:
        device["configuration_url"] = features.dashboard_url
    return {
        "device": device,
        "origin": {"name": "edge-tally", "sw_version": version},
        "availability_topic": topic("availability"),
        "payload_available": "online",
        "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
        "components": components,
    }
