"""The newest result of `edge audit`, kept in `state_dir` for `info`: how wrong counts are here."""

import contextlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.atomic_file import write_atomically

NAME = "audit.json"
LEAST_TAPPED = 10
"""Of fewer people, a share says nothing, and who they were could be remembered."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Numbers of people; neither when each of them came nor who they were."""

    at: str
    """When it ended, ISO 8601 in UTC."""
    tapped: int
    """By somebody at the door."""
    counted: int
    missed: int
    """Of those tapped."""
    invented: int
    """Of those counted."""

    @property
    def is_enough(self) -> bool:
        return self.tapped >= LEAST_TAPPED

    def keep(self, state_dir: Path) -> None:
        """Replace the result of the audit before. Raises OSError."""
        state_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(state_dir / NAME, json.dumps(asdict(self)).encode())


def load_audit(state_dir: Path) -> dict[str, Any] | None:
    """The newest result as `info` has it; None if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        result = AuditResult(**json.loads((state_dir / NAME).read_text()))
        datetime.strptime(result.at, "%Y-%m-%dT%H:%M:%SZ")  # only its form counts
        numbers = (result.tapped, result.counted, result.missed, result.invented)
        if all(type(number) is int and number >= 0 for number in numbers):
            return asdict(result)
    return None
