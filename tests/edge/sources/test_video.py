"""Videos: upright, in time, past damaged frames, whatever the file is called."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from edge.sources.video import read_video
from edge.types import Image
from tests.support.recordings import (
    MATRICES,
    MIRRORS,
    plain,
    set_matrix,
    write_mjpeg,
    write_stamped,
    write_video,
)


def frames_of(path: Path) -> tuple[list[Image], list[float], list[str]]:
    """Pictures, seconds and warnings."""
    warnings: list[str] = []
    moments = list(read_video(path, 5, warnings.append))
    return [image for image, _ in moments], [round(at, 4) for _, at in moments], warnings


@pytest.mark.parametrize("suffix", ["mp4", "mov", "3gp"])
@pytest.mark.parametrize("turned", MATRICES)
def test_a_video_is_upright(tmp_path: Path, turned: int, suffix: str) -> None:
    upright = np.zeros((96, 160, 3), np.uint8)
    upright[:32, :32], upright[:32, -32:] = 255, 128  # top left, top right
    stored = np.rot90(upright, turned // 90)  # counterclockwise
    path = tmp_path / f"clip.{suffix}"
    write_video(path, [np.ascontiguousarray(stored)] * 3)
    set_matrix(path, MATRICES[turned])
    images, _, _ = frames_of(path)
    assert len(images) == 3
    for image in images:
        assert image.shape == (96, 160, 3)
        assert np.abs(image.astype(int) - upright).mean() < 8


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_video_that_asks_to_be_mirrored(tmp_path: Path, mirror: str) -> None:
    right = np.zeros((96, 160, 3), np.uint8)
    right[:32, :32], right[:32, -32:] = 255, 128  # top left, top right
    stored = {
        "left and right": right[:, ::-1],
        "up and down": right[::-1],
        "falling diagonal": right.transpose(1, 0, 2),
        "rising diagonal": right[::-1, ::-1].transpose(1, 0, 2),
    }[mirror]
    for suffix in ("mp4", "mov"):
        path = tmp_path / f"clip.{suffix}"
        write_video(path, [np.ascontiguousarray(stored)] * 3)
        set_matrix(path, MIRRORS[mirror])
        images, _, _ = frames_of(path)
        assert images[0].shape == (96, 160, 3)
        assert np.abs(images[0].astype(int) - right).mean() < 8


def test_a_phone_held_upright(shared: Path) -> None:
    images, seconds, warnings = frames_of(shared / "cases" / "phone-rotation.mp4")
    assert {image.shape for image in images} == {(180, 320, 3)}
    assert seconds == [n / 10 for n in range(50)]
    assert warnings == []


def test_a_video_without_a_container(tmp_path: Path) -> None:
    write_mjpeg(tmp_path / "raw.mjpeg", plain(20))
    images, seconds, _ = frames_of(tmp_path / "raw.mjpeg")
    assert seconds == [n / 25 for n in range(20)]  # FFmpeg's rate for it
    assert [round(image.mean() / 5) for image in images] == list(range(20))


def test_stamps_that_begin_late_jump_and_step_back(tmp_path: Path) -> None:
    hours = 7_200_000
    stamps = [5000, 5100, 5200, hours, hours + 100, hours + 200, 0, 100, 200]
    write_stamped(tmp_path / "joined.flv", plain(9), stamps)
    images, seconds, warnings = frames_of(tmp_path / "joined.flv")
    assert len(images) == 9
    assert seconds == [0, 0.1, 0.2, 10.2, 10.3, 10.4, 20.4, 20.5, 20.6]
    assert [warning.split(";")[0] for warning in warnings] == [
        "frame 3, at 0.2 s: the time stamp jumps by +7194.8 s",
        "frame 6, at 10.4 s: the time stamp jumps by -7200.2 s",
    ]


def test_two_recordings_put_one_after_the_other(tmp_path: Path) -> None:
    for name in ("morning", "evening"):
        write_video(tmp_path / f"{name}.ts", plain(50), "mpg2")
    joined = tmp_path / "day.ts"
    parts = [(tmp_path / f"{name}.ts").read_bytes() for name in ("morning", "evening")]
    joined.write_bytes(b"".join(parts))
    images, seconds, warnings = frames_of(joined)
    assert len(images) > 90  # FFmpeg drops some at the seams
    assert seconds[-1] < 10 + 10 + 1
    assert any("the time stamp jumps by -" in warning for warning in warnings)


@pytest.mark.parametrize(
    "name",
    [
        "12:30 door.mp4", "http:weird.mp4", "v4l2:door.mp4", "file:a.mp4", "pipe:0.mp4",
        "concat:a.mp4", "subfile,,start,0,end,0,,:a.mp4", "day%03d.mp4", "100%.mp4", "-i.mp4",
        "a b.mp4", "Tür.MP4", "clip", "clip.unknown", "new\nline.mp4", "q?#*.mp4",
    ],
)  # fmt: skip
def test_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_video(tmp_path / "made.mp4", plain(3))
    (tmp_path / "made.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(frames_of(Path(name))[0]) == 3
    assert len(frames_of(tmp_path / name)[0]) == 3


def test_a_damaged_place_is_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    noise = np.random.default_rng(1).integers(0, 255, (40, 90, 160, 3), np.uint8)
    write_video(path, list(noise), "MJPG")
    data = bytearray(path.read_bytes())
    begins = [at for at in range(len(data)) if data[at : at + 4] == b"00dc"][:40]
    for at in begins[10:13]:  # of three frames nothing is left
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        data[at + 8 : at + 8 + size] = bytes(size)
    path.write_bytes(data)
    images, seconds, warnings = frames_of(path)
    assert len(images) == 37
    assert seconds[-1] == 3.9
    assert len(warnings) == 1
    assert warnings[0].startswith("damaged before frame ")


def test_a_video_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    noise = np.random.default_rng(1).integers(0, 255, (40, 90, 160, 3), np.uint8)
    write_video(path, list(noise), "MJPG")
    os.truncate(path, path.stat().st_size // 2)
    images, _, warnings = frames_of(path)
    assert 15 < len(images) < 25
    assert warnings[-1] == f"ends after {len(images)} of 40 frames; is it complete?"


def test_any_bytes_are_frames_or_nothing(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", plain(5))
    good = (tmp_path / "good.mp4").read_bytes()
    chance = random.Random(1)
    for number in range(40):
        data = bytearray(good)
        for _ in range(number):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "bad.mp4").write_bytes(data[: chance.randrange(len(data))])
        images, seconds, _ = frames_of(tmp_path / "bad.mp4")
        assert len(images) == len(seconds)
        assert seconds == sorted(seconds)


def test_the_size_may_change_on_the_way(tmp_path: Path) -> None:
    small = np.full((45, 80, 3), 99, np.uint8)
    write_mjpeg(tmp_path / "raw.mjpeg", [*plain(3), small, *plain(2)])
    images, _, _ = frames_of(tmp_path / "raw.mjpeg")
    assert [image.shape for image in images] == [(90, 160, 3)] * 6


def test_frames_of_more_pixels_than_any_video_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "clip.mp4", plain(3))
    monkeypatch.setattr("edge.sources.video.MAX_PIXELS", 160 * 90 - 1)
    assert frames_of(tmp_path / "clip.mp4") == (
        [], [], ["160 x 90 pixels are more than a frame may have"]
    )  # fmt: skip
