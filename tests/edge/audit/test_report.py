"""Shares of people and their intervals."""

import pytest

from edge.audit.matching import Tap
from edge.audit.report import Gender, Share, report
from edge.types import Visit


@pytest.mark.parametrize(("part", "whole"), [(0, 1), (1, 1), (0, 20), (3, 20), (41, 42), (7, 4000)])
def test_the_interval_is_wilsons(part: int, whole: int) -> None:
    from scipy.stats import binomtest  # slow to import

    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    assert Share(part, whole).interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_interval_of_a_known_case() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263
    low, high = Share(81, 263).interval
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_a_share_of_nobody_says_nothing() -> None:
    assert Share(0, 0).interval == (0, 1)
    assert str(Share(0, 0)) == "0 of 0"


def test_a_share_in_words() -> None:
    assert str(Share(4, 42)) == "4 of 42: 9.5 % (95 % interval 3.8 to 22.1 %)"


def test_who_was_missed_invented_and_called_what() -> None:
    labels = ["female", "female", "female", "male", "male", "unknown", "male"]
    taps = [Tap(100.0 * number, label) for number, label in enumerate(labels)]
    calls = ["female", "male", "unknown", "male", "female", "male"]
    visits = [Visit(100.0 * n - 1, 100.0 * n + 1, call, 0.9) for n, call in enumerate(calls)]
    visits.append(Visit(5000, 5002, "female", 0.9))
    result = report(taps, visits)
    assert result.missed == Share(1, 7)  # the last one tapped
    assert result.invented == Share(1, 7)
    assert result.genders["female"] == Gender(3, 3, Share(1, 2))
    assert result.genders["male"] == Gender(3, 3, Share(1, 2))
    assert result.unknown == Share(1, 5)  # whoever could not be told by eye is no error
    lines = result.lines(gender=True)
    assert lines[0] == "people    7 tapped, 7 counted"
    assert lines[3].startswith("women     3 tapped, 3 counted; of those alone right 1 of 2: 50.0 %")
    assert [line.split()[0] for line in lines] == [
        "people", "missed", "invented", "women", "men", "unknown",
    ]  # fmt: skip
    assert result.lines(gender=False) == lines[:3]


def test_genders_of_people_who_came_together_are_not_compared() -> None:
    """The man's visit ends first; who tapped him second is not wrong about either."""
    taps = [Tap(3.0, "female"), Tap(3.5, "male")]
    result = report(taps, [Visit(1.7, 4.8, "male", 0.9), Visit(1.8, 5.3, "female", 0.9)])
    assert result.missed == result.invented == Share(0, 2)
    assert result.genders["female"] == result.genders["male"] == Gender(1, 1, Share(0, 0))
