"""The dashboard's database on a real PostgreSQL server."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import free_port
from tests.support.commands import wait_for, without
from tests.support.published import window
from tests.tools.test_dashboard_store import ALWAYS, LOBBY, TEN, save
from tools.collection.connection import StoreError
from tools.collection.correction import Matrix, Row
from tools.collection.database import Database
from tools.collection.hourly import HOUR_S
from tools.collection.store import Store


def program(name: str) -> str:
    """PostgreSQL's own, which Debian keeps off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, installed)]))
    if found is None:
        without("PostgreSQL is not installed; `make test` installs it")
    return found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own; it refuses to run as root."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        as_user: dict[str, str] = {}
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
            as_user = {"user": user}
        data, log = folder / "data", folder / "log"
        subprocess.run(
            [program("initdb"), "--no-sync", "--auth=trust", "-U", "tally", "-D", data],
            check=True, capture_output=True, cwd=folder, **as_user,  # type: ignore[call-overload]
        )  # fmt: skip
        options = ["-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [program("postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), *options],
                stderr=output, cwd=folder, **as_user,  # type: ignore[call-overload]
            )  # fmt: skip
        address = f"postgresql://tally:secret@127.0.0.1:{port}/postgres"
        try:
            wait_for(lambda: "ready to accept" in log.read_text(), "PostgreSQL does not start")
            yield address
        finally:
            server.terminate()
            server.wait(20)


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
