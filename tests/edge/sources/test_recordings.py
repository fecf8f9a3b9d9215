"""Sources: every kind gives frames or one clear error."""

import contextlib
import itertools
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from edge.errors import ConfigError, SourceError
from edge.sources.name import is_live, is_recorded, redacted_source
from edge.sources.open import open_frames
from edge.sources.recordings import open_file
from edge.types import CaptureSettings, Frame
from tests.support.paths import CLIP
from tests.support.recordings import MATRICES, plain, set_matrix, write_mjpeg, write_video

MODIFIED = 1_700_000_000


def write_pictures(folder: Path, number: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{n:03}.png" for n in range(number)]
    for n, file in enumerate(files):
        cv2.imwrite(str(file), np.full((90, 160, 3), n * 10 % 250, np.uint8))
        os.utime(file, (MODIFIED, MODIFIED))
    return files


def write_clip(path: Path, number: int, fps: float) -> None:
    write_video(path, plain(number), "MJPG", fps)
    os.utime(path, (MODIFIED, MODIFIED))


def test_video_goes_by_its_own_clock(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi", 20, 12.5)
    frames = list(open_file(tmp_path / "clip.avi"))
    assert [f.seq for f in frames] == list(range(20))
    assert [f.mono for f in frames] == pytest.approx([n / 12.5 for n in range(20)], abs=0.002)
    assert [f.utc - f.mono for f in frames] == pytest.approx([MODIFIED] * 20)
    assert frames[0].image.shape == (90, 160, 3)
    assert frames[0].gray.shape == (90, 160)
    assert frames[19].image.mean() > frames[1].image.mean()


def test_gif_frames_have_their_own_times(tmp_path: Path) -> None:
    pictures = [PIL.Image.new("L", (160, 90), 10 * number) for number in range(5)]
    clip, milliseconds = tmp_path / "clip.gif", [80, 90, 80, 500, 80]
    pictures[0].save(clip, save_all=True, append_images=pictures[1:], duration=milliseconds)
    frames = list(open_file(clip))
    assert [round(f.mono, 2) for f in frames] == [0, 0.08, 0.17, 0.25, 0.75]


def test_real_gif_frames_have_their_own_times(clips: Path) -> None:
    frames = list(open_file(clips / "people-detection.gif"))
    assert len(frames) == 23
    assert [round(f.mono, 2) for f in frames[:4]] == [0, 0.08, 0.17, 0.25]


def test_wide_pictures_are_searched_at_less() -> None:
    frames = open_file(CLIP, CaptureSettings(gray_width=240))
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
        frame = next(open_file(source, CaptureSettings(rotate=90)))
        assert frame.image.shape == (160, 90, 3)
        assert frame.gray[:20, -20:].mean() > 240  # top right
        frame = next(open_file(source, CaptureSettings(flip_vertical=True)))
        assert frame.gray[-20:, :20].mean() > 240


def test_folder_in_order_of_names(tmp_path: Path) -> None:
    write_pictures(tmp_path / "day", 3)
    (tmp_path / "day" / "notes.txt").write_text("not a picture")
    frames = list(open_file(tmp_path / "day", CaptureSettings(fps=2)))
    assert [(f.seq, f.mono, f.image[0, 0, 0]) for f in frames] == [
        (0, 0, 0),
        (1, 0.5, 10),
        (2, 1, 20),
    ]


def test_numbers_in_names_are_counted_by(tmp_path: Path) -> None:
    first, *others = write_pictures(tmp_path / "day", 4)
    for file, name in zip(
        (first, *others), ("IMG_2.JPG", "img_10.png", "img_100.png", "img_0099b.png"), strict=True
    ):
        file.rename(file.with_name(name))
    assert [frame.image[0, 0, 0] for frame in open_file(tmp_path / "day")] == [0, 10, 30, 20]


def test_a_folder_holds_more_than_its_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = write_pictures(tmp_path / "day", 2)
    for name in ("._000.png", ".hidden.png", "Thumbs.db", ".DS_Store", "video.mp4"):
        first.with_name(name).write_bytes(b"\0\5\x16\7")
    first.with_name("more.png").mkdir()
    os.mkfifo(first.with_name("pipe.png"))
    second.rename(second.with_name("B.PNG"))
    assert [frame.image[0, 0, 0] for frame in open_file(tmp_path / "day")] == [0, 10]
    assert caplog.messages == []


def test_pictures_of_several_sizes_in_a_folder(tmp_path: Path) -> None:
    write_pictures(tmp_path / "day", 2)
    cv2.imwrite(str(tmp_path / "day" / "999.jpg"), np.zeros((900, 1600, 3), np.uint8))
    frames = list(open_file(tmp_path / "day"))
    assert [frame.image.shape[0] for frame in frames] == [90, 90, 900]
    assert [frame.gray.shape[1] for frame in frames] == [160, 160, 640]


def test_broken_pictures_are_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_pictures(tmp_path / "day", 6)
    files[0].write_bytes(b"")
    files[2].write_text("these are words")
    files[3].unlink()
    files[3].symlink_to("nowhere")
    files[5].write_bytes(files[5].read_bytes()[:60])
    frames = list(open_file(tmp_path / "day", CaptureSettings(fps=2)))
    # time begins with the first readable picture; an unreadable one leaves a gap
    assert [(f.seq, f.mono, f.image[0, 0, 0]) for f in frames] == [(0, 0, 10), (1, 1.5, 40)]
    assert [message.split(": ")[1].split(" ")[0] for message in caplog.messages] == [
        "000.png", "002.png", "003.png", "005.png",
    ]  # fmt: skip
    assert "000.png is empty; left out" in caplog.messages[0]


def test_a_folder_of_nothing_but_broken_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file in write_pictures(tmp_path / "day", 30):
        file.write_text("these are words")
    with pytest.raises(ConfigError, match=r"day: none of its 30 pictures can be read$"):
        open_file(tmp_path / "day")
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].endswith("further warnings about it are not logged")


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    first, second = write_pictures(tmp_path / "day", 2)
    second.rename(os.fsdecode(os.fsencode(second.with_name("l")) + b"\xfc.png"))
    assert [frame.image[0, 0, 0] for frame in open_file(tmp_path / "day")] == [0, 10]
    first.unlink()
    assert {frame.image[0, 0, 0] for frame in open_file(tmp_path / "day")} == {10}


def test_a_picture_is_looked_at_for_a_while(tmp_path: Path) -> None:
    (file,) = write_pictures(tmp_path / "one", 1)
    for source in (file, tmp_path / "one"):
        frames = list(open_file(source, CaptureSettings(fps=5)))
        assert frames[-1].mono == 2.0
        assert len(frames) == 11


STILLS = [
    "a.jpg", "a.JPG", "a.jpeg", "a.jfif", "a.png", "a.PNG", "a.bmp", "a.gif", "a.tif", "a.tiff",
    "a.webp", "img%03d.jpg", "img%03d.gif", "12:30.png", "-a.png", "a b.png", "http:a.jpg",
]  # fmt: skip


@pytest.mark.parametrize("name", STILLS)
def test_every_kind_of_picture_is_a_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    picture = PIL.Image.new("RGB", (160, 90), (10, 120, 230))
    # the name may lie about the format, or not tell it
    for saved in (Path(name), Path("unnamed"), Path("wrong.mp4")):
        picture.save(tmp_path / saved, PIL.Image.registered_extensions()[Path(name).suffix.lower()])
        monkeypatch.chdir(tmp_path)
        frames = list(open_file(saved, CaptureSettings(fps=5)))
        assert len(frames) == 11
        assert np.abs(frames[10].image.mean((0, 1)) - (230, 120, 10)).max() < 4
        assert frames[10].mono == 2.0


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.flv", "a.mjpeg"])
def test_a_video_of_one_frame_is_a_still(tmp_path: Path, name: str) -> None:
    code = {"a.avi": "MJPG", "a.flv": "FLV1"}.get(name, "mp4v")
    if name == "a.mjpeg":
        write_mjpeg(tmp_path / name, plain(1))
    else:
        write_video(tmp_path / name, plain(1), code)
    frames = list(open_file(tmp_path / name, CaptureSettings(fps=5)))
    assert [frame.mono for frame in frames] == [n / 5 for n in range(11)]


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_an_animation_goes_by_its_own_clock(tmp_path: Path, name: str) -> None:
    # with a palette of one color Pillow would write a single picture
    pictures = [PIL.Image.effect_noise((160, 90), 50 + n) for n in range(5)]
    first, *others = [picture.convert("RGB") for picture in pictures]
    first.save(tmp_path / name, save_all=True, append_images=others, duration=[100, 200, 0, 50, 90])
    frames = list(open_file(tmp_path / name))
    assert [round(frame.mono, 3) for frame in frames] == [0, 0.1, 0.3, 0.4, 0.45]
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.gray.astype(int) - np.asarray(picture)).mean() < 8


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_an_animation_that_was_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    first, *others = (PIL.Image.effect_noise((160, 90), 50 + n) for n in range(5))
    first.save(tmp_path / name, save_all=True, append_images=others, duration=100)
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size * 7 // 10)
    assert [round(frame.mono, 3) for frame in open_file(tmp_path / name)] == [0, 0.1, 0.2]
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "ends after frame 2: it is a broken picture"
    ]


