"""What is published when, with a real outbox on disk."""

import contextlib
import io
import json
import mmap
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edge.delivery.courier import Courier
from edge.delivery.jsonl_publisher import JsonLinesPublisher
from edge.delivery.outbox import Outbox
from edge.errors import EdgeError
from edge.health import Health
from edge.host import boot_id, memory_mb
from edge.presence import LivePresence
from edge.reporter import Reporter
from edge.types import Frame, Message, NoFrame, People
from tests.edge.delivery.test_messages import WINDOW, WITH_AGES, messages, window_message
from tests.support import contract


class Desk:
    """A reporter with its real neighbours."""

    def __init__(self, path: Path, **keys: Any) -> None:
        self.stream = io.StringIO()
        self.outbox, self.health = Outbox(path), Health()
        self.synced, self.ahead, self.paused = True, 0.0, False
        publisher = JsonLinesPublisher(self.stream)
        self.courier = Courier(self.outbox, publisher, threading.Event())
        self.reporter = Reporter(
            messages=messages(**keys),
            outbox=self.outbox,
            publisher=publisher,
            courier=self.courier,
            health=self.health,
            health_seconds=60,
            time_synced=lambda: self.synced,
            clock=lambda: self.ahead,
            presence=LivePresence(2),
            is_paused=lambda: self.paused,
        )

    def frame(self, mono: float) -> None:
        picture = np.zeros((4, 4, 3), np.uint8)
        self.health.record_frame()
        self.reporter.on_frame(Frame(0, mono, mono, picture, picture[:, :, 0]), [])

    def blind(self, mono: float, camera: Literal["ok", "lost", "resting"] = "lost") -> None:
        moment = NoFrame(mono, mono, 1.0, camera)
        self.health.record_no_frame(moment)
        self.reporter.on_no_frame(moment)

    def payloads(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line["payload"] for line in lines if line["topic"].endswith(f"/{name}")]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "outbox.db")
    yield desk
    desk.courier.close(0)
    desk.outbox.close()


def test_health_comes_with_the_first_frame_and_then_at_its_interval(desk: Desk) -> None:
    for mono in range(0, 130, 10):
        desk.frame(mono)
    assert [health["frames"] for health in desk.payloads("health")] == [1, 7, 13]


def test_health_reports_at_once_that_the_camera_is_lost_and_back(desk: Desk) -> None:
    desk.frame(0)
    desk.blind(2, camera="ok")  # late
    for mono in range(3, 70):
        desk.blind(mono)
    desk.frame(70)
    desk.frame(71)
    states = [(health["camera"], health["blind_s"]) for health in desk.payloads("health")]
    assert states == [("ok", 0), ("lost", 2), ("lost", 60), ("ok", 6)]


def test_health_reports_at_once_that_the_daemon_is_paused(desk: Desk) -> None:
    """Also in quiet hours, when the camera is closed already."""
    for mono in range(10):
        desk.paused = 3 <= mono < 7
        desk.blind(mono, camera="resting")
    assert [health["paused"] for health in desk.payloads("health")] == [False, True, False]


def test_presence_is_published_and_taken_back_at_the_end(desk: Desk) -> None:
    for mono, present in enumerate((0, 2, 2, 1, None)):
        desk.reporter.on_present(mono, present)
    assert desk.payloads("presence") == [0, 2, 0, ""]
    desk.reporter.on_present(9, 4)
    desk.reporter.close()
    assert desk.payloads("presence")[4:] == [4, ""]
    assert len(desk.outbox) == 0


