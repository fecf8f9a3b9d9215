"""The outbox on a real disk: ordered, counted once, durable after a kill."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.delivery.outbox import Outbox
from edge.errors import EdgeError, OutboxError
from edge.types import Message, People, Totals
from tests.support.commands import wait_for, without

DAY = "2026-11-21"
WOMAN = People(female=1)


def make(epoch: str, seq: int, totals: Totals) -> Message:
    payload = json.dumps(
        {"epoch": epoch, "seq": seq, "female": totals.ever.female, "total": totals.ever.total}
    )
    return Message("t/window", payload, 1, False, seq)


def append(
    outbox: Outbox,
    people: People = WOMAN,
    make: Callable[[str, int, Totals], Message] = make,
    *,
    day: str = DAY,
    seconds: float = 60,
) -> Message:
    return outbox.append(people, day=day, seconds=seconds, make=make)


def numbers(message: Message) -> dict[str, int]:
    payload: dict[str, int] = json.loads(message.payload)
    return {key: value for key, value in payload.items() if key != "epoch"}


def epoch_of(message: Message) -> str:
    return str(json.loads(message.payload)["epoch"])


def test_each_day_counts_for_itself(tmp_path: Path) -> None:
    def today(_epoch: str, seq: int, totals: Totals) -> Message:
        return Message(totals.day, str(totals.today.total), 1, False, seq)

    days = ["2026-11-21", "2026-11-21", "2026-11-22", "2026-11-21"]
    for day in days:  # after the last one the clock was set back
        outbox = Outbox(tmp_path / "outbox.db")
        append(outbox, People(1, 1, 1), today, day=day)
        outbox.close()
    outbox = Outbox(tmp_path / "outbox.db")
    assert [(m.topic, m.payload) for m in outbox.pending()] == list(zip(days, "3639", strict=True))
    outbox.close()


def test_of_too_many_windows_the_oldest_are_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_windows=5)
    for _ in range(8):
        append(outbox)
    assert [m.key for m in outbox.pending()] == [4, 5, 6, 7, 8]
    assert outbox.dropped() == 3
    assert caplog.text.count("the oldest windows were dropped: 1") == 3
    outbox.delete([4, 6])
    append(outbox)
    assert outbox.dropped() == 3
    outbox.close()
    outbox = Outbox(tmp_path / "outbox.db", max_windows=2)
    # nobody is lost from the totals
    message = append(outbox)
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
    assert outbox.newest == 0
    for _ in range(5):
        append(outbox)
    assert [m.key for m in outbox.pending()] == [1, 2, 3, 4, 5]
    assert [m.key for m in outbox.pending({1, 4}, limit=2)] == [2, 3]
    outbox.delete([1, 3])
    assert [m.key for m in outbox.pending()] == [2, 4, 5]
    assert len(outbox) == 3
    assert numbers(outbox.pending()[-1]) == {"seq": 5, "female": 5, "total": 5}
    outbox.close()


def test_windows_of_paused_topics_stay_and_cost_no_time(tmp_path: Path) -> None:
    def old(_epoch: str, _seq: int, _totals: Totals) -> Message:
        return Message("old/window", "x" * 1000)

    outbox = Outbox(None, max_windows=60_000)
    for _ in range(50_000):
        append(outbox, make=old)
    for _ in range(5):
        append(outbox)
    paused = frozenset({"old/window"})
    assert [m.key for m in outbox.pending({50_002}, paused, 3)] == [50_001, 50_003, 50_004]
    assert [m.key for m in outbox.pending(set(), paused)] == [
        50_001,
        50_002,
        50_003,
        50_004,
        50_005,
    ]
    outbox.delete([50_001])
    begin = time.process_time()
    for _ in range(100):
        assert [m.key for m in outbox.pending({50_002}, paused, 1)] == [50_003]
        assert [m.key for m in outbox.pending({1, 2}, limit=1)] == [3]
    assert outbox.pending(paused_topics=paused | {"t/window"}) == []
    assert time.process_time() - begin < 0.5
    append(outbox)
    assert [m.key for m in outbox.pending({50_002}, paused)][-1] == outbox.newest
    outbox.close()


def test_numbers_and_totals_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.db")
    before = append(first, People(1, 2, 3))
    first.delete([1])
    first.close()
    second = Outbox(tmp_path / "outbox.db")
    message = append(second, People(male=1))
    assert epoch_of(message) == epoch_of(before)
    assert numbers(message) == {"seq": 2, "female": 1, "total": 7}
    assert message.key == second.newest == 2
    second.close()


def test_a_message_that_cannot_be_made_counts_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    append(outbox)
    other = sqlite3.connect(tmp_path / "outbox.db")
    other.execute("INSERT INTO windows VALUES (2, 't', '{}', 1, 0, NULL, NULL, 0)")
    other.commit()
    other.close()
    with pytest.raises(EdgeError, match="cannot be used"):
        append(outbox)
    assert outbox.newest == 1
    outbox.close()


def test_a_message_that_fails_leaves_no_transaction_open(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")

    def fails(_epoch: str, seq: int, totals: Totals) -> Message:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append(outbox, make=fails)
    assert append(outbox, People(male=1)).key == 1
    outbox.close()


def test_in_memory_leaves_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outbox = Outbox(None)
    append(outbox)
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
    assert append(outbox).key == 1
    outbox.close()
    (aside,) = tmp_path.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == damage
    assert aside.name in caplog.text


def filled(path: Path, number: int = 300) -> bytes:
    """Return the bytes of an outbox with `number` windows, all in the file itself."""
    outbox = Outbox(path)
    for _ in range(number):
        append(outbox)
    outbox.close()
    return path.read_bytes()


def test_what_can_be_read_in_a_damaged_file_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.db"
    data = bytearray(filled(path))
    data[20480:28672] = os.urandom(8192)
    path.write_bytes(data)
    outbox = Outbox(path)
    saved = outbox.pending(limit=1000)
    keys = [message.key for message in saved]
    assert 200 < len(saved) < 300
    assert (keys[0], keys[-1]) == (1, 300)
    assert keys == sorted(keys, key=lambda key: key or 0)
    assert all(numbers(message)["seq"] == message.key for message in saved)
    assert f"windows saved: {len(saved)}" in caplog.text
    # the new epoch starts at 1, behind what was saved; the totals go on
    newest = append(outbox)
    assert numbers(newest) == {"seq": 1, "female": 301, "total": 301}
    assert epoch_of(newest) != epoch_of(saved[0])
    assert outbox.pending(limit=1000)[-1] == newest
    assert newest.key == 301
    assert outbox.backlog == 300
    outbox.close()
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) == 1


def break_a_page(path: Path) -> None:
    """Overwrite a page of windows, in the middle of the file."""
    data = bytearray(path.read_bytes())
    page = len(data) // 2048
    data[1024 * page : 1024 * (page + 1)] = os.urandom(1024)
    path.write_bytes(data)


def test_totals_outlive_a_damaged_file(tmp_path: Path) -> None:
    def today(_epoch: str, _seq: int, totals: Totals) -> Message:
        return Message("t", f"{totals.ever} {totals.today}")

    path = tmp_path / "outbox.db"
    filled(path, 300)
    outbox = Outbox(path, max_windows=280)
    append(outbox, People(1, 2, 3), day="2026-11-22", seconds=86_400)
    outbox.close()
    break_a_page(path)
    outbox = Outbox(path, max_days=2)
    assert 200 < len(outbox) < 280
    assert append(outbox, make=today).payload == f"{People(302, 2, 3)} {People(301)}"
    other_day = append(outbox, make=today, day="2026-11-22")
    assert other_day.payload == f"{People(303, 2, 3)} {People(2, 2, 3)}"
    assert outbox.dropped() == 21
    # and windows keep their age: a day later the first ones are too old
    for seconds in (86_400, 60, 60):  # a hundred are dropped at a time
        append(outbox, seconds=seconds)
    assert [m.key for m in outbox.pending()] == [301, 302, 303, 304, 305, 306]
    outbox.close()


def test_a_replacement_that_a_power_cut_stopped_is_finished(tmp_path: Path) -> None:
    path, log = tmp_path / "outbox.db", tmp_path / "outbox.db-wal"
    outbox = Outbox(path)
    for _ in range(5):
        append(outbox, make=lambda _epoch, seq, _totals: Message("t", f"damaged {seq}"))
    stale = log.read_bytes()
    outbox.close()
    path.unlink()
    filled(path, 80)
    path.rename(tmp_path / "outbox.db.new")
    log.write_bytes(stale)  # the damaged file is away, its log is not yet
    outbox = Outbox(path)
    assert [numbers(message)["seq"] for message in outbox.pending(limit=100)] == list(range(1, 81))
    assert numbers(append(outbox))["total"] == 81
    outbox.close()
    assert {file.name for file in tmp_path.iterdir()} == {"outbox.db", "outbox.db.lock"}


@pytest.mark.parametrize("byte", [b"9", b"\xff"], ids=["text", "no text"])
def test_a_changed_byte_in_a_window_drops_that_window_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, byte: bytes
) -> None:
    path = tmp_path / "outbox.db"
    data = filled(path, 30)
    place = data.index(b'"seq": 17') + 7
    path.write_bytes(data[:place] + byte + data[place + 1 :])
    outbox = Outbox(path)
    assert [m.key for m in outbox.pending(limit=100)] == [n for n in range(1, 31) if n != 17]
    assert outbox.dropped() == 1
    assert "windows damaged on disk and dropped: 1" in caplog.text
    outbox.close()


def test_a_changed_counter_begins_a_new_epoch(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    filled(path, 30)
    other = sqlite3.connect(path)
    other.execute("UPDATE counters SET seq = 10")  # numbers would repeat
    other.commit()
    other.close()
    outbox = Outbox(path)
    message = append(outbox)
    assert (numbers(message)["seq"], message.key) == (1, 31)
    assert len(outbox) == 31
    outbox.close()


def test_totals_by_age_outlive_damage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"

    def by_age(_epoch: str, seq: int, totals: Totals) -> Message:
        return Message("t", json.dumps(totals.ages), 1, False, seq)

    def count() -> list[int]:
        ages = (0, 1, *[0] * 6, 2)
        outbox = Outbox(path)
        message = outbox.append(
            People(3, 0, 0), day="2026-11-21", seconds=60, ages=ages, make=by_age
        )
        outbox.close()
        return list(json.loads(message.payload))

    assert count() == [0, 1, *[0] * 6, 2]
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
        other.execute("UPDATE ages SET people = -5 WHERE age = '0-3'")
        other.execute("UPDATE ages SET people = 4000 WHERE age = '57+'")
        other.commit()
    assert count() == [0, 2, *[0] * 6, 4]


def test_an_outbox_from_before_ages_were_summed(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    filled(path, 3)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE ages")
    outbox = Outbox(path)
    before = epoch_of(outbox.pending()[0])
    assert epoch_of(append(outbox)) == before
    assert len(outbox) == 4
    outbox.close()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_to_the_file_counting_goes_on(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "outbox.db", random.Random(seed)
    data = bytearray(filled(path, chance.randrange(1, 80)))
    if seed % 2:
        del data[chance.randrange(len(data)) :]
    else:
        for _ in range(chance.randrange(1, 20)):
            place = chance.randrange(len(data))
            data[place : place + 50] = chance.randbytes(50)
    path.write_bytes(data)
    outbox = Outbox(path)
    messages = [retried(lambda: append(outbox)) for _ in range(3)]
    pending = retried(lambda: outbox.pending(limit=1000))
    assert pending[-3:] == messages
    ids = [(epoch_of(message), numbers(message)["seq"]) for message in pending]
    assert len(set(ids)) == len(ids)
    outbox.delete([message.key for message in pending if message.key is not None])
    assert len(outbox) == 0
    outbox.close()


def retried(use: Callable[[], Any]) -> Any:
    """Try again what the outbox refuses, as the daemon does."""
    for _ in range(3):
        with contextlib.suppress(OutboxError):
            return use()
    return use()


@pytest.mark.parametrize("is_removed", [False, True])
def test_damage_while_it_is_open_is_recovered_from(tmp_path: Path, is_removed: bool) -> None:
    def long(_epoch: str, _seq: int, _totals: Totals) -> Message:
        return Message("t", "x" * 3000)

    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    for _ in range(1000):  # more than SQLite caches
        append(outbox, make=long)
    data = bytearray(path.read_bytes())
    data[1024:-500_000] = os.urandom(len(data) - 501_024)
    path.write_bytes(data)
    with pytest.raises(OutboxError, match="malformed"):
        outbox.pending(limit=2000)
    if is_removed:
        path.unlink()
    message = append(outbox)
    # keys never repeat: the courier identifies windows by them
    assert (numbers(message)["seq"], message.key) == (1, 1001)
    outbox.close()


def test_windows_of_more_than_max_days_are_dropped(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_days=2)
    for _ in range(5):
        append(outbox, seconds=86_400)
    assert [m.key for m in outbox.pending()] == [3, 4, 5]
    assert outbox.dropped() == 2
    outbox.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        without("only root can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk; return the file to delete."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    return filler


def test_a_full_disk_delays_and_loses_nothing(small_disk: Path) -> None:
    outbox = Outbox(small_disk / "outbox.db")
    append(outbox)
    filler = fill(small_disk)
    refused = 0
    for _ in range(2000):  # the log still has space for some
        try:
            append(outbox)
        except OutboxError as error:
            assert "full" in str(error)
            refused += 1
    assert refused
    keys = [message.key for message in outbox.pending(limit=5000)]
    assert keys == list(range(1, outbox.newest + 1))
    filler.unlink()
    assert append(outbox).key == len(keys) + 1
    outbox.close()


def test_a_disk_that_is_full_at_the_start(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filler = fill(small_disk)
    outbox = Outbox(small_disk / "outbox.db")
    assert "the disk is full; windows wait in memory" in caplog.text
    with pytest.raises(OutboxError):
        append(outbox)
    filler.unlink()
    assert append(outbox).key == 1
    outbox.close()


def test_a_damaged_file_on_a_full_disk_waits_for_space(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, filler = small_disk / "outbox.db", small_disk / "filler"
    assert len(filled(path, 15_000)) > 1_400_000
    break_a_page(path)
    # some space, but not enough for a second outbox
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 1_200_000))
    outbox = Outbox(path)
    assert "the disk is full; windows wait in memory" in caplog.text
    with pytest.raises(OutboxError, match="full"):
        append(outbox)
    assert not [*small_disk.glob("*.damaged-*"), *small_disk.glob("*.new*")]
    filler.unlink()
    assert append(outbox).key == 15_001
    assert len(outbox) > 14_900
    outbox.close()


def test_less_than_40_mb_are_written_in_a_day(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    payload = "x" * 800

    def full(_epoch: str, seq: int, _totals: Totals) -> Message:
        return Message("tally/v1/store-7/lobby/window", payload, 1, False, seq)

    before = bytes_written()
    for _ in range(1440):
        message = append(outbox, make=full)
        assert message.key is not None
        outbox.delete([message.key])
    outbox.close()
    assert 1 < bytes_written() - before < 40


def bytes_written() -> float:
    """Return the megabytes that this process has written, in whole pages or not."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return max(int(lines["write_bytes"]), int(lines["wchar"])) / 1e6


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"none/outbox\.db: cannot be opened"):
        Outbox(tmp_path / "none" / "outbox.db")


