"""Old windows are deleted, and every sum stays as if they were still there."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.delivery.messages import replayed, restamped
from edge.errors import ConfigError
from edge.types import Message
from tests.support.published import window
from tests.tools.test_dashboard_store import (
    ALWAYS,
    LOBBY,
    TEN,
    deliveries,
    file,
    folder,
    rows,
    save,
    store,
)
from tools.collection.database import Database
from tools.collection.hourly import HOUR_S
from tools.collection.published import read_window
from tools.collection.store import Store

__all__ = ["file", "folder", "store"]  # fixtures
NEVER_MORE = 10**6
BOTH = [*LOBBY, ("store-7", "door")]


def expire(store: Store, before: float) -> int:
    return store.expire(before, NEVER_MORE)


def lobby(numbers: range) -> list[Message]:
    return [window(n, TEN + 60 * n, (2, 1, 0), ever=3 * n) for n in numbers]


def hours(store: Store) -> dict[object, list[float]]:
    """With times rounded: what is added up in another order differs by less than that."""
    return {
        key: [round(value, 6) for value in sums]
        for key, sums in store.by_device_and_hour(*ALWAYS, BOTH).items()
    }


def test_sums_stay_when_windows_go(store: Store, file: Path) -> None:
    save(store, lobby(range(1, 121)))
    before = store.hours(*ALWAYS, LOBBY)
    assert expire(store, TEN + 60 * 100) == 98
    assert store.hours(*ALWAYS, LOBBY) == before
    # the first and the last one stay, by which it is known from when to when the device counted
    kept = rows(file, "SELECT seq FROM windows ORDER BY seq")
    assert kept == [(1,), *((n,) for n in range(100, 121))]
    assert [(span.first, span.last) for span in store.devices()] == [(TEN, TEN + 7200)]
    assert expire(store, TEN + 60 * 100) == 0


def test_a_window_that_was_deleted_is_not_counted_again(store: Store) -> None:
    messages = lobby(range(1, 60))
    save(store, messages)
    expire(store, TEN + 7200)
    save(store, [messages[30], replayed(messages[31]), messages[30]])
    save(store, [Message(messages[9].topic, restamped(messages[9].payload, 7200))])
    assert [sums.people for sums in store.hours(*ALWAYS, LOBBY).values()] == [3 * 59]


def test_a_late_window_is_counted_however_late(store: Store, file: Path) -> None:
    messages = lobby(range(1, 60))
    save(store, [*messages[:20], *messages[25:]])
    expire(store, TEN + 7200)
    assert [(gap.windows, gap.people) for gap in store.gaps(*ALWAYS, LOBBY)] == [(5, 15)]
    save(store, messages[20:25])
    assert [sums.people for sums in store.hours(*ALWAYS, LOBBY).values()] == [3 * 59]
    assert store.gaps(*ALWAYS, LOBBY) == []
    # what was beside the gap is now in the middle, and goes too
    assert expire(store, TEN + 7200) == 7
    assert [sums.people for sums in store.hours(*ALWAYS, LOBBY).values()] == [3 * 59]
    assert rows(file, "SELECT seq FROM windows ORDER BY seq") == [(1,), (59,)]


def test_a_window_whose_clock_was_not_set_waits_for_its_right_time(store: Store) -> None:
    early = window(2, TEN - 9 * 86400, time_synced=False)
    save(store, [window(1, TEN), early, window(3, TEN + 60)])
    assert expire(store, TEN - 86400) == 0
    save(store, [Message(early.topic, restamped(early.payload, 9 * 86400))])
    assert list(store.hours(*ALWAYS, LOBBY)) == [TEN - HOUR_S, TEN]


def test_a_device_counted_from_and_to_when_it_did_whatever_its_clock_said(store: Store) -> None:
    """A corrected time may put a window before all earlier numbers, or after all later ones."""
    times = {1: 0, 3: 120, 4: -3600, 5: 7200, 6: 300}
    save(store, [window(n, TEN + second) for n, second in times.items()])
    before = store.devices()
    assert [(span.first, span.last) for span in before] == [(TEN - 3660, TEN + 7200)]
    expire(store, TEN + 9000)
    save(store, [window(2, TEN + 60)])
    assert store.devices() == before


def test_deleted_windows_cannot_be_added_up_in_another_way(store: Store, file: Path) -> None:
    save(store, lobby(range(1, 10)))
    Store(Database(str(file)), min_people=4)  # nothing is deleted yet
    expire(Store(Database(str(file)), min_people=4), TEN + 7200)
    with pytest.raises(ConfigError, match=r"keep --min-people 4 and the time zone"):
        Store(Database(str(file)), min_people=3)
    Store(Database(str(file)), min_people=4)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=deliveries(), data=st.data())
def test_any_order_of_windows_repeats_and_deletions(
    folder: Path, messages: list[Message], data: st.DataObject
) -> None:
    """What is deleted may come again, what is late may be older than what is deleted."""
    # a corrected time that comes after its window was deleted is not believed any more
    stamps = {(read_window(m.payload).key): read_window(m.payload).window for m in messages}
    copies = [(message, read_window(message.payload)) for message in messages]
    messages = [m for m, copy in copies if copy.window == stamps[copy.key] and copy.time_synced]
    stores = []
    for name in ("all", "some"):
        for old in folder.glob(f"{name}.db*"):
            old.unlink()
        stores.append(Store(Database(str(folder / f"{name}.db")), shift=1800))
    everything, some = stores
    for message in messages:
        save(everything, [message])
        save(some, [message])
        if data.draw(st.booleans()):
            expire(some, TEN + data.draw(st.integers(0, 12)) * 1800)
    assert hours(some) == hours(everything)
    assert some.gaps(*ALWAYS, BOTH) == everything.gaps(*ALWAYS, BOTH)
    assert some.devices() == everything.devices()
