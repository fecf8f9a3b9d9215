"""The outbox on a real disk: in order, counted once, there after a kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import wait_for

from edge.errors import EdgeError, OutboxError
from edge.outbox import Outbox
from edge.records import Message, People, Totals

DAY = "2026-11-21"


def make(seq: int, totals: Totals) -> Message:
    payload = json.dumps({"seq": seq, "female": totals.ever.female, "total": totals.ever.total})
    return Message("t/window", payload, 1, False, seq)


def test_each_day_counts_for_itself(tmp_path: Path) -> None:
    def today(seq: int, totals: Totals) -> Message:
        return Message(totals.day, str(totals.today.total), 1, False, seq)

    days = ["2026-11-21", "2026-11-21", "2026-11-22", "2026-11-21"]
    for day in days:  # after the last one the clock was set back
        outbox = Outbox(tmp_path / "outbox.db")
        outbox.append(People(1, 1, 1), day, today)
        outbox.close()
    outbox = Outbox(tmp_path / "outbox.db")
    assert [(m.topic, m.payload) for m in outbox.pending()] == list(zip(days, "3639", strict=True))
    outbox.close()


def test_of_too_many_windows_the_oldest_are_dropped_and_counted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_windows=5)
    for _ in range(8):
        outbox.append(People(female=1), DAY, make)
    assert [m.key for m in outbox.pending()] == [4, 5, 6, 7, 8]
    assert outbox.dropped() == 3
    outbox.delete([4, 6])
    outbox.append(People(female=1), DAY, make)
    assert outbox.dropped() == 3
    outbox.close()
    outbox = Outbox(tmp_path / "outbox.db", max_windows=2)
    # nobody is lost from the totals
    message = outbox.append(People(female=1), DAY, make)
    assert json.loads(message.payload)["total"] == 10
    assert [m.key for m in outbox.pending()] == [9, 10]
    assert outbox.dropped() == 6
    outbox.close()


def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.db")
    with pytest.raises(OutboxError, match="another daemon uses it"):
        Outbox(tmp_path / "outbox.db")
    first.close()
    Outbox(tmp_path / "outbox.db").close()


def test_windows_wait_in_order_until_deleted(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    assert outbox.newest() == 0
    for _ in range(5):
        outbox.append(People(female=1), DAY, make)
    assert [m.key for m in outbox.pending()] == [1, 2, 3, 4, 5]
    assert [m.key for m in outbox.pending(after=2, limit=2)] == [3, 4]
    outbox.delete([1, 3])
    assert [m.key for m in outbox.pending()] == [2, 4, 5]
    assert len(outbox) == 3
    assert json.loads(outbox.pending()[-1].payload) == {"seq": 5, "female": 5, "total": 5}
    outbox.close()


def test_numbers_and_totals_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.db")
    first.append(People(1, 2, 3), DAY, make)
    first.delete([1])
    first.close()
    second = Outbox(tmp_path / "outbox.db")
    assert second.epoch == first.epoch
    message = second.append(People(male=1), DAY, make)
    assert json.loads(message.payload) == {"seq": 2, "female": 1, "total": 7}
    assert message.key == second.newest() == 2
    second.close()


def test_a_message_that_cannot_be_made_counts_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    def twice(seq: int, totals: Totals) -> Message:
        return Message("t", "{}", 1, False, seq) if seq else make(seq, totals)

    outbox.append(People(female=1), DAY, twice)
    other = sqlite3.connect(tmp_path / "outbox.db")
    other.execute("INSERT INTO windows VALUES (2, 't', '{}', 1)")
    other.commit()
    other.close()
    with pytest.raises(EdgeError, match="the disk refuses"):
        outbox.append(People(female=1), DAY, make)
    assert outbox.newest() == 1
    outbox.close()


def test_a_message_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    def fails(seq: int, totals: Totals) -> Message:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outbox.append(People(female=1), DAY, fails)
    assert outbox.append(People(male=1), DAY, make).key == 1
    outbox.close()


def test_in_memory_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outbox = Outbox(None)
    outbox.append(People(female=1), DAY, make)
    assert len(outbox) == 1
    outbox.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"these are words, not a database" * 99, b"SQLite format 3\0"])
def test_a_damaged_file_is_moved_aside(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(damage)
    outbox = Outbox(path)
    assert outbox.append(People(female=1), DAY, make).key == 1
    outbox.close()
    (aside,) = tmp_path.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == damage
    assert aside.name in caplog.text


def test_pages_overwritten_in_the_middle_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    for _ in range(300):
        outbox.append(People(female=1), DAY, make)
    epoch = outbox.epoch
    outbox.close()
    data = bytearray(path.read_bytes())
    data[4096:12288] = os.urandom(8192)
    path.write_bytes(data)
    outbox = Outbox(path)
    assert outbox.epoch != epoch
    assert len(outbox) == 0
    outbox.close()
    assert list(tmp_path.glob("outbox.db.damaged-*"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"none/outbox\.db: cannot be opened"):
        Outbox(tmp_path / "none" / "outbox.db")


WRITER = """
import sys
from pathlib import Path
from edge.outbox import Outbox
from edge.records import Message, People
outbox = Outbox(Path(sys.argv[1]))
while True:
    message = outbox.append(
        People(female=1),
        "2026-11-21",
        lambda seq, totals: Message("t", str(totals.ever.total), 1, False, seq),
    )
    print(message.key, flush=True)
"""


def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    path, told = tmp_path / "outbox.db", tmp_path / "told"
    newest = 0
    for _ in range(3):
        with told.open("wb") as output:
            command = [sys.executable, "-c", WRITER, str(path)]
            writer = subprocess.Popen(command, stdout=output)
        wait_for(lambda: told.read_text().count("\n") > 20, "the writer writes nothing")
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        said = [int(line) for line in told.read_text().splitlines() if line]
        outbox = Outbox(path)
        rows = outbox.pending(limit=1_000_000)
        outbox.close()
        assert said[0] == newest + 1
        # every window it spoke of is there, once, with totals that agree
        assert [row.key for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= said[-1]
        assert all(int(row.payload) == row.key for row in rows)
        newest = len(rows)
