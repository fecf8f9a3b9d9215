"""Health describes the present, and omits what a machine does not report."""

import mmap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import sd_notify
from edge.health import Health
from edge.host import (
    UNCHANGED_FILE,
    memory_mb,
    temperature_c,
    throttled,
    trim_memory,
    unload_mapped,
)
from edge.types import Box, Frame, NoFrame, Track, Visit


def test_report_is_about_the_time_since_the_last_one() -> None:
    before = time.monotonic()
    health = Health()
    begun = time.monotonic()
    for _ in range(4):
        with health.timed("detect"):
            time.sleep(0.01)
        health.record_frame()
    least = time.monotonic() - begun
    busy, elapsed = health.totals()
    report = health.report()
    most = time.monotonic() - before
    assert 0.04 <= busy["detect"] <= least <= elapsed <= most
    assert report["ms"] == {
        "detect": pytest.approx(1000 * busy["detect"] / 4, abs=0.01), "track": None,
        "classify": None,
    }  # fmt: skip
    assert report["frames"] == 4
    assert 4 / most - 0.05 <= report["fps"] <= 4 / least + 0.05
    assert report["uptime_s"] <= most + 0.5
    again = health.report()
    assert again["frames"] == 4
    assert again["fps"] == 0
    assert again["ms"]["detect"] is None


def test_a_lost_camera_is_reported_until_it_is_back() -> None:
    health = Health()
    health.record_frame()
    health.record_no_frame(NoFrame(2.0, 2.0, 2.0, "ok"))
    report = health.report()
    assert (report["camera"], report["blind_s"]) == ("ok", 2)
    health.record_no_frame(NoFrame(12.0, 12.0, 10.0, "lost"))
    health.record_no_frame(NoFrame(13.0, 13.0, 1.0, "lost"))
    report = health.report()
    assert (report["camera"], report["blind_s"]) == ("lost", 11)
    health.record_frame()
    report = health.report()
    assert (report["camera"], report["blind_s"]) == ("ok", 0)


def count_people(health: Health, people: int) -> None:
    """Count people, two at once, with faces 50 pixels wide, in a picture of gray level 80."""
    image = np.full((360, 640, 3), 80, np.uint8)
    start = health.frames_total
    for number in range(start, start + people):
        frame = Frame(number, number / 8, 0.0, image, image[:, :, 0])
        track = Track(number, Box(10, 10, 50, 50), 0.0, 0.0, confirmed=True)
        health.conditions.update(frame, [track], 2)
        health.conditions.add(Visit(0.0, 1.0, "female", 0.9, number))
        health.record_frame()


def test_the_error_is_estimated_for_enough_people() -> None:
    """Of fewer, it would show when they were there."""
    health = Health(min_people=40)
    for _ in range(2):
        count_people(health, 19)
        assert health.report()["expected_error"] is None
    count_people(health, 2)
    first = health.report()["expected_error"]
    conditions = {"people": 40, "fps": 8.0, "light": 80, "face_px": 50, "crowding": 2.0}
    assert conditions.items() <= first.items()
    assert 0 <= first["missed"]["low"] < first["missed"]["share"] < first["missed"]["high"]
    count_people(health, 39)
    assert health.report()["expected_error"] == first
    count_people(health, 3)
    assert health.report()["expected_error"]["people"] == 42


@pytest.mark.parametrize("min_people", [0, 1, 3])
def test_the_error_of_a_few_people_is_never_estimated(min_people: int) -> None:
    health = Health(min_people)
    count_people(health, 23)
    assert health.report()["expected_error"] is None
    count_people(health, 1)
    assert health.report()["expected_error"]["people"] == 24


def test_memory_is_this_process() -> None:
    before = memory_mb()
    # not from the heap, whose freed pages may be in memory already
    ballast = mmap.mmap(-1, 50 * 2**20)
    for page in range(0, len(ballast), mmap.PAGESIZE):
        ballast[page] = 1
    assert memory_mb() - before == pytest.approx(50, abs=10)
    ballast.close()


