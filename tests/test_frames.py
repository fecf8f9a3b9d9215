"""Sources: every kind gives frames or one clear error."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import shown_source
from edge.errors import ConfigError, SourceError
from edge.frames import open_file, open_frames
from edge.records import Frame, View

MODIFIED = 1_700_000_000


def write_pictures(folder: Path, number: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{n:03}.png" for n in range(number)]
    for n, file in enumerate(files):
        cv2.imwrite(str(file), np.full((90, 160, 3), n * 10, np.uint8))
        os.utime(file, (MODIFIED, MODIFIED))
    return files


def write_video(path: Path, number: int, fps: float) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (160, 90))
    assert writer.isOpened()
    for n in range(number):
        writer.write(np.full((90, 160, 3), n * 5, np.uint8))
    writer.release()
    os.utime(path, (MODIFIED, MODIFIED))


def test_video_goes_by_its_own_clock(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi", 20, 12.5)
    frames = list(open_file(tmp_path / "clip.avi"))
    assert [f.seq for f in frames] == list(range(20))
    assert [f.mono for f in frames] == pytest.approx([n / 12.5 for n in range(20)], abs=0.002)
    assert [f.utc - f.mono for f in frames] == pytest.approx([MODIFIED] * 20)
    assert frames[0].image.shape == (90, 160, 3)
    assert frames[0].gray.shape == (90, 160)
    assert frames[19].image.mean() > frames[1].image.mean()


def test_gif_frames_have_their_own_times(clips: Path) -> None:
    frames = list(open_file(clips / "people-detection.gif"))
    assert len(frames) == 23
    assert [round(f.mono, 2) for f in frames[:4]] == [0, 0.08, 0.17, 0.25]


def test_wide_pictures_are_searched_at_less(clips: Path) -> None:
    frames = open_file(clips / "classroom.gif", View(gray_width=240))
    frame = next(frames)
    assert frame.image.shape == (270, 480, 3)
    assert frame.gray.shape == (135, 240)


def test_a_recording_is_turned_like_a_camera(tmp_path: Path) -> None:
    (file,) = write_pictures(tmp_path / "one", 1)
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:20, :20] = 255  # top left
    cv2.imwrite(str(file), picture)
    writer = cv2.VideoWriter(
        str(tmp_path / "one.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (160, 90)
    )
    writer.write(picture)
    writer.release()
    for source in (file, tmp_path / "one", tmp_path / "one.avi"):
        frame = next(open_file(source, View(rotate=90)))
        assert frame.image.shape == (160, 90, 3)
        assert frame.gray[:20, -20:].mean() > 240  # top right
        frame = next(open_file(source, View(flip_vertical=True)))
        assert frame.gray[-20:, :20].mean() > 240


def test_folder_in_order_of_names(tmp_path: Path) -> None:
    write_pictures(tmp_path / "day", 3)
    (tmp_path / "day" / "notes.txt").write_text("not a picture")
    frames = list(open_file(tmp_path / "day", View(fps=2)))
    assert [(f.seq, f.mono, f.image[0, 0, 0]) for f in frames] == [
        (0, 0, 0),
        (1, 0.5, 10),
        (2, 1, 20),
    ]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    first, second = write_pictures(tmp_path / "day", 2)
    second.rename(os.fsdecode(os.fsencode(second.with_name("l")) + b"\xfc.png"))
    first.with_name("empty.png").touch()
    frames = open_file(tmp_path / "day")
    assert next(frames).image[0, 0, 0] == 0
    with pytest.raises(ConfigError, match=r"empty\.png: is not a picture"):
        next(frames)
    first.with_name("empty.png").unlink()
    assert [frame.image[0, 0, 0] for frame in open_file(tmp_path / "day")] == [0, 10]


def test_a_picture_is_looked_at_for_a_while(tmp_path: Path) -> None:
    (file,) = write_pictures(tmp_path / "one", 1)
    frames = list(open_file(file, View(fps=5)))
    assert frames[-1].mono == 2.0
    assert len(frames) == 11


@pytest.mark.parametrize("name", ["clip.mp4", "picture.png", "clip"])
def test_file_that_is_not_what_it_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("these are words")
    with pytest.raises(ConfigError, match=rf"{name}: is not a"):
        open_file(tmp_path / name)


def test_a_picture_whose_header_speaks_of_gigabytes(tmp_path: Path) -> None:
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(ConfigError, match=r"huge\.png: is not a picture"):
        open_file(tmp_path / "huge.png")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no pictures"):
        open_file(tmp_path)


def test_missing_camera() -> None:
    with pytest.raises(SourceError, match="/dev/video99: does not exist; cameras here"):
        list(open_frames("v4l2:/dev/video99"))


def test_device_that_is_no_camera() -> None:
    with pytest.raises(SourceError, match="/dev/null: is not a camera"):
        list(open_frames("v4l2:/dev/null"))


def test_stream_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"stream rtsp://127\.0\.0\.1:9/\.\.\.: cannot be opened"):
        list(open_frames("rtsp://user:secret@127.0.0.1:9/door?token=secret"))


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://u:p@cam.example:554/a/b?key=1", "rtsp://cam.example:554/..."),
        ("http://10.0.0.9/user=admin_password=secret", "http://10.0.0.9/..."),
        ("http://[::1]:80", "http://[::1]:80"),
        ("rtsp://admin:pa/ss@cam/", "rtsp://***/..."),
        ("rtsp://admin:pa#ss@cam", "rtsp://cam"),
        ("rtsp://pass?word[/", "rtsp://***/..."),
        ("clips/door.mp4", "clips/door.mp4"),
    ],
)
def test_shown_source_has_no_secrets(source: str, shown: str) -> None:
    assert shown_source(source) == shown


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[str]:
    """A URL that OpenCV opens: a short video served on loopback."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Say nothing."""

    write_video(tmp_path / "live.avi", 30, 30)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live.avi"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_gives_its_newest_frame_and_its_end_is_an_error(stream: str) -> None:
    frames = open_frames(stream, View(fps=50))
    first = next(frames)
    assert isinstance(first, Frame)
    assert first.image.shape == (90, 160, 3)
    assert abs(first.mono - time.monotonic()) < 5
    with pytest.raises(SourceError, match="gives no more frames"):
        list(frames)


def test_a_live_source_stops_when_told(stream: str) -> None:
    stop = threading.Event()
    for live in ("demo", stream):
        stop.clear()
        frames = open_frames(live, stopped=stop.is_set)
        next(frames)
        stop.set()
        assert list(frames) == []


def test_demo_runs_on_the_clock_of_the_machine() -> None:
    frames = open_frames("demo", View(fps=20))
    taken = [next(frames) for _ in range(5)]
    frames.close()
    gaps = [b.mono - a.mono for a, b in itertools.pairwise(taken)]
    assert all(gap > 0.02 for gap in gaps)
    assert abs(taken[0].utc - time.time()) < 10
