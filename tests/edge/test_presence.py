"""The live number of people in view: at most once a second, only on change, few people hidden."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.presence import LivePresence


def published(moments: list[tuple[float, int | None]], min_present: int = 1) -> list[object]:
    """Moments and payloads that are published."""
    presence = LivePresence(min_present)
    payloads = [(mono, presence.update(mono, present)) for mono, present in moments]
    return [(mono, payload) for mono, payload in payloads if payload is not None]


def test_it_is_published_at_first_and_then_on_change() -> None:
    moments = [(step / 10, 0 if step < 35 else 2) for step in range(100)]
    assert published(list(moments)) == [(0, "0"), (3.5, "2")]


def test_changes_within_a_second_wait_for_the_newest() -> None:
    moments = [(0.0, 1), (0.1, 2), (0.5, 4), (0.9, 3), (1.0, 3), (1.1, 1), (1.9, 3), (2.5, 3)]
    assert published(list(moments)) == [(0, "1"), (1, "3")]


def test_few_people_are_shown_as_nobody() -> None:
    moments = [(float(second), number) for second, number in enumerate((0, 1, 2, 3, 4, 2, 0))]
    assert published(list(moments), 3) == [(0, "0"), (3, "3"), (4, "4"), (5, "0")]


def test_nothing_is_claimed_while_nobody_knows() -> None:
    moments = [(0.0, 5), (1.0, None), (2.0, None), (3.0, 0)]
    assert published(list(moments), 3) == [(0, "5"), (1, ""), (3, "0")]


# Steps of 1/1024 s: sums and differences of them are exact, so that a second is a second.
@given(
    st.lists(
        st.tuples(st.integers(10, 3072).map(lambda n: n / 1024), st.none() | st.integers(0, 9)),
        max_size=80,
    ),
    st.integers(1, 5),
)
def test_never_twice_a_second_and_never_few(
    steps: list[tuple[float, int | None]], min_present: int
) -> None:
    mono, moments = 0.0, []
    for step, present in steps:
        mono += step
        moments.append((mono, present))
    presence = LivePresence(min_present)
    found = [(mono, p) for mono, now in moments if (p := presence.update(mono, now)) is not None]
    for (before, first), (after, second) in itertools.pairwise(found):
        assert after - before >= 1
        assert first != second
    assert {p for _, p in found} <= {"", "0", *map(str, range(min_present, 10))}
