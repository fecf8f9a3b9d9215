"""The dashboard's database: each window once, and hours that are the sum of their windows."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.delivery.messages import replayed, restamped
from edge.errors import ConfigError
from edge.types import Message
from tests.support.published import window
from tools.collection.database import Database
from tools.collection.hourly import HOUR_S, Sums
from tools.collection.published import InvalidMessage, read_window
from tools.collection.store import Store

TEN = int(datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp())
LOBBY = [("store-7", "lobby")]
ALWAYS = (0, 2**33)


def save(store: Store, messages: Iterable[Message]) -> None:
    store.save([(read_window(m.payload), m.payload) for m in messages])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tally.db"


@pytest.fixture
def store(file: Path) -> Store:
    return Store(Database(str(file)))


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute(query).fetchall()


def test_a_window_is_kept_once_with_its_json(store: Store, file: Path) -> None:
    message = window(1, TEN, note="added later")
    save(store, [message, replayed(message), message])
    save(store, [message])
    assert rows(file, "SELECT device, epoch, seq, people, female, message FROM windows") == [
        ("lobby", "6f0c2a7e", 1, 6, 3, message.payload)
    ]
    assert store.hours(*ALWAYS, LOBBY)[TEN - HOUR_S].people == 6


def test_an_hour_has_the_windows_that_end_in_it_and_the_time_within_it(store: Store) -> None:
    save(store, [
        window(1, TEN), window(2, TEN + 60, coverage=0.5),
        # held back from 9:50 to 10:10
        window(1, TEN + 600, 2, device="door", seconds=1200),
    ])  # fmt: skip
    devices = [*LOBBY, ("store-7", "door")]
    hours = store.by_device_and_hour(*ALWAYS, devices)
    shown = {
        (device, (hour - TEN) // HOUR_S): (sums.people, sums.told, sums.seen)
        for (_, device, hour), sums in hours.items()
    }
    assert shown == {
        ("lobby", -1): (6, 6, 60), ("lobby", 0): (6, 6, 30),
        ("door", -1): (0, 0, 600), ("door", 0): (2, 0, 600),
    }  # fmt: skip
    together = store.hours(*ALWAYS, devices)
    assert together[TEN].people == 8
    assert together[TEN].peak == 3
    assert together[TEN - HOUR_S].seen == 660


def test_few_people_add_nothing_but_their_number_even_if_a_device_shows_more(file: Path) -> None:
    """As with `privacy.min_people: 1` on the device."""
    ages = (0, 0, 0, 0, 1, 1, 0, 0, 0)
    few, many = window(1, TEN, (1, 1, 0), ages=ages), window(2, TEN, (1, 2, 0))
    store = Store(Database(str(file)), min_people=3)
    save(store, [few, many])
    (sums,) = store.hours(*ALWAYS, LOBBY).values()
    assert (sums.people, sums.told, sums.female, sums.male) == (5, 3, 1, 2)
    assert (sums.aged, sums.dwell_people) == (0, 3)
    # the same database, read with another limit, is added up again
    (sums,) = Store(Database(str(file)), min_people=1).hours(*ALWAYS, LOBBY).values()
    assert (sums.told, sums.female, sums.male, sums.aged) == (5, 2, 3, 2)


def test_attention_and_ages_are_added_up_where_they_are_published(store: Store) -> None:
    attention = {"mean": 2.0, "0-5": 6, "5-15": 0, "15-30": 0, "30-60": 0, "60+": 0, "more": 1}
    ages = (0, 0, 1, 0, 4, 0, 0, 0, 1)
    save(store, [window(1, TEN, attention_s=attention, ages=ages), window(2, TEN)])
    (sums,) = store.hours(*ALWAYS, LOBBY).values()
    assert (sums.attention_people, sums.attention_total, sums.attention_bins[0]) == (6, 12.0, 6)
    assert (sums.dwell_people, sums.dwell_total) == (12, 72.0)
    assert (sums.aged, sums.ages) == (6, ages)


def test_a_clock_that_is_set_moves_a_window_and_not_back(store: Store, file: Path) -> None:
    early = window(1, TEN - 86400, time_synced=False)
    right = replace(early, payload=restamped(early.payload, 86400))
    save(store, [early])
    assert list(store.hours(*ALWAYS, LOBBY)) == [TEN - 86400 - HOUR_S]
    save(store, [right])
    save(store, [early])  # which was under way
    assert list(store.hours(*ALWAYS, LOBBY)) == [TEN - HOUR_S]
    assert rows(file, "SELECT COUNT(*) FROM windows") == [(1,)]


def test_a_gap_has_its_times_and_its_people(store: Store) -> None:
    save(
        store,
        [window(5, TEN, ever=50), window(9, TEN + 240, ever=80), window(7, TEN + 120, ever=64)],
    )
    found = store.gaps(TEN - 900, TEN + 900, LOBBY)
    assert [(gap.start, gap.end, gap.windows, gap.people) for gap in found] == [
        ("2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z", 1, 8),
        ("2026-11-21T10:02:00Z", "2026-11-21T10:03:00Z", 1, 10),
    ]
    save(store, [window(8, TEN + 180, ever=70), window(6, TEN + 60, ever=56)])
    assert store.gaps(TEN - 900, TEN + 900, LOBBY) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"people": {"total": 1, "female": 2, "male": 0}}, "more women and men than people"),
        ({"people": {"total": -1}}, "people.total"),
        ({"people": {"total": 1e300}}, "people.total"),
        ({"people": {"total": 3, "female": 1}}, "one gender without the other"),
        ({"coverage": 7}, "coverage"),
        ({"seq": 0}, "seq"),
        ({"seq": "1"}, "seq"),
        ({"device": "../x"}, "device"),
        ({"site": "\ud800"}, "JSON"),
        ({"window": {"start": "2026-11-21T10:01:00Z", "end": "2026-11-21T10:00:00Z",
                     "seconds": 60}}, "ends before it starts"),
        ({"window": {"start": "0001-01-01T00:00:00Z", "end": "9999-01-01T00:00:00Z",
                     "seconds": 60}}, "not between"),
        ({"ages": [1]}, "ages"),
    ],
)  # fmt: skip
def test_what_is_not_a_window_is_refused(change: dict[str, object], reason: str) -> None:
    payload = json.dumps(json.loads(window(1, TEN).payload) | change)
    with pytest.raises(InvalidMessage, match=reason):
        read_window(payload)


@pytest.mark.parametrize("payload", ["", "{", "[]", "7", '{"seq": NaN}', "[" * 9999 + "]" * 9999])
def test_what_is_not_json_is_refused(payload: str) -> None:
    with pytest.raises(InvalidMessage):
        read_window(payload)


def test_another_programs_table_is_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE windows (site, device, ended, started, message)")
    with pytest.raises(ConfigError, match="table of another program"):
        Store(Database(str(file)))


def test_a_path_that_cannot_be_a_database_is_a_mistake_in_use(file: Path) -> None:
    """It ends with 2."""
    file.write_text("no database " * 100)
    with pytest.raises(ConfigError, match=r"--store .*tally\.db: file is not a database"):
        Store(Database(str(file)))
    for path in (file.parent, file.parent / "none" / "tally.db"):
        with pytest.raises(ConfigError, match=f"--store {path}: unable to open"):
            Store(Database(str(path)))


COUNTS = st.one_of(
    st.tuples(*[st.integers(0, 3)] * 3), st.integers(0, 2)
)  # of women, men and unknown, or of a withheld window


@st.composite
def deliveries(draw: st.DrawFn) -> list[Message]:
    """Windows of two devices over three hours, in any order, some of them more than once."""
    messages = []
    for device in ("lobby", "door"):
        end = TEN
        for seq in range(1, draw(st.integers(0, 8)) + 1):
            seconds = draw(st.sampled_from([60.0, 600.0, 1500.0, 4000.0]))
            end += int(seconds)
            counts = draw(COUNTS)
            message = window(
                seq, end, counts, device=device, seconds=seconds,
                coverage=draw(st.sampled_from([0.0, 0.7, 1.0])),
                model=draw(st.sampled_from(["m@12345678", "n@12345678"])),
                time_synced=draw(st.booleans()),
            )  # fmt: skip
            messages.append(message)
    copies = [
        draw(st.sampled_from([
            message, replayed(message),
            replace(message, payload=restamped(message.payload, draw(st.sampled_from([0, 7200])))),
        ]))
        for message in draw(st.lists(st.sampled_from(messages), max_size=12)) if messages
    ] if messages else []  # fmt: skip
    # of two copies with a set clock the later one counts; here all have the same times
    stamps: dict[object, str] = {}
    unique = []
    for copy in (*messages, *copies):
        read = read_window(copy.payload)
        key = read.key
        if read.time_synced and stamps.setdefault(key, str(read.window)) != str(read.window):
            continue
        unique.append(copy)
    return draw(st.permutations(unique))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


def content(store: Store, file: Path) -> tuple[object, ...]:
    devices = [*LOBBY, ("store-7", "door")]
    return (
        rows(file, "SELECT * FROM hours ORDER BY site, device, hour, model"),
        rows(file, "SELECT * FROM runs ORDER BY device, epoch, first"),
        store.gaps(*ALWAYS, devices),
        {each.people for each in store.by_model(*ALWAYS, devices).values()},
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=deliveries(), data=st.data())
def test_any_order_and_repeats_give_what_adding_up_again_gives(
    folder: Path, messages: list[Message], data: st.DataObject
) -> None:
    def database(name: str) -> Path:
        for old in folder.glob(f"{name}.db*"):
            old.unlink()
        return folder / f"{name}.db"

    file = database("any-order")
    store = Store(Database(str(file)), shift=1800)
    rest = messages
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        save(store, rest[:size])
        rest = rest[size:]
    kept = content(store, file)
    # the right order, each once, all at a time
    newest = {}
    for message in sorted(messages, key=lambda m: read_window(m.payload).time_synced):
        newest[read_window(message.payload).key] = message
    other = database("in-order")
    ordered = Store(Database(str(other)), shift=1800)
    save(ordered, [newest[key] for key in sorted(newest)])
    assert content(ordered, other) == kept
    # and the same windows, added up again from their JSON
    Store(Database(str(file)), shift=0)
    assert content(Store(Database(str(file)), shift=1800), file) == kept
    people = sum(read_window(m.payload).people.total for m in newest.values())
    both = store.hours(*ALWAYS, [*LOBBY, ("store-7", "door")])
    assert sum(sums.people for sums in both.values()) == people
    assert all(isinstance(sums, Sums) for sums in both.values())
