"""What became of windows, and how long devices waited, from times alone."""

import math

from tests.fleet.devices import Record
from tests.fleet.outcome import Fault, judge, waits


def record(*made: float, late_s: float = 1.0, kept: int = 0) -> Record:
    """Windows acknowledged `late_s` seconds after they were made, except the last `kept`."""
    acknowledged = {n: at + late_s for n, at in enumerate(made[: len(made) - kept], 1)}
    return Record(list(made), acknowledged)


def test_an_acknowledged_window_that_never_arrives_is_lost() -> None:
    records = {"cam-0": record(10, 20, 30), "cam-1": record(10, 20, late_s=4)}
    copies = {("cam-0", 1): 1, ("cam-0", 3): 2, ("cam-1", 1): 1, ("cam-1", 2): 1}
    outcome = judge(records, copies)
    assert (outcome.sent, outcome.lost, outcome.twice, outcome.kept) == (5, 1, 1, 0)
    assert outcome.late_s == 4
    assert not outcome.good
    assert judge(records, copies | {("cam-0", 2): 1}).good
    assert not judge({}, {}).good, "nothing was measured"


def test_a_device_that_keeps_windows_is_stuck() -> None:
    outcome = judge({"cam-0": record(10, 20, kept=1)}, {("cam-0", 1): 1, ("cam-0", 2): 1})
    assert outcome.stuck == ("cam-0",)
    assert (outcome.kept, outcome.lost, outcome.good) == (1, 0, False)


def test_the_wait_for_the_next_window() -> None:
    records = {"cam-0": record(10, 20, 30, 40, late_s=5), "cam-1": record(12, 22, kept=1)}
    away = Fault("kill", began=18, ended=26, moves=False)
    assert waits(records, away) == [9, math.inf], "from the return on, whenever it was made"
    moved = Fault("kill", began=11, ended=26, moves=True)
    assert waits(records, moved) == [14, 2], "the one made since it began"