@pytest.mark.parametrize("counted", [True, False])
def test_totals_by_age_have_everybody_since_ages_are_counted(tmp_path: Path, counted: bool) -> None:
    few = replace(WITH_AGES, people=People(unknown=2), broken_down=False, ages=None)
    for path in (tmp_path / "a.db", tmp_path / "a.db"):  # they survive a restart
        desk = Desk(path, ages=counted)
        for window in (WITH_AGES, few):
            desk.reporter.on_window(window)
        totals = [state.get("totals_by_age") for state in desk.payloads("state")]
        desk.courier.close(5)
        desk.outbox.close()
    if counted:
        assert [list(ages.values()) for ages in totals if isinstance(ages, dict)] == [
            [0, 0, 2, 0, 8, 2, 0, 0, 4], [0, 0, 2, 0, 8, 2, 0, 0, 6],
        ]  # fmt: skip
    else:
        assert totals == [None, None]


def test_windows_of_an_earlier_version_are_delivered(tmp_path: Path) -> None:
    """Without attention, and without a table for the totals by age."""
    payload = json.loads(window_message().payload)
    del payload["attention_s"]
    old = Outbox(tmp_path / "outbox.db")
    topic = window_message().topic
    old.append(
        WINDOW.people, day="2026-11-21", seconds=60, unset=(boot_id(), -10.0),
        make=lambda epoch, seq, totals: Message(topic, json.dumps(payload), 1, False, seq),
    )  # fmt: skip
    old.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as other:
        other.execute("DROP TABLE ages")
    desk = Desk(tmp_path / "outbox.db", ages=True)
    desk.frame(0)
    desk.reporter.on_window(WITH_AGES)
    assert desk.courier.close(5) == 0
    first, second = desk.payloads("window")
    contract.validate(topic, first)
    assert "attention_s" not in first
    assert "totals_by_age" in second
    desk.outbox.close()


