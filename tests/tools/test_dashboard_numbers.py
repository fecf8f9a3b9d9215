"""What the dashboard's page says of days and devices, and what it never says."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.messages import DWELL_BINS
from edge.types import Message
from tests.support.published import MODEL, window
from tools.collection.correction import Matrix, Row, correct
from tools.collection.database import Database
from tools.collection.liveness import Device
from tools.collection.published import read_window
from tools.collection.store import Store
from tools.webpage.calendar import Calendar, Days, open_zone, read_days
from tools.webpage.overview import Overview, Question
from tools.webpage.table import HEADER, rows
from tools.webpage.watch import Key

UTC_ZONE = Calendar(ZoneInfo("UTC"))
DAY = date(2026, 11, 21)
"""A Saturday."""
MIDNIGHT = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())
TEN = MIDNIGHT + 10 * 3600
LOBBY: Key = ("store-7", "lobby")
DOOR: Key = ("store-7", "door")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tally.db"


def store(file: Path, *messages: Message, calendar: Calendar = UTC_ZONE) -> Store:
    made = Store(Database(str(file)), min_people=3, shift=calendar.shift)
    made.save([(read_window(m.payload), m.payload) for m in messages])
    return made


def asked(
    kept: Store, *devices: Key, first: date = DAY, last: date = DAY, now: float = TEN + 3600,
    live: dict[Key, Device] | None = None, calendar: Calendar = UTC_ZONE,
) -> dict[str, Any]:  # fmt: skip
    question = Question(Days(first, last), devices)
    return Overview(kept, calendar, 3).answer(question, live or {}, now)


def slot(answer: dict[str, Any], start: str) -> dict[str, Any]:
    (found,) = [slot for slot in answer["slots"] if slot["start"].startswith(start)]
    return dict(found)


def test_a_day_by_hour_beside_the_same_day_a_week_before(file: Path) -> None:
    week = 7 * 86400
    kept = store(
        file, window(1, TEN - week), window(2, TEN - week + 60), window(3, TEN, (4, 1, 0)),
        window(4, TEN + 60, 2), window(1, TEN + 60, device="door"),
    )  # fmt: skip
    answer = asked(kept, now=TEN + 1800)
    assert len(answer["slots"]) == 24
    nine, ten = slot(answer, "2026-11-21T09"), slot(answer, "2026-11-21T10")
    assert [nine[name] for name in ("people", "female", "male", "untold")] == [5, 4, 1, 0]
    assert [ten[name] for name in ("people", "female", "male", "untold")] == [8, 3, 2, 3]
    assert (nine["before"], ten["before"]) == (6, 6)
    assert slot(answer, "2026-11-21T20")["people"] is None
    total = answer["total"]
    assert (total["people"], total["told"], total["unknown"], total["withheld"]) == (13, 11, 1, 2)
    # half of the hour from ten is over
    assert answer["earlier"]["people"] is None, "the week before is not whole"
    assert asked(kept, LOBBY, now=TEN + 1800)["total"]["people"] == 7


def test_the_week_before_counts_up_to_the_same_time(file: Path) -> None:
    week = 7 * 86400
    before = MIDNIGHT - week
    kept = store(
        file, window(1, before + 60, 0), window(2, TEN - week), window(3, TEN - week + 60),
        window(4, TEN, (4, 1, 0)),
    )  # fmt: skip
    assert asked(kept, now=TEN + 1800)["earlier"]["people"] == 9
    assert asked(kept, now=MIDNIGHT + 2 * 86400)["earlier"]["people"] == 12


def test_time_that_was_not_watched(file: Path) -> None:
    kept = store(
        file, window(1, TEN, seconds=3600), window(2, TEN + 3600, seconds=3600, coverage=0.25),
        window(1, TEN, device="door", seconds=3600),
    )  # fmt: skip
    live = {LOBBY: Device(0.0), DOOR: Device(0.0)}
    answer = asked(kept, now=TEN + 3600, live=live)
    assert slot(answer, "2026-11-21T08")["watched"] is None, "it was not there yet"
    assert slot(answer, "2026-11-21T09")["watched"] == 1
    assert slot(answer, "2026-11-21T10")["watched"] == pytest.approx(0.125)
    # the door was removed: nothing is expected of it
    answer = asked(kept, now=TEN + 3600, live={LOBBY: Device(0.0)})
    assert slot(answer, "2026-11-21T10")["watched"] == 0.25
    # and what may be withheld is not missing yet
    answer = asked(kept, now=TEN + 3600 + 900, live={LOBBY: Device(0.0)})
    assert slot(answer, "2026-11-21T11")["watched"] is None
    answer = asked(kept, now=TEN + 3600 + 1800, live={LOBBY: Device(0.0)})
    assert slot(answer, "2026-11-21T11")["watched"] == 0


def test_people_before_the_first_window_that_was_collected(file: Path) -> None:
    device = Device(0.0, state={"today": {"date": "2026-11-21", "total": 40}})
    live = {LOBBY: device}
    answer = asked(store(file, window(1, TEN)), live=live)
    assert (answer["total"]["people"], answer["uncollected"]) == (6, 34)
    assert asked(store(file), last=DAY + timedelta(1), live=live)["uncollected"] == 0
    # yesterday's windows are there: then nothing of today is missing
    answer = asked(store(file, window(2, TEN - 86400)), live=live)
    assert answer["uncollected"] == 0


def test_the_estimate_is_that_of_the_report(file: Path) -> None:
    kept = store(
        file, *(window(seq, TEN + seq, (30, 20, 2)) for seq in range(1, 4)),
        window(1, TEN, (9, 9, 9), device="door", model="n@12345678"),
    )  # fmt: skip
    women, men = Row(900, 50, 50), Row(60, 900, 40)
    kept.save_matrix("lobby", MODEL, Matrix(MODEL, 0.6, "faces.zip", "test", women, men))
    answer = asked(kept)
    expected = correct(Row(90, 60, 6), women, men)
    found = answer["estimate"]
    assert (found["women"], found["low"], found["high"]) == expected[1:4]
    assert found["notes"] == [
        "not corrected: 27 people: no matrix of n@12345678",
        "matrix m@12345678 at min_confidence 0.6: 2000 faces of faces.zip, split test",
    ]
    kept.save_matrix("lobby", MODEL, None)
    assert "women" not in asked(kept)["estimate"]


def test_days_of_a_zone_that_is_off_by_half_an_hour(file: Path) -> None:
    kolkata = Calendar(open_zone("Asia/Kolkata"))
    start = kolkata.midnight(DAY)
    kept = store(file, window(1, start), window(2, start + 60), calendar=kolkata)
    today = asked(kept, calendar=kolkata, now=start + 3600)
    assert [slot["people"] for slot in today["slots"][:2]] == [6, None]
    assert today["slots"][0]["start"] == "2026-11-21T00:00:00+05:30"
    assert today["total"]["people"] == 6


def test_the_day_on_which_the_clock_is_put_back_has_25_hours(file: Path) -> None:
    berlin = Calendar(open_zone("Europe/Berlin"))
    day = date(2026, 10, 25)
    end = berlin.midnight(day + timedelta(1))
    kept = store(file, window(1, end))
    answer = asked(kept, first=day, last=day, calendar=berlin, now=end)
    assert len(answer["slots"]) == 25
    assert answer["slots"][-1]["people"] == answer["total"]["people"] == 6


def test_longer_ranges_have_days_weeks_and_months(file: Path) -> None:
    kept = store(file, window(1, TEN), window(2, TEN + 3 * 86400))
    for days, step, bars in ((7, "day", 7), (365, "week", 53), (800, "month", 27)):
        answer = asked(kept, first=DAY - timedelta(days - 5), last=DAY + timedelta(4))
        assert (answer["step"], len(answer["slots"])) == (step, bars)
        assert sum(slot["people"] or 0 for slot in answer["slots"]) == 12


def test_the_heat_map_has_means_of_whole_watched_hours(file: Path) -> None:
    kept = store(
        file, window(1, TEN, (3, 3, 0), seconds=3600),
        window(2, TEN + 7 * 86400, (5, 5, 0), seconds=3600),
        window(3, TEN + 14 * 86400, (9, 9, 0), seconds=3600, coverage=0.1),
    )  # fmt: skip
    last = DAY + timedelta(14)
    live = {LOBBY: Device(0.0)}
    overview = Overview(kept, UTC_ZONE, 3)
    heat = overview.heat(Question(Days(last, last), ()), live, TEN + 15 * 86400)
    assert heat["from"] == "2026-11-08"
    assert heat["means"][5][9] == 8
    assert heat["means"][5][10] is None


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (None, None, (0, 0)),
        ("2026-11-20", "2026-11-21", (-1, 0)),
        ("2026-11-20", None, (-1, -1)),
    ],
)
def test_ranges_that_can_be_asked_for(
    first: str | None, last: str | None, days: tuple[int, int]
) -> None:
    wanted = Days(*(DAY + timedelta(shift) for shift in days))
    assert read_days(first, last, DAY) == wanted


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-11-21T10:30", "2026-11-21"), ("yesterday", None), ("2026-11-22", "2026-11-21"),
        ("2001-01-01", "2026-11-21"), ("0001-01-01", "0001-01-01"), ("2026-13-01", None),
    ],
)  # fmt: skip
def test_ranges_that_cannot(first: str, last: str | None) -> None:
    with pytest.raises(ValueError, match=r"must be dates|must not be after|3660 days"):
        read_days(first, last, DAY)


def test_hours_to_download_leave_empty_what_is_not_published(file: Path) -> None:
    kept = store(file, window(1, TEN), window(2, TEN + 60, 2))
    hours = Overview(kept, UTC_ZONE, 3).by_hour(Question(Days(DAY, DAY), ()))
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows(hours, UTC_ZONE)])
    nine, ten = csv.DictReader(io.StringIO(text.getvalue()))
    assert nine["hour"] == "2026-11-21T09:00:00+00:00"
    assert (nine["women"], nine["men"], nine["unknown"], nine["withheld"]) == ("3", "2", "1", "0")
    assert (ten["people"], ten["women"], ten["men"], ten["withheld"]) == ("2", "", "", "2")
    assert (nine["dwell_mean_s"], ten["dwell_mean_s"], nine["age_0-3"]) == ("6.0", "", "")


# ---- nobody can be singled out


class Visitors(NamedTuple):
    """One window of people, as a device with `privacy.min_people: 1` would publish it."""

    device: str
    hour: int
    """Since the midnight of DAY."""
    people: tuple[int, int, int]
    """Women, men, unknown."""

    @property
    def total(self) -> int:
        return sum(self.people)


VISITORS = st.builds(
    Visitors,
    st.sampled_from(["lobby", "door"]),
    st.sampled_from([9, 10, 33]),
    st.tuples(*[st.integers(0, 2)] * 3),
)


def message(seq: int, visitors: Visitors, *, genders: bool = True) -> Message:
    """Its window; without `genders` the same people, all of them men of one age who stay longer."""
    total = visitors.total
    people = visitors.people if genders else (0, total, 0)
    ages = [*people, *[0] * 6] if genders else [*[0] * 8, total]
    end = MIDNIGHT + 3600 * visitors.hour + 60 * (1 + seq)
    stay = dict(
        zip(DWELL_BINS, (total, 0, 0, 0, 0) if genders else (0, total, 0, 0, 0), strict=True)
    )
    stays: dict[str, Any] = {
        "dwell_s": stay | {"mean": float(people[0] + 2 if genders else 9) if total else None},
        "attention_s": stay | {"mean": float(people[0] + 1 if genders else 8) if total else None},
    }
    return window(seq, end, people, device=visitors.device, ages=ages, **stays)


class View(NamedTuple):
    """What one answer says, and of which windows it speaks."""

    windows: frozenset[int]
    told: tuple[int, ...]
    """Women, men, unknown; ages; dwell and attention: everything but the number of people."""


def views(kept: Store, past: Sequence[Visitors]) -> Iterator[View]:
    """Everything that the page can be asked for now."""
    ranges = [Days(DAY, DAY), Days(DAY + timedelta(1), DAY + timedelta(1))]
    ranges.append(Days(DAY, DAY + timedelta(1)))
    overview = Overview(kept, UTC_ZONE, 3)
    for days in ranges:
        for devices in ((), (LOBBY,), (DOOR,), (LOBBY, DOOR)):
            answer = overview.answer(Question(days, devices), {}, MIDNIGHT + 3 * 86400)
            total = answer["total"]
            told = (
                total["female"], total["male"], total["unknown"],
                *(group["people"] for group in total["ages"]["groups"]),
                *(each["people"] for each in total["stay"]["bins"]),
                round((total["stay"]["mean"] or 0) * total["stay"]["people"]),
            )  # fmt: skip
            first = 24 * (days.first - DAY).days
            hours = range(first, first + 24 * days.number)
            names = {name for _, name in devices or (LOBBY, DOOR)}
            yield View(_seen(past, names, hours), told)
            for index, each in enumerate(answer["slots"]):
                covered = (
                    hours if answer["step"] == "day" else range(first + index, first + index + 1)
                )
                windows = _seen(past, names, covered)
                yield View(windows, (each["female"], each["male"]))
        hourly = overview.by_hour(Question(days, ()))
        for (_, device, hour), sums in hourly.items():
            number = (hour - MIDNIGHT) // 3600
            told = (sums.female, sums.male, sums.told - sums.female - sums.male)
            yield View(
                _seen(past, {device}, range(number, number + 1)),
                (
                    *told, *sums.ages, *sums.dwell_bins, *sums.attention_bins,
                    round(sums.dwell_total), round(sums.attention_total),
                ),
            )  # fmt: skip


def _seen(past: Sequence[Visitors], names: set[str], hours: range) -> frozenset[int]:
    return frozenset(
        seq for seq, each in enumerate(past, 1) if each.device in names and each.hour in hours
    )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


def fresh(folder: Path, name: str) -> Store:
    for old in folder.glob(f"{name}.db*"):
        old.unlink()
    return store(folder / f"{name}.db")


@settings(max_examples=15)
@given(crowd=st.lists(VISITORS, min_size=1, max_size=4))
def test_no_difference_of_two_views_shows_fewer_than_three_people(
    folder: Path, crowd: list[Visitors]
) -> None:
    kept, collected = fresh(folder, "live"), []
    for seq, visitors in enumerate(crowd, 1):
        one = message(seq, visitors)
        kept.save([(read_window(one.payload), one.payload)])
        # the past views stay in the reader's hands
        collected += list(views(kept, crowd[:seq]))
    for larger, smaller in combinations({*collected}, 2):
        if smaller.windows > larger.windows:
            larger, smaller = smaller, larger
        if not smaller.windows <= larger.windows or len(larger.told) != len(smaller.told):
            continue
        apart = [crowd[seq - 1].total for seq in larger.windows - smaller.windows]
        shown = [a - b for a, b in zip(larger.told, smaller.told, strict=True)]
        if not any(total >= 3 for total in apart):
            assert not any(shown), "a few people are told apart"
        # whatever is shown of the people between the two is of three or more
        assert sum(shown[:3]) <= sum(total for total in apart if total >= 3)


@settings(max_examples=15)
@given(crowd=st.lists(VISITORS, min_size=1, max_size=4))
def test_no_view_depends_on_what_few_people_are(folder: Path, crowd: list[Visitors]) -> None:
    as_they_are, as_men = fresh(folder, "as-they-are"), fresh(folder, "as-men")
    for seq, visitors in enumerate(crowd, 1):
        for kept, genders in ((as_they_are, True), (as_men, visitors.total >= 3)):
            one = message(seq, visitors, genders=genders)
            kept.save([(read_window(one.payload), one.payload)])
    assert list(views(as_they_are, crowd)) == list(views(as_men, crowd))


def test_what_audits_found_goes_with_the_numbers(file: Path) -> None:
    kept = store(file, window(1, TEN), window(1, TEN, device="door"))
    assert asked(kept)["audit"] is None

    def audited(**audit: object) -> Device:
        return Device(0.0, info={"audit": {"at": "2026-03-03T23:20:00Z", **audit}})

    live = {
        LOBBY: audited(tapped=140, missed=6),
        DOOR: audited(tapped=60, missed=10, at="2026-04-09T10:00:00Z"),
    }
    one = asked(kept, LOBBY, live=live)["audit"]
    assert (one["devices"], one["from"], one["to"]) == (1, "2026-03-03", "2026-03-03")
    assert [round(one[name], 3) for name in ("counted", "low", "high")] == [0.957, 0.91, 0.98]
    both = asked(kept, live=live)["audit"]
    assert (both["devices"], both["tapped"], both["counted"]) == (2, 200, 0.92)
    assert (both["from"], both["to"]) == ("2026-03-03", "2026-04-09")
    for nonsense in ({"tapped": 0, "missed": 0}, {"tapped": 5, "missed": 6}, {"tapped": "x"}):
        assert asked(kept, LOBBY, live={LOBBY: audited(**nonsense)})["audit"] is None
    odd: list[dict[str, Any]] = [{"audit": []}, {"audit": {"at": "x", "tapped": 9, "missed": 1}}]
    for info in odd:
        assert asked(kept, LOBBY, live={LOBBY: Device(0.0, info=info)})["audit"] is None
