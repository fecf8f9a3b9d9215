"""Run a real Home Assistant with nothing but MQTT, for tests/system/check_homeassistant.py.

Runs with the Python of build/homeassistant. Arguments: configuration FOLDER, PORT of the broker,
its own PORT, a folder of BLUEPRINTS, a JSON list of AUTOMATIONS. Prints a JSON line for each new
entity state or complaint. Each line on stdin is an action to call, as {"domain": "switch",
"service": "turn_on", "data": {...}}; it ends when stdin closes.
"""

import asyncio
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, runner
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry

ENTRY = {
    "domain": "mqtt",
    "entry_id": "mqtt",
    "title": "broker",
    "version": 1,
    "minor_version": 2,
    "source": "user",
    "unique_id": None,
    "options": {},
    "disabled_by": None,
    "pref_disable_new_entities": False,
    "pref_disable_polling": False,
}
"""The entry that Home Assistant stores when a user enters a broker's address."""


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("homeassistant.components.", "homeassistant.helpers.")):
            self.lines.append(f"{record.name}: {record.getMessage()}")


async def obey(hass: HomeAssistant) -> None:
    """Call the actions that come by stdin, until it closes."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        action = json.loads(line)
        await hass.services.async_call(action["domain"], action["service"], action["data"])


async def main(folder: Path, broker: int, own: int, blueprints: Path, automations: str) -> None:
    (folder / ".storage").mkdir()
    shutil.copytree(blueprints, folder / "blueprints" / "automation" / blueprints.name)
    http = {"server_host": "127.0.0.1", "server_port": own}
    (folder / "configuration.yaml").write_text(  # JSON is YAML
        json.dumps({"http": http, "automation": json.loads(automations)})
    )
    key = "core.config_entries"
    entry = ENTRY | {"data": {"broker": "127.0.0.1", "port": broker}}
    stored = {"version": 1, "key": key, "data": {"entries": [entry]}}
    (folder / ".storage" / key).write_text(json.dumps(stored))
    hass = await bootstrap.async_setup_hass(
        runner.RuntimeConfig(config_dir=str(folder), skip_pip=True)
    )
    assert hass is not None
    await hass.async_start()
    (mqtt,) = hass.config_entries.async_entries("mqtt")
    assert mqtt.state is ConfigEntryState.LOADED, mqtt.reason
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    registry = entity_registry.async_get(hass)
    stopped = asyncio.create_task(obey(hass))
    printed = ""
    while not stopped.done():
        entities: dict[str, Any] = {
            entity.unique_id: {"id": entity.entity_id, "state": state.state, **state.attributes}
            for entity in registry.entities.values()
            if entity.platform == "mqtt" and (state := hass.states.get(entity.entity_id))
        }
        on = [state.name for state in hass.states.async_all("automation") if state.state == "on"]
        now = {"version": __version__, "entities": entities, "automations": on}
        now["complaints"] = complaints.lines
        line = json.dumps(now, default=str)
        if line != printed:
            print(line, flush=True)
            printed = line
        await asyncio.sleep(0.1)
    await hass.async_stop(force=True)


asyncio.run(
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
)
