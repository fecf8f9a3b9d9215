"""Run a real Home Assistant with nothing but MQTT, for tests/system/check_homeassistant.py.

Runs with the Python of build/homeassistant. Arguments: configuration FOLDER, PORT of the broker,
its own PORT. Prints a JSON line for each new entity state or complaint; ends when stdin closes.
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
"""The entry that Home Assistant stores when a user enters a broker's address."""


class Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(("homeassistant.components.", "homeassistant.helpers.")):
            self.lines.append(f"{record.name}: {record.getMessage()}")


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
    printed = ""
    while not stopped.done():
        entities: dict[str, Any] = {
            entity.unique_id: {"state": state.state, **state.attributes}
            for entity in registry.entities.values()
            if entity.platform == "mqtt" and (state := hass.states.get(entity.entity_id))
        }
        now = {"version": __version__, "entities": entities, "complaints": complaints.lines}
        line = json.dumps(now, default=str)
        if line != printed:
            print(line, flush=True)
            printed = line
        await asyncio.sleep(0.1)
    await hass.async_stop(force=True)


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
