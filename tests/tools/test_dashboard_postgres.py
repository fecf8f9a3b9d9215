"""The dashboard's database on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import postgres_server
from tests.support.published import window
from tests.tools.test_dashboard_store import ALWAYS, LOBBY, TEN, save
from tools.collection.connection import StoreError
from tools.collection.correction import Matrix, Row
from tools.collection.database import Database
from tools.collection.hourly import HOUR_S
from tools.collection.store import Store


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres_server("-c", "fsync=off") as address:
        yield address


def test_it_keeps_and_adds_up_as_sqlite_does(url: str, tmp_path: Path) -> None:
    ages = (0, 0, 1, 0, 4, 0, 0, 0, 1)
    late = window(2, TEN + 60, (2, 2, 0), ever=16)
    windows = [
        window(1, TEN, ages=ages, ever=6), window(4, TEN + 4000, 2, seconds=600, ever=30), late,
        window(1, TEN, device="door"), late,
    ]  # fmt: skip
    matrix = Matrix("m@12345678", 0.6, "faces.zip", "test", Row(9, 1, 0), Row(1, 9, 0))
    kept = []
    for name in (url, str(tmp_path / "tally.db")):
        store = Store(Database(name), shift=1800)
        save(store, windows[:2])
        save(store, windows[2:])
        store.save_matrix("lobby", "m@12345678", matrix)
        store.save_matrix("lobby", "m@12345678", matrix)
        Store(Database(name), shift=0)  # adds up again
        with Database(name).reading() as connection:
            by_age = connection.execute("SELECT age, people FROM ages WHERE people > 0").fetchall()
        kept.append((
            store.hours(*ALWAYS, LOBBY), store.by_model(*ALWAYS, LOBBY), store.devices(),
            store.gaps(*ALWAYS, LOBBY), store.matrices(), sorted(map(tuple, by_age)),
        ))  # fmt: skip
    assert kept[0] == kept[1]
    assert kept[0][0][TEN - HOUR_S].people == 6
    assert [gap.people for gap in kept[0][3]] == [12]


def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"^postgresql://127.0.0.1:1/x: connection") as failure:
        Store(Database("postgresql://tally:secret@127.0.0.1:1/x"))
    assert "secret" not in str(failure.value)
