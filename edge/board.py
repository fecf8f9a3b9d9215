"""What `auto` in config.yaml means on each Raspberry Pi: settings that keep it cool.

Pure. No figure here was measured on a board: docs/decisions/0008-defaults-by-board.md has their
origin and how far off they may be.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

MAX_LOAD = 0.5
"""Largest expected load, cores: warm weather and other programs need the rest."""
SMALL_SAVING = 1.25
"""Settings that take at most this many times as much as the cheapest are not given up for those:
that would lose people, and the loads are known no better."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """The values of `camera.fps`, `detector.threads` and `detector.min_face_px`."""

    fps: float = 10.0
    threads: int = 1
    min_face_px: int = 24

    def by_key(self) -> dict[str, Any]:
        """The values by their keys in config.yaml."""
        sections = {"fps": "camera", "threads": "detector", "min_face_px": "detector"}
        return {f"{sections[name]}.{name}": value for name, value in asdict(self).items()}


CHOICES = {
    Defaults(fps=10.0): 972.0,
    Defaults(fps=7.5): 930.0,
    Defaults(fps=5.0): 937.0,
    Defaults(fps=5.0, min_face_px=30): 822.0,
}
"""Million instructions per second while four people are in view, as tools/instructions.py counts
them; from what counts the most people to the least. Fewer than five frames per second lose some."""


@dataclass(frozen=True, slots=True)
class Board:
    """A family of boards with one processor."""

    name: str
    model: re.Pattern[str]
    """Beginning of the device tree's `model`."""
    mips: float
    """Million instructions of this program per second and core."""

    def load(self, settings: Defaults) -> float:
        """Cores that are expected to be busy, with one of `CHOICES`."""
        return CHOICES[settings] / self.mips


BOARDS = (
    Board("Zero 2 W", re.compile(r"Raspberry Pi Zero 2\b"), 600),
    Board("3", re.compile(r"Raspberry Pi (Compute Module )?3\b"), 840),
    Board("4", re.compile(r"Raspberry Pi (Compute Module )?(4|400|4S)\b"), 1700),
    Board("5", re.compile(r"Raspberry Pi (Compute Module )?(5|500)\b"), 3400),
)


def defaults(model: str | None) -> Defaults:
    """What `auto` means on the machine whose device tree has this `model`; None: it has none."""
    for board in BOARDS:
        if model is not None and board.model.match(model):
            limit = max(MAX_LOAD, SMALL_SAVING * min(map(board.load, CHOICES)))
            return next(choice for choice in CHOICES if board.load(choice) <= limit)
    return Defaults()
