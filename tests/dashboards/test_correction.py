"""The corrected totals: right on average, and as sure as they say."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from correction import NoEstimate, Row, correct

CLASSIFIERS = {
    "excellent": ((0.985, 0.010, 0.005), (0.008, 0.982, 0.010)),
    "good": ((0.955, 0.025, 0.020), (0.015, 0.955, 0.030)),
    "fair": ((0.80, 0.10, 0.10), (0.06, 0.88, 0.06)),
    "poor": ((0.65, 0.20, 0.15), (0.15, 0.75, 0.10)),
    "hesitant": ((0.70, 0.02, 0.28), (0.03, 0.92, 0.05)),
}
"""Probabilities that women, and men, are called female, male and unknown."""
FACES = (2000, 300)
PEOPLE = (200, 1000, 5000, 20000)
SHARES = (0.05, 0.2, 0.5, 0.8, 0.95)
REPEATS = 100
"""Draws of each combination; its coverage would jump about, so combinations are taken together."""
Case = tuple[str, int, int, float]


def drawn(case: Case, rng: np.random.Generator, called: float = 1.0) -> Iterator[list[Row]]:
    """Calls of people, of female and of male test faces, as often as asked for.

    People are called female or male `called` times as often as test faces.
    """
    name, faces, people, share = case
    rates = CLASSIFIERS[name]
    women = round(people * share)
    seen = [(called * f, called * m, 1 - called * (f + m)) for f, m, _ in rates]
    calls = rng.multinomial(women, seen[0], REPEATS)
    calls += rng.multinomial(people - women, seen[1], REPEATS)
    rows = (calls, *(rng.multinomial(faces // 2, row, REPEATS) for row in rates))
    for three in zip(*(row.tolist() for row in rows), strict=True):
        yield [Row(*row) for row in three]


def coverage(shares: tuple[float, ...], called: float = 1.0, seed: int = 1) -> dict[Case, float]:
    """How often the interval has the true number of women, in each combination."""
    rng = np.random.default_rng(seed)
    result = {}
    for case in itertools.product(CLASSIFIERS, FACES, PEOPLE, shares):
        women = round(case[2] * case[3])
        estimates = [correct(*three) for three in drawn(case, rng, called)]
        result[case] = float(np.mean([e.low <= women <= e.high for e in estimates]))
    return result


@pytest.mark.parametrize("called", [1.0, 0.8])
def test_the_interval_has_the_truth_in_95_of_100_cases(called: float) -> None:
    """Also if the shop's people are unknown more often than the test faces."""
    cases = coverage(SHARES, called)
    overall = float(np.mean(list(cases.values())))
    print(f"{len(cases) * REPEATS} intervals: {overall:.1%}")
    assert 0.93 <= overall <= 0.97
    for position, kind in enumerate(("classifier", "faces", "people", "share")):
        for value in dict.fromkeys(case[position] for case in cases):
            stratum = [part for case, part in cases.items() if case[position] == value]
            print(f"{kind} {value}: {np.mean(stratum):.1%}")
            assert 0.93 <= np.mean(stratum) <= 0.97, (kind, value)


def test_nobody_or_everybody_is_a_woman() -> None:
    cases = coverage((0.0, 0.01, 0.99, 1.0))
    for share in (0.0, 0.01, 0.99, 1.0):
        assert 0.93 <= np.mean([part for case, part in cases.items() if case[3] == share]) <= 0.97


def test_the_estimate_is_that_of_rogan_and_gladen() -> None:
    """0.141 = (0.23 + 0.89 - 1) / (0.96 + 0.89 - 1): sensitivity 0.96, specificity 0.89."""
    assert correct(Row(230, 770, 0), Row(96, 4, 0), Row(11, 89, 0)).women == 141


def test_unknown_people_are_divided_by_how_often_each_gender_is_unknown() -> None:
    women, men = Row(600, 0, 400), Row(0, 900, 100)
    estimate = correct(Row(600, 900, 500), women, men)
    assert (estimate.people, estimate.women, estimate.unknown) == (2000, 1000, 500)
    # more people are unknown than test faces, women and men alike
    fewer = correct(Row(300, 450, 1250), women, men)
    assert (fewer.women, fewer.unknown) == (1000, 500)


def test_counts_beyond_what_the_errors_allow() -> None:
    women, men = Row(900, 100, 0), Row(100, 900, 0)
    assert correct(Row(0, 1000, 0), women, men)[1:4] == (0, 0, 0)
    assert correct(Row(1000, 0, 0), women, men)[1:4] == (1000, 1000, 1000)
    estimate = correct(Row(90, 910, 0), women, men)
    assert (estimate.women, estimate.low) == (0, 0)
    assert 15 < estimate.high < 60


def test_more_test_faces_make_it_surer() -> None:
    people = Row(9000, 11000, 200)
    widths = []
    for n in (1, 10, 100):
        estimate = correct(people, Row(95 * n, 4 * n, n), Row(3 * n, 96 * n, n))
        widths.append(estimate.high - estimate.low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_a_matrix_without_an_error_is_not_taken_for_certain() -> None:
    estimate = correct(Row(5000, 5000, 0), Row(150, 0, 0), Row(0, 150, 0))
    assert (estimate.women, estimate.low < 4980, estimate.high > 5020) == (5000, True, True)


@pytest.mark.parametrize(
    ("people", "women", "men", "reason"),
    [
        ((15, 14, 900), (900, 50, 50), (50, 900, 50), "fewer than 30 called women or men"),
        ((0, 0, 0), (900, 50, 50), (50, 900, 50), "fewer than 30 called women or men"),
        ((500, 500, 0), (49, 0, 951), (50, 900, 50), "the matrix has fewer than 50"),
        ((500, 500, 0), (900, 50, 50), (0, 0, 0), "the matrix has fewer than 50"),
        ((500, 500, 0), (500, 500, 0), (500, 500, 0), "no better than chance"),
        ((500, 500, 0), (50, 900, 50), (900, 50, 50), "no better than chance"),
        ((500, 500, 0), (60, 40, 0), (50, 50, 0), "no better than chance"),
        ((500, 500, 0), (1000, 0, 0), (1000, 0, 0), "no better than chance"),
    ],
)
def test_nothing_can_be_said(
    people: tuple[int, int, int],
    women: tuple[int, int, int],
    men: tuple[int, int, int],
    reason: str,
) -> None:
    with pytest.raises(NoEstimate, match=reason):
        correct(Row(*people), Row(*women), Row(*men))


def test_a_matrix_that_is_hardly_useful_leaves_nearly_everything_open() -> None:
    estimate = correct(Row(500, 500, 0), Row(60, 40, 0), Row(42, 58, 0))
    assert 0 <= estimate.low < 300
    assert 700 < estimate.high <= 1000
