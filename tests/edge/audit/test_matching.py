"""Taps and visits are paired by time, and no pair more is possible."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.audit.matching import TOLERANCE_S, Tap, alone, matched
from edge.types import Visit


def visit(start: float, end: float, label: str = "female") -> Visit:
    return Visit(start, end, label, 0.9)


def number(moments: list[float], stays: list[tuple[float, float]]) -> int:
    return matched([Tap(moment, "male") for moment in moments], [visit(*stay) for stay in stays])


def test_a_tap_is_the_visit_at_that_time() -> None:
    assert number([10], [(8, 12)]) == 1
    assert number([8 - TOLERANCE_S], [(8, 12)]) == 1
    assert number([12 + TOLERANCE_S], [(8, 12)]) == 1
    assert number([13 + TOLERANCE_S], [(8, 12)]) == 0
    assert number([], [(8, 12)]) == number([10], []) == number([], []) == 0


def test_nobody_is_in_two_pairs() -> None:
    assert number([10], [(8, 12), (9, 11)]) == 1
    assert number([9, 10, 11], [(8, 12)]) == 1


def test_a_long_visit_takes_no_tap_that_a_short_one_needs() -> None:
    assert number([50, 20], [(0, 100), (48, 52)]) == 2
    assert number([50, 20], [(48, 52), (0, 100)]) == 2
    # the visit that ends first could be either tap, the other one only the later
    assert number([0, 10], [(0, 10), (12, 13)]) == 2


def test_only_those_who_came_alone_are_known() -> None:
    first, second, third = Tap(10, "male"), Tap(30, "female"), Tap(32, "male")
    visits = [visit(9, 12), visit(29, 33), visit(100, 101)]
    assert alone([first, second, third], visits) == [(first, visits[0])]
    assert alone([first], [*visits, visit(8, 9)]) == []
    # equal ones are two people all the same
    assert alone([Tap(10, "male"), Tap(10, "male")], visits) == []
    assert alone([], visits) == alone([first], []) == []


moments = st.floats(0, 60)
stays = st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(moments, max_size=5), st.lists(stays, max_size=5))
def test_no_pair_more_is_possible(taps: list[float], visits: list[tuple[float, float]]) -> None:
    size = max(len(taps), len(visits))
    padded: list[tuple[float, float] | None] = [*visits, *[None] * (size - len(visits))]
    best = max(
        sum(
            stay is not None and stay[0] - TOLERANCE_S <= tap <= stay[1] + TOLERANCE_S
            for tap, stay in zip(taps, order, strict=False)
        )
        for order in itertools.permutations(padded)
    )
    assert number(taps, visits) == best
