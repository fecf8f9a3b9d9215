"""What the page may ask for: to begin, to try other zones, to save them, and to end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.aim import gauges
from edge.aim.config_file import rounded, write_zones, zones_yaml
from edge.aim.session import Session
from edge.config import Zones
from edge.config_errors import mistakes
from edge.errors import ConfigError
from edge.web.deadline import Deadline
from edge.web.server import Action

RELOAD = "The daemon reads it with: sudo systemctl reload-or-restart edge-tally"
RETURN = "The daemon reads it as soon as this page has ended."
"""If the daemon has lent the camera."""


class Actions:
    """The commands of the page."""

    def __init__(self, session: Session, deadline: Deadline, config: Path, *, write: bool) -> None:
        """With `write` the page may write zones into the file `config`."""
        self._session, self._deadline = session, deadline
        self._config, self._write = config, write
        self.by_path: Mapping[str, Action] = {
            "/viewer": self._begin,
            "/start": self._begin,
            "/zones": self._try_zones,
            "/save": self._save,
            "/end": self._end,
        }

    def _begin(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "zones": self._session.zones.model_dump(mode="json"),
            "yaml": zones_yaml(self._session.zones),
            "limits": gauges.LIMITS,
            "full_picture": self._session.full_picture,
            "writes": str(self._config) if self._write else None,
            "reload": RETURN if self._session.has_lender else RELOAD,
            "seconds": self._deadline.seconds_left,
        }

    def _try_zones(self, values: dict[str, Any]) -> dict[str, Any]:
        try:
            zones = rounded(Zones.model_validate(values))
        except ValidationError as error:
            raise ConfigError("\n".join(mistakes(error, Zones))) from error
        if zones != self._session.zones:
            self._session.zones = zones
        return {"yaml": zones_yaml(zones)}

    def _save(self, _: dict[str, Any]) -> dict[str, Any]:
        if not self._write:
            raise ConfigError("edge aim was started without --write")
        write_zones(self._config, self._session.zones)
        return {"saved": str(self._config)}

    def _end(self, _: dict[str, Any]) -> dict[str, Any]:
        self._deadline.end()
        return {}
