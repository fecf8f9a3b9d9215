"""Windows: nobody lost, nobody shown alone, time accounted for."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.counting import Counter
from edge.delivery.messages import DWELL_BINS
from edge.types import AGES, People, Visit, Window

UTC = 1_700_000_000.0


def visit(
    label: str = "female", stay: float = 4.0, age: str | None = None, attention: float = 0.0
) -> Visit:
    return Visit(100.0, 100.0 + stay, label, 0.9, age=age, attention_s=attention)


def test_windows_are_cut_on_the_monotonic_clock() -> None:
    counter = Counter(seconds=60, min_people=1)
    windows: list[Window] = []
    for second in range(151):
        ended = [visit("male", 20)] if second in (59, 60) else []
        windows += counter.tick(second, UTC + second, 0, ended)
    windows += counter.finish([visit()])
    assert [(w.start - UTC, w.end - UTC, w.seconds) for w in windows] == [
        (0, 60, 60), (60, 120, 60), (120, 150, 30),
    ]  # fmt: skip
    assert [w.people for w in windows] == [People(male=1), People(male=1), People(female=1)]
    assert windows[0].dwell_bins == (0, 0, 1, 0, 0)
    assert windows[0].dwell_mean == 20
    assert windows[2].dwell_bins == (1, 0, 0, 0, 0)
    assert all(w.coverage == 1 for w in windows)


def test_few_people_are_carried_forward_until_they_are_enough() -> None:
    counter = Counter(seconds=10, min_people=3, max_hold=1000)
    assert len(counter.tick(0, UTC, 0, [])) == 0
    assert len(counter.tick(10, UTC + 10, 0, [])) == 1  # nobody: published
    assert counter.tick(15, UTC + 15, 0, [visit(attention=3)]) == []
    assert counter.tick(20, UTC + 20, 0, []) == []
    men = [visit("male", 10, attention=0), visit("male", 16, attention=6)]
    assert counter.tick(30, UTC + 30, 0, men) == []
    (window,) = counter.tick(40, UTC + 40, 0, [])
    assert (window.start - UTC, window.end - UTC, window.seconds) == (10, 40, 30)
    assert window.people == People(female=1, male=2)
    assert window.broken_down
    assert (window.dwell_mean, window.dwell_bins) == (10, (1, 1, 1, 0, 0))
    assert (window.attention_mean, window.attention_bins) == (3, (2, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("stay", "name"),
    [
        (4.9, "0-5"), (5.1, "5-15"), (14.9, "5-15"), (15.1, "15-30"), (29.9, "15-30"),
        (30.1, "30-60"), (59.9, "30-60"), (60.1, "60+"),
    ],
)  # fmt: skip
def test_a_stay_counts_in_the_bin_that_names_it(stay: float, name: str) -> None:
    counter = Counter(min_people=1)
    counter.tick(0, UTC, 0, [])
    (window,) = counter.finish([visit(stay=stay)])
    assert dict(zip(DWELL_BINS, window.dwell_bins, strict=True))[name] == 1


def test_after_max_hold_the_total_stands_alone() -> None:
    counter = Counter(seconds=10, min_people=3, max_hold=20)
    counter.tick(0, UTC, 0, [])
    assert counter.tick(5, UTC + 5, 0, [visit(attention=4)]) == []
    windows = [w for t in range(10, 41, 5) for w in counter.tick(t, UTC + t, 0, [])]
    withheld, empty = windows
    assert (withheld.seconds, withheld.people, withheld.broken_down) == (
        30,
        People(unknown=1),
        False,
    )
    assert withheld.dwell_mean is withheld.attention_mean is None
    assert withheld.dwell_bins == withheld.attention_bins == (0,) * 5
    assert empty.people == People()


def test_ages_are_withheld_with_the_genders() -> None:
    counter = Counter(seconds=10, min_people=3, max_hold=20, ages=True)
    counter.tick(0, UTC, 0, [])
    (nobody,) = counter.tick(10, UTC + 10, 0, [])
    assert nobody.ages == (0,) * len(AGES)
    assert counter.tick(15, UTC + 15, 0, [visit(age="0-3"), visit(age="57+")]) == []
    assert counter.tick(20, UTC + 20, 0, [visit(age="57+")]) == []
    (three,) = counter.tick(30, UTC + 30, 0, [visit(age="21-35")])
    assert three.ages == (1, 0, 0, 0, 0, 0, 0, 2, 0)
    windows = [w for t in range(31, 61) for w in counter.tick(t, UTC + t, 0, [])]
    assert [(w.people.total, w.broken_down, w.ages) for w in windows] == [(1, False, None)]
    (last,) = counter.finish([visit(age="unknown"), visit(), visit(age="4-7")])
    assert last.ages == (0, 1, 0, 0, 0, 0, 0, 0, 2)


def test_ages_are_not_counted_unless_asked_for() -> None:
    counter = Counter(min_people=1)
    counter.tick(0, UTC, 0, [])
    (window,) = counter.finish([visit(age="57+")])
    assert window.ages is None


def test_blind_time_lowers_coverage_and_presence_is_a_mean_over_time() -> None:
    counter = Counter(seconds=10, min_people=1)
    for second in range(5):
        counter.tick(second, UTC + second, 2 if second < 2 else 0, [])
    (window,) = counter.tick(10, UTC + 10, 0, [])
    # seconds 0 to 4 were seen, and the last frame vouches for 1.5 s more
    assert window.coverage == pytest.approx(0.55)
    assert window.presence_peak == 2
    assert window.presence_mean == pytest.approx(4 / 5.5)


def test_a_person_who_leaves_after_a_boundary_was_present_on_both_sides() -> None:
    counter = Counter(seconds=10, min_people=1)
    counter.tick(9, UTC, 2, [])
    counter.tick(18.8, UTC + 9.8, 2, [])
    (before,) = counter.tick(19.5, UTC + 10.5, 0, [])
    (after,) = counter.finish([])
    for window in (before, after):
        assert (window.presence_peak, window.presence_mean) == (2, 2)


def test_a_long_gap_gives_windows_without_coverage() -> None:
    counter = Counter(seconds=10, min_people=1)
    counter.tick(0, UTC, 1, [])
    windows = counter.tick(35, UTC + 35, 0, [visit()])
    assert [w.seconds for w in windows] == [10, 10, 10]
    assert [w.coverage for w in windows] == [pytest.approx(0.15), 0, 0]
    assert counter.finish([])[0].people.total == 1


def test_windows_go_on_while_nothing_is_seen() -> None:
    counter = Counter(seconds=10, min_people=3, max_hold=20)
    counter.tick(0, UTC, 1, [])
    windows = []
    for second in range(1, 41):
        # the one in view is waited for, and leaves after two seconds
        ended = [visit()] if second == 2 else []
        windows += counter.tick(second, UTC + second, second < 2, ended, has_frame=False)
        assert len(windows) == (second == 40) + (second >= 30)
    withheld, nobody = windows
    assert (withheld.seconds, withheld.people, withheld.broken_down) == (
        30,
        People(unknown=1),
        False,
    )
    assert withheld.coverage == pytest.approx(1.5 / 30)
    assert withheld.presence_mean == 1
    assert (nobody.coverage, nobody.presence_peak, nobody.presence_mean) == (0, 0, 0)


def test_a_window_before_the_first_frame() -> None:
    counter = Counter(seconds=10, min_people=1)
    for second in range(5):
        assert counter.tick(second, UTC + second, 0, [], has_frame=False) == []
    counter.tick(5, UTC + 5, 0, [])
    for second in range(6, 10):
        counter.tick(second, UTC + second, 0, [])
    (window,) = counter.tick(10, UTC + 10, 0, [])
    assert window.coverage == 0.5


def test_a_clock_that_is_set_moves_stamps_but_not_lengths() -> None:
    counter = Counter(seconds=10, min_people=1)
    counter.tick(0, 1000.0, 0, [])
    (window,) = counter.tick(10, UTC, 0, [])
    assert (window.start, window.end, window.seconds) == (UTC - 10, UTC, 10)


def test_without_time_or_people_there_is_no_window() -> None:
    counter = Counter()
    assert counter.finish([]) == []
    counter.tick(0, UTC, 0, [])
    assert counter.finish([]) == []
    counter.tick(5, UTC + 5, 0, [])
    (window,) = counter.finish([])
    assert (window.seconds, window.people) == (5, People())


stays = st.lists(
    st.tuples(
        st.floats(0.01, 30),  # seconds since the frame before
        st.lists(
            st.tuples(st.sampled_from(["female", "male", "unknown"]), st.sampled_from(AGES)),
            max_size=4,
        ),
        st.integers(0, 5),
        st.booleans(),  # whether there was a frame
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(stays, st.sampled_from([1, 7, 60, 600]), st.integers(1, 6), st.sampled_from([0, 50, 900]))
def test_totals_equal_visits_however_time_is_cut(
    frames: list[tuple[float, list[tuple[str, str]], int, bool]],
    seconds: float,
    min_people: int,
    max_hold: float,
) -> None:
    counter = Counter(seconds=seconds, min_people=min_people, max_hold=max_hold, ages=True)
    windows: list[Window] = []
    mono = 0.0
    for step, people, present, has_frame in frames:
        mono += step
        visits = [visit(label, age=age) for label, age in people]
        windows += counter.tick(mono, UTC + mono, present, visits, has_frame=has_frame)
    windows += counter.finish([])
    counted = sum((w.people for w in windows), People())
    everybody = [person for _, people, _, _ in frames for person in people]
    assert counted.total == len(everybody)
    for window, following in itertools.pairwise(windows):
        assert window.end == pytest.approx(following.start, abs=1e-3)
    for window in windows:
        assert 0 <= window.coverage <= 1
        for bins in (window.dwell_bins, window.attention_bins):
            assert sum(bins) == (window.people.total if window.broken_down else 0)
        if window.broken_down:
            assert window.people.total == 0 or window.people.total >= min_people
            assert sum(window.ages or ()) == window.people.total
        else:
            assert window.people == People(unknown=window.people.total)
            assert window.ages is None
            assert 0 < window.people.total < min_people
    published = sum((w.people for w in windows if w.broken_down), People())
    for label in ("female", "male"):
        assert getattr(published, label) <= sum(gender == label for gender, _ in everybody)
    for group, age in enumerate(AGES):
        number = sum(w.ages[group] for w in windows if w.ages is not None)
        assert number <= sum(other == age for _, other in everybody)
