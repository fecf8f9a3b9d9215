"""Quiet hours: over midnight, several of them, and when the clock changes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hours import DAY_MINUTES, Hours, is_within

NIGHT, NOON = Hours.parse("22:00-07:00"), Hours.parse("12:30-13:00")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device is moved there while the program runs."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    yield
    monkeypatch.undo()
    time.tzset()


def moment(text: str) -> float:
    """Seconds since 1970 at a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("local", "quiet"),
    [
        ("00:00", True), ("06:59", True), ("07:00", False), ("12:29", False), ("12:30", True),
        ("12:59", True), ("13:00", False), ("21:59", False), ("22:00", True), ("23:59", True),
    ],
)  # fmt: skip
def test_several_parts_of_a_day(berlin: None, local: str, quiet: bool) -> None:
    utc = moment(f"2026-01-15T{local}") - 3600  # Berlin is an hour ahead in winter
    assert is_within([NIGHT, NOON], utc) is quiet
    assert not is_within([], utc)


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        # 29 March 2026: 02:00 becomes 03:00, so the night ends an hour earlier in UTC
        ("2026-03-28T05:59", True), ("2026-03-28T06:00", False),
        ("2026-03-29T00:59", True), ("2026-03-29T04:59", True), ("2026-03-29T05:00", False),
        # 25 October 2026: 03:00 becomes 02:00 again
        ("2026-10-25T04:59", True), ("2026-10-25T05:59", True), ("2026-10-25T06:00", False),
    ],
)  # fmt: skip
def test_the_night_follows_the_clock_on_the_wall(berlin: None, utc: str, quiet: bool) -> None:
    assert is_within([NIGHT], moment(utc)) is quiet


def test_an_hour_that_comes_twice_and_one_that_never_comes(berlin: None) -> None:
    early = [Hours.parse("02:00-03:00")]
    assert is_within(early, moment("2026-10-25T00:30"))
    assert is_within(early, moment("2026-10-25T01:30"))
    spring = [moment(f"2026-03-29T{hour:02}:{minute:02}") for hour in range(24)
              for minute in range(60)]  # fmt: skip
    assert not any(is_within(early, utc) for utc in spring)


def test_the_whole_day(berlin: None) -> None:
    assert all(Hours.parse("00:00-24:00").contains(minute) for minute in range(DAY_MINUTES))


@given(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1))
def test_a_part_and_its_counterpart_make_a_day(start: int, end: int) -> None:
    if start != end:
        part, rest = Hours(start, end), Hours(end, start)
        assert all(part.contains(minute) != rest.contains(minute) for minute in range(DAY_MINUTES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("22-7", "such as 22:00-07:00"),
        ("22:00 - 07:00", "such as 22:00-07:00"),
        ("22:00-07:60", "such as 22:00-07:00"),
        ("24:00-07:00", "such as 22:00-07:00"),
        ("22:00-24:01", "a day ends at 24:00"),
        ("08:00-08:00", "all day is 00:00-24:00"),
        ("", "such as 22:00-07:00"),
    ],
)
def test_text_that_is_not_a_part_of_a_day(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Hours.parse(text)
    assert repr(text) in str(caught.value)