def test_a_picture_for_programs_that_show_no_animation(tmp_path: Path) -> None:
    plain, only = (PIL.Image.new("RGB", (160, 90), shade) for shade in ("black", "white"))
    plain.save(tmp_path / "a.png", save_all=True, append_images=[only], default_image=True)
    assert {int(frame.image.mean()) for frame in open_file(tmp_path / "a.png")} == {255}


def test_a_photo_without_a_suffix_is_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (160, 90)).save(tmp_path / "photo", "JPEG", exif=exif)
    assert next(open_file(tmp_path / "photo")).image.shape == (160, 90, 3)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    write_mjpeg(tmp_path / "raw.mjpeg", plain(5))
    data = (tmp_path / "raw.mjpeg").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    writer.start()
    assert len(list(open_file(tmp_path / "pipe"))) == 5
    writer.join()


@pytest.mark.parametrize("modified", [-1e9, 1e11])
def test_a_file_of_no_possible_time(tmp_path: Path, modified: float) -> None:
    (file,) = write_pictures(tmp_path / "one", 1)
    try:
        os.utime(file, (modified, modified))
    except OSError:
        pytest.skip("this file system cannot hold such a time")
    assert next(open_file(file)).utc == (0 if not 0 <= file.stat().st_mtime < 2**32 else modified)


