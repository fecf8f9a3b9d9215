"""Short outages of each kind; `tests/system/storm.py` makes long ones."""

from pathlib import Path

from tests.system import storm


def test_kills_of_the_daemon_and_of_its_broker(tmp_path: Path) -> None:
    outcome = storm.kill_at_random(tmp_path, daemon_kills=4, broker_kills=2)
    assert outcome.good, outcome
    assert outcome.in_order
    assert outcome.people > 0


def test_a_broker_that_is_away_for_a_day(tmp_path: Path) -> None:
    outcome = storm.broker_away(tmp_path, hours=24)
    assert outcome.good, outcome
    assert outcome.in_order
    assert outcome.made > 1440


def test_a_link_that_is_cut_every_few_seconds(tmp_path: Path) -> None:
    outcome = storm.bad_link(tmp_path, "cut", seconds=15)
    assert outcome.good, outcome
    assert outcome.in_order


def test_a_clock_that_jumps_by_years(tmp_path: Path) -> None:
    outcome = storm.clock_jumps(tmp_path)
    assert outcome.good, outcome
    assert outcome.in_order