def test_memory_that_is_free_goes_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 2 KB come from the C library's heap, which does not shrink below a block in use."""
    blocks = [bytearray(2000) for _ in range(20_000)]
    last = bytearray(2000)
    full = memory_mb()
    del blocks
    trim_memory()
    assert memory_mb() < full - 20
    assert len(last) == 2000

    def without_trim(_: object) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", without_trim)
    trim_memory()


def test_a_mapped_file_leaves_the_memory_and_can_still_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a model"
    file.write_bytes(bytes(range(256)) * 160_000)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        before = sum(data[::4096])
        loaded = memory_mb()
        unload_mapped(file)
        # 41 MB less; to read what is mapped takes some itself
        assert memory_mb() < loaded - 30
        assert sum(data[::4096]) == before
    unload_mapped(tmp_path / "none")


def test_code_of_libraries_leaves_the_memory_and_can_still_be_run(tmp_path: Path) -> None:
    """A file of our own stands for a library: others' pages may have left before."""
    file = tmp_path / "a library"
    file.write_bytes(bytes(range(256)) * 160_000)
    picture = np.arange(12_000, dtype=np.uint8).reshape(80, 50, 3)
    before = cv2.GaussianBlur(picture, (5, 5), 0) @ np.ones((3, 2))
    rights = mmap.PROT_READ | mmap.PROT_EXEC
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, mmap.MAP_PRIVATE, rights) as library,
    ):
        code = sum(library[::4096])
        loaded = memory_mb()
        unload_mapped()
        assert memory_mb() < loaded - 30
        assert sum(library[::4096]) == code
    assert (cv2.GaussianBlur(picture, (5, 5), 0) @ np.ones((3, 2)) == before).all()


@pytest.mark.parametrize(
    ("rights", "path", "anonymous", "swap", "unchanged"),
    [
        ("r-xp", " /lib/a library.so", 0, 0, True),
        ("r--s", " /models/a.tflite", 0, 0, True),
        ("r--p", " /lib/a.so", 4, 0, False),
        ("r--p", " /lib/a.so", 0, 4, False),
        ("rw-s", " /state/a.db-shm", 0, 0, False),
        ("---p", " /lib/a.so", 0, 0, False),
        ("r-xp", " [vdso]", 0, 0, False),
        ("r--p", "", 0, 0, False),
    ],
)
def test_only_files_whose_pages_are_unchanged_leave_the_memory(
    rights: str, path: str, anonymous: int, swap: int, unchanged: bool
) -> None:
    def mapping(begin: str, anonymous: int, swap: int, rights: str, path: str) -> str:
        return (
            f"{begin}-7ffff000 {rights} 00002000 fe:00 260386 {path}\nRss: 20 kB\n"
            f"Anonymous: {anonymous:12} kB\nKSM: 0 kB\nSwap: {swap:12} kB\nSwapPss: 0 kB\n"
        )

    begins = ["6fff0000", "7fff0000", "8fff0000"]
    text = mapping(begins[0], 4, 4, "rw-p", "")
    text += mapping(begins[1], anonymous, swap, rights, path)
    text += mapping(begins[2], 0, 0, "r-xp", " /last")
    found = [(m["begin"], m["path"]) for m in UNCHANGED_FILE.finditer(text)]
    assert found == [(begins[1], path.strip())] * unchanged + [(begins[2], "/last")]


def test_a_raspberry_pi_reports_temperature_and_throttling(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert temperature_c(file) is None
    assert throttled(file) is None
    file.write_text("51540\n")
    assert temperature_c(file) == 51.5
    file.write_text("50000\n")
    assert throttled(file) == 0x50000


def test_notify_without_systemd_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    sd_notify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    sd_notify.notify("READY=1")


def test_notify_by_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0edge-tally-test")
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@edge-tally-test")
        sd_notify.notify("READY=1", "STATUS=counting")
        assert listener.recv(100) == b"READY=1\nSTATUS=counting"


def test_a_stage_is_timed_without_those_that_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 3.0, 4.0, 8.0, 16.0, 20.0, 21.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    health = Health()
    with health.timed("track"):
        with health.timed("classify"):
            pass
        with health.timed("classify"):
            pass
    with health.timed("detect"):
        pass
    stages, _ = health.totals()
    assert stages == {"detect": 1.0, "track": 10.0, "classify": 6.0}