@pytest.mark.parametrize("name", ["clip.mp4", "picture.png", "clip"])
def test_file_that_is_not_what_it_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("these are words")
    with pytest.raises(ConfigError, match=rf"{name}: is not a"):
        open_file(tmp_path / name)


def test_a_picture_whose_header_speaks_of_gigabytes(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    for name in ("huge.png", "huge"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(ConfigError, match=r"huge\.png: has more than 80 million pixels"):
        open_file(tmp_path / "huge.png")
    with pytest.raises(ConfigError, match=r"huge: is not a video"):
        open_file(tmp_path / "huge")


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no pictures"):
        open_file(tmp_path)


@pytest.mark.parametrize(
    ("source", "live", "recorded"),
    [
        ("auto", True, False),
        ("demo", False, False),
        ("picamera2:0", True, False),
        ("v4l2:/dev/video0", True, False),
        ("rtsp://cam/1", True, False),
        ("clip.mp4", False, True),
        ("v4l2:clip.mp4", False, True),
        ("picamera2:clip.mp4", False, True),
        ("http:clip.mp4", False, True),
        ("auto.mp4", False, True),
    ],
)
def test_what_a_source_is(source: str, live: bool, recorded: bool) -> None:
    assert (is_live(source), is_recorded(source)) == (live, recorded)


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
    ("source", "redacted"),
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
def test_a_redacted_source_has_no_secrets(source: str, redacted: str) -> None:
    assert redacted_source(source) == redacted


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[str]:
    """A URL that OpenCV opens: a short video served on loopback."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's name
            """Say nothing."""

    write_clip(tmp_path / "live.avi", 30, 30)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live.avi"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_gives_its_newest_frame_and_its_end_is_an_error(stream: str) -> None:
    frames = open_frames(stream, CaptureSettings(fps=50))
    first = next(frames)
    assert isinstance(first, Frame)
    assert first.image.shape == (90, 160, 3)
    assert abs(first.mono - time.monotonic()) < 5
    with pytest.raises(SourceError, match="gives no more frames"):
        list(frames)


def test_a_stream_is_upright(stream: str, tmp_path: Path) -> None:
    write_video(tmp_path / "live.mp4", plain(30))
    set_matrix(tmp_path / "live.mp4", MATRICES[90])
    with contextlib.closing(open_frames(stream.replace(".avi", ".mp4"))) as frames:
        first = next(frames)
    assert isinstance(first, Frame)
    assert first.image.shape == (160, 90, 3)


def test_a_live_source_stops_when_told(stream: str) -> None:
    stop = threading.Event()
    for live in ("demo", stream):
        stop.clear()
        frames = open_frames(live, stopped=stop.is_set)
        next(frames)
        stop.set()
        assert list(frames) == []


def test_demo_runs_on_the_clock_of_the_machine() -> None:
    frames = open_frames("demo", CaptureSettings(fps=20))
    taken = [next(frames) for _ in range(5)]
    frames.close()
    gaps = [b.mono - a.mono for a, b in itertools.pairwise(taken)]
    assert all(gap > 0.02 for gap in gaps)
    assert abs(taken[0].utc - time.time()) < 10
