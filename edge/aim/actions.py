"""What the page may ask for: to begin, to try other zones, to save them, and to end."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.aim import gauges
from edge.aim.config_file import rounded, write_zones, zones_yaml
from edge.aim.session import Session
from edge.config import Zones
from edge.config_errors import mistakes
from edge.errors import ConfigError
from edge.web.server import Action

RELOAD = "sudo systemctl reload-or-restart edge-tally"
"""Has the daemon read its configuration again, whether it runs or not."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    config: Path
    minutes: float
    """After which the page ends."""
    write: bool
    """Whether the page may write zones into `config`."""
    full_picture: bool
    """Whether the page shows people as they are."""


class Actions:
    """The commands of the page, and when its time is over."""

    def __init__(self, session: Session, options: Options) -> None:
        self._session, self._options = session, options
        self._ends = time.monotonic() + 60 * options.minutes
        self._over = threading.Event()
        self.by_path: Mapping[str, Action] = {
            "/viewer": self._begin,
            "/start": self._begin,
            "/zones": self._try_zones,
            "/save": self._save,
            "/end": self._end,
        }

    def end(self) -> None:
        """Let `is_over` be true from now on."""
        self._over.set()

    def is_over(self) -> bool:
        """Whether the page is to go: its time has passed, or `end` was called."""
        return self._over.is_set() or time.monotonic() >= self._ends

    def _begin(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "zones": self._session.zones.model_dump(mode="json"),
            "yaml": zones_yaml(self._session.zones),
            "limits": gauges.LIMITS,
            "full_picture": self._options.full_picture,
            "writes": str(self._options.config) if self._options.write else None,
            "reload": RELOAD,
            "seconds": max(0.0, self._ends - time.monotonic()),
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
        if not self._options.write:
            raise ConfigError("edge aim was started without --write")
        write_zones(self._options.config, self._session.zones)
        return {"saved": str(self._options.config)}

    def _end(self, _: dict[str, Any]) -> dict[str, Any]:
        self.end()
        return {}
