"""A real Home Assistant that has nothing but MQTT, for tests/system/check_homeassistant.py.

Run by the Python of build/homeassistant: FOLDER for its configuration, PORT of the broker, and a
PORT of its own. Prints a JSON line whenever an entity or a complaint is new; ends with its stdin.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, runner
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import __version__
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
"""What is stored once somebody has entered the address of their broker."""


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("homeassistant.components.", "homeassistant.helpers.")):
            self.said.append(f"{record.name}: {record.getMessage()}")


async def main(folder: Path, broker: int, own: int) -> None:
    (folder / ".storage").mkdir()
    (folder / "configuration.yaml").write_text(
        f"http:\n  server_host: 127.0.0.1\n  server_port: {own}\n"
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
    stopped = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    shown = ""
    while not stopped.done():
        entities: dict[str, Any] = {
            entity.unique_id: {"state": state.state, **state.attributes}
            for entity in registry.entities.values()
            if entity.platform == "mqtt" and (state := hass.states.get(entity.entity_id))
        }
        now = {"version": __version__, "entities": entities, "complaints": complaints.said}
        line = json.dumps(now, default=str)
        if line != shown:
            print(line, flush=True)
            shown = line
        await asyncio.sleep(0.1)
    await hass.async_stop(force=True)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