def test_a_file_that_is_busy_is_not_taken_for_damaged(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    filled(path, 3)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(EdgeError, match=r"outbox\.db: cannot be used \(database is locked"):
            Outbox(path)
    outbox = Outbox(path)
    assert len(outbox) == 3
    outbox.close()
    assert {file.name for file in tmp_path.iterdir()} == {"outbox.db", "outbox.db.lock"}


WRITER = """
import sys
from pathlib import Path
from edge.delivery.outbox import Outbox
from edge.types import Message, People
outbox = Outbox(Path(sys.argv[1]))
while True:
    message = outbox.append(
        People(female=1), day="2026-11-21", seconds=60,
        make=lambda epoch, seq, totals: Message("t", str(totals.ever.total), 1, False, seq),
    )
    print(message.key, flush=True)
"""


def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    path, printed = tmp_path / "outbox.db", tmp_path / "printed"
    newest = 0
    for _ in range(3):
        with printed.open("wb") as output:
            command = [sys.executable, "-c", WRITER, str(path)]
            writer = subprocess.Popen(command, stdout=output)
        wait_for(lambda: printed.read_text().count("\n") > 20, "the writer writes nothing")
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        keys = [int(line) for line in printed.read_text().splitlines() if line]
        outbox = Outbox(path)
        rows = outbox.pending(limit=1_000_000)
        outbox.close()
        assert keys[0] == newest + 1
        # every printed window is there, once, with matching totals
        assert [row.key for row in rows] == list(range(1, len(rows) + 1))
        assert len(rows) >= keys[-1]
        assert all(int(row.payload) == row.key for row in rows)
        newest = len(rows)
