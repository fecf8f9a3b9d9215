"""What replays of films gave, as far as an expected error is fitted to it or checked by it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.conditions import Conditions
from edge.errors import ConfigError
from tools.evaluation.count_metrics import Figures


@dataclass(frozen=True, slots=True)
class Count:
    """How a film was counted in one manner."""

    film: str
    every: int
    """One frame in this many was analyzed."""
    light: float
    """Factor by which the pictures were brighter."""
    conditions: Conditions
    figures: Figures

    @property
    def errors(self) -> dict[str, tuple[int, int]]:
        """By kind of error: how many, of how many."""
        figures = self.figures
        return {
            "missed": (figures.missed, figures.people),
            "surplus": (figures.doubled + figures.invented, figures.counted),
        }


def read_counts(files: Sequence[Path]) -> list[Count]:
    """What `tools/replay.py --json` printed; films in which nobody was counted are left out.

    Raises ConfigError.
    """
    return [count for file in files for count in _read(file)]


def _read(file: Path) -> list[Count]:
    try:
        replays = json.loads(file.read_text(encoding="utf-8"))["replays"]
        return [
            Count(
                clip.pop("clip"),
                replay["every"],
                replay["light"],
                Conditions(**clip.pop("conditions")),
                Figures(**clip),
            )
            for replay in replays
            for clip in replay["clips"]
            if clip["conditions"] is not None
        ]
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: is not what tools/replay.py --clips DIR --json prints"
        ) from error
