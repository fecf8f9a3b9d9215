"""A day of trouble, and the memory of a few thousand frames; see also `tests/system/soak.py`."""

from pathlib import Path

from tests.system import soak, storm


def test_a_day_with_outages_lost_cameras_and_a_clock_that_jumps(tmp_path: Path) -> None:
    outcome = soak.week(tmp_path, days=1)
    assert outcome.good, outcome
    assert outcome.made == 1440
    assert outcome.people > 1000


def test_memory_does_not_grow(tmp_path: Path) -> None:
    clip = storm.people_walk_past(tmp_path / "clip.mp4", seconds=10)
    before, after = soak.memory(tmp_path, clip, frames=2000, warm=500)
    assert after - before < soak.GROWTH_MB