def test_systemd_is_told_while_the_camera_is_lost(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        desk.blind(1, camera="ok")
        assert systemd.recv(100) == b"WATCHDOG=1"  # it may still come: not yet ready
        desk.blind(2)
        assert systemd.recv(100) == b"READY=1\nSTATUS=the camera is lost"
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_what_only_the_start_needed_leaves_the_memory_with_the_first_frame(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "a library"
    file.write_bytes(bytes(range(256)) * 160_000)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin = sum(data[::4096])
        loaded = memory_mb()
        desk.frame(0)
        unloaded = memory_mb()
        assert unloaded < loaded - 30
        assert sum(data[::4096]) == begin
        desk.frame(1)
        assert memory_mb() > unloaded + 30


def test_windows_that_the_disk_refuses_wait_in_memory(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    other.execute("CREATE TRIGGER no AFTER INSERT ON windows BEGIN SELECT RAISE(FAIL, 'no'); END")
    desk.reporter.on_window(WINDOW)
    assert "windows waiting in memory: 1" in caplog.text
    with pytest.raises(EdgeError, match="windows lost: 1"):
        desk.reporter.close()
    desk.frame(0)
    (health,) = desk.payloads("health")
    assert (health["outbox"], health["unsaved"]) == (1, 1)
    other.execute("DROP TRIGGER no")
    other.close()
    desk.frame(60)
    assert desk.courier.close(5) == 0
    (window,) = desk.payloads("window")
    assert desk.payloads("state") == [window]
    assert window["seq"] == 1
    desk.reporter.close()


def test_a_window_that_ends_at_midnight_belongs_to_the_day_before(desk: Desk) -> None:
    for second in (0, 1):
        end = datetime(2026, 11, 22, 0, 0, second).timestamp()
        desk.reporter.on_window(replace(WINDOW, start=end - 60, end=end))
    days = [state["today"] for state in desk.payloads("state")]
    assert days == [
        {"date": "2026-11-21", "total": 7, "female": 3, "male": 3, "unknown": 1},
        {"date": "2026-11-22", "total": 7, "female": 3, "male": 3, "unknown": 1},
    ]


def test_a_window_whose_news_reaches_nobody_is_counted_once(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outbox = Outbox(tmp_path / "outbox.db")
    with os.fdopen(writing, "w") as nobody:
        publisher = JsonLinesPublisher(nobody)
        courier = Courier(outbox, publisher, threading.Event())
        reporter = Reporter(
            messages=messages(),
            outbox=outbox,
            publisher=publisher,
            courier=courier,
            health=Health(),
            health_seconds=60,
            time_synced=lambda: True,
        )
        for expected in (1, 2):  # the first failure is not the last
            with pytest.raises(EdgeError, match=r"stdout: cannot be written \(Broken pipe\)"):
                reporter.on_window(WINDOW)
            assert outbox.newest == expected
        reporter.close()
        publisher.close(messages().availability("stopped"))
        assert courier.close(5) == 2
    outbox.close()


def test_windows_made_before_the_clock_was_set_get_their_right_time(tmp_path: Path) -> None:
    def ends(desk: Desk) -> list[tuple[str, bool]]:
        windows = [json.loads(message.payload) for message in desk.outbox.pending()]
        return [(window["window"]["end"], window["time_synced"]) for window in windows]

    desk = Desk(tmp_path / "outbox.db")
    desk.courier.close(0)  # as without a network, nothing goes out
    desk.synced, desk.ahead = False, 1000.0
    desk.reporter.on_window(WINDOW)
    desk.frame(0)
    wrong = json.loads(desk.outbox.pending()[0].payload)["window"]["end"]
    assert ends(desk) == [(wrong, False)]
    desk.outbox.close()

    desk = Desk(tmp_path / "outbox.db")  # the daemon starts again, the machine does not
    desk.courier.close(0)
    desk.synced, desk.ahead = False, 1000.0
    desk.reporter.on_window(WINDOW)
    desk.ahead += 5 * 365 * 86_400 + 90  # the network is there: the clock is set
    desk.synced = True
    desk.frame(0)
    desk.reporter.on_window(WINDOW)
    desk.frame(100)
    later = datetime.fromisoformat(wrong) + timedelta(days=5 * 365, seconds=90)
    right = later.isoformat().replace("+00:00", "Z")
    assert ends(desk) == [(right, True), (right, True), (wrong, True)]
    desk.outbox.close()


def test_a_window_that_the_disk_refused_until_the_clock_was_set_gets_its_right_time(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path / "outbox.db")
    desk.courier.close(0)
    other = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    other.execute("CREATE TRIGGER no AFTER INSERT ON windows BEGIN SELECT RAISE(FAIL, 'no'); END")
    desk.synced = False
    desk.reporter.on_window(WINDOW)
    desk.ahead += 90
    desk.synced = True
    desk.frame(0)
    other.execute("DROP TRIGGER no")
    other.close()
    desk.frame(100)
    (saved,) = (json.loads(message.payload) for message in desk.outbox.pending())
    end = datetime.fromisoformat(saved["window"]["end"])
    assert (end.timestamp(), saved["time_synced"]) == (round(WINDOW.end) + 90, True)
    desk.outbox.close()


def test_windows_of_an_earlier_boot_keep_their_stamps(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    for boot in ("before", "now"):
        outbox.append(
            WINDOW.people, day="2026-11-21", seconds=60, unset=(boot, 5.0),
            make=lambda epoch, seq, totals: Message("t", str(seq), 1, False, seq),
        )  # fmt: skip
    assert outbox.restamp("now", 8.0, lambda payload, shift: f"{payload} + {shift}") == 1
    assert [message.payload for message in outbox.pending()] == ["1", "2 + 3.0"]
    assert outbox.restamp("now", 9.0, lambda payload, shift: "again") == 0
    outbox.close()


def test_a_damaged_window_does_not_stop_the_clock_from_being_set(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "outbox.db")
    desk.courier.close(0)
    desk.synced = False
    desk.reporter.on_window(WINDOW)
    desk.reporter.on_window(WINDOW)
    other = sqlite3.connect(tmp_path / "outbox.db")
    other.execute("UPDATE windows SET payload = 'no window' WHERE key = 1")
    other.commit()
    other.close()
    desk.synced = True
    desk.frame(0)
    (left,) = desk.outbox.pending()
    assert json.loads(left.payload)["time_synced"]
    assert desk.outbox.dropped() == 1
    desk.outbox.close()
