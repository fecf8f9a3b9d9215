"""The expected error and its range, against an independent computation of the distribution."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import expected_error, expected_error_fit
from edge.conditions import Conditions
from edge.expected_error import MISSED, SURPLUS, ErrorModel, outside, report

TYPICAL = Conditions(30, **expected_error_fit.TYPICAL)
FLAT = dict.fromkeys(expected_error_fit.TYPICAL, 0.0)


def scaled(name: str, factor: float) -> Conditions:
    """Typical conditions but for one."""
    return Conditions(**asdict(TYPICAL) | {name: factor * expected_error_fit.TYPICAL[name]})


@given(
    st.floats(-6, 3), st.floats(0.002, 0.5), st.integers(1, 200),
)  # fmt: skip
def test_the_range_is_that_of_a_beta_binomial(intercept: float, spread: float, number: int) -> None:
    from scipy.stats import betabinom

    share = ErrorModel(FLAT, intercept, spread).expect(TYPICAL, number)
    a, b = (part * (1 / spread - 1) for part in (share.share, 1 - share.share))
    for level, end in ((0.05, share.low), (0.95, share.high)):
        # a level that is reached exactly may round to either side
        below, above = (betabinom.ppf(level + step, number, a, b) for step in (-1e-9, 1e-9))
        assert below <= round(end * number) <= above


def test_slopes_are_per_logarithm_of_a_condition() -> None:
    model = ErrorModel(FLAT | {"fps": -1.0}, 0.0, 0.01)
    assert model.share(TYPICAL) == 0.5
    assert model.share(replace(TYPICAL, fps=TYPICAL.fps / 3)) == pytest.approx(0.75)


def test_fewer_frames_less_light_and_smaller_faces_miss_more() -> None:
    share = MISSED.share(TYPICAL)
    assert 0 < share < 0.3
    for name in ("fps", "light", "face_px"):
        assert MISSED.share(scaled(name, 0.5)) >= share
    assert MISSED.share(scaled("fps", 0.5)) > share
    assert 0 < SURPLUS.share(TYPICAL) < 0.15


def test_more_people_have_a_narrower_range() -> None:
    few, many = MISSED.expect(TYPICAL, 24), MISSED.expect(TYPICAL, 2400)
    assert few.share == many.share
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize("name", expected_error_fit.RANGES)
def test_conditions_never_measured_have_no_expected_error(name: str) -> None:
    values = report(TYPICAL)
    assert values["outside"] == []
    assert 0 <= values["missed"]["low"] <= values["missed"]["share"] <= values["missed"]["high"]
    assert 0 <= values["surplus"]["low"] <= values["surplus"]["high"] <= 1
    low, high = (
        bound / expected_error_fit.TYPICAL[name] for bound in expected_error_fit.RANGES[name]
    )
    for factor in (low / 1.2, high * 1.2):
        values = report(scaled(name, factor))
        assert (values["missed"], values["surplus"], values["outside"]) == (None, None, [name])
    # a little more than was measured is still known
    assert outside(scaled(name, high * 1.05)) == []


def test_as_many_people_as_were_probably_there() -> None:
    people = expected_error.people_of(replace(TYPICAL, people=1000))
    expected = 1000 * (1 - SURPLUS.share(TYPICAL)) / (1 - MISSED.share(TYPICAL))
    assert people == round(expected)
