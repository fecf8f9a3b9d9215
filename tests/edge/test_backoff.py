"""Waits double up to a limit, begin again after a success, and are not all alike."""

import pytest

from edge.backoff import Backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1, 60, (1, 1))
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_success_begins_again() -> None:
    backoff = Backoff(0.5, 60, (1, 1))
    assert [backoff.next(), backoff.next()] == [0.5, 1]
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [0.5, 1]


def test_waits_differ_within_the_jitter_and_do_not_drift() -> None:
    backoff = Backoff(10, 10, (0.5, 1.5))
    waits = [backoff.next() for _ in range(500)]
    assert 5 <= min(waits) < 6
    assert 14 < max(waits) <= 15
    assert sum(waits) / 500 == pytest.approx(10, abs=0.7)
