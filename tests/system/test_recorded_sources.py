"""Recordings as users bring them, through the whole daemon: the people in them are counted."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from edge.sources.demo import Scene
from edge.types import Image
from tests.support import preloaded
from tests.support.commands import NO_ESTIMATES, tool
from tests.support.paths import ROOT
from tests.support.recordings import MATRICES, set_matrix, write_mjpeg, write_stamped, write_video

Configure = Callable[..., Path]
WINDOW_S = 10
SETTINGS = {
    "privacy": {"min_people": 1},
    "window": {"seconds": WINDOW_S},
    "detector": {"judge": str(ROOT / "models" / "face.tflite")},
}
BOTH_IN_VIEW = 32
"""A picture of `walk` in which its two women face the camera."""


@pytest.fixture(scope="module")
def walk() -> list[Image]:
    """Two women cross the view in 60 pictures, ten of them a second."""
    scene = Scene()
    return [scene.draw(number / 10) for number in range(60)]


def run(config: Path, source: str, folder: Path = ROOT) -> tuple[list[Any], str]:
    """The windows of a source, named as from a folder, and what was logged at all."""
    command = [sys.executable, "-m", "edge", "run", "--stdout", "--config", str(config)]
    ended = preloaded.run(
        [*command, f"--source={source}"], capture_output=True, text=True, timeout=120, cwd=folder,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    windows = [line["payload"] for line in lines if line["topic"].endswith("/window")]
    return windows, ended.stderr


def women(windows: list[Any]) -> int:
    assert all(window["people"]["male"] == 0 for window in windows)
    return sum(window["people"]["female"] for window in windows)


@pytest.fixture
def config(configure: Configure) -> Path:
    return configure(**SETTINGS)


@pytest.mark.parametrize("turned", [90, 270])
def test_a_phone_video(config: Path, tmp_path: Path, walk: list[Image], turned: int) -> None:
    clip = tmp_path / "phone.mp4"
    write_video(clip, [np.ascontiguousarray(np.rot90(picture, turned // 90)) for picture in walk])
    set_matrix(clip, MATRICES[turned])
    assert women(run(config, str(clip))[0]) == 2


def test_a_video_without_time_stamps(config: Path, tmp_path: Path, walk: list[Image]) -> None:
    # FFmpeg takes it for 25 frames per second, so each is there three times
    write_mjpeg(tmp_path / "raw.mjpeg", [picture for picture in walk for _ in range(3)])
    windows, _ = run(config, str(tmp_path / "raw.mjpeg"))
    assert women(windows) == 2
    assert [window["window"]["seconds"] for window in windows] == [7.2]


@pytest.mark.parametrize("jump_ms", [7_200_000, -100_000])
def test_two_recordings_in_one_file(
    config: Path, tmp_path: Path, walk: list[Image], jump_ms: int
) -> None:
    first = [200_000 + 100 * number for number in range(60)]
    second = [stamp + jump_ms for stamp in first]
    write_stamped(tmp_path / "joined.flv", [*walk, *walk], [*first, *second])
    windows, log = run(config, str(tmp_path / "joined.flv"))
    assert women(windows) == 4
    assert len(windows) == 3  # 6 seconds, 10 for the jump, 6 again
    assert "joined.flv: frame 60, at 5.9 s: the time stamp jumps by" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("name", ["photo.jfif", "scan.TIF", "one.gif", "one.mp4"])
def test_a_still_however_it_is_packed(
    config: Path, tmp_path: Path, walk: list[Image], name: str
) -> None:
    picture, path = walk[BOTH_IN_VIEW], tmp_path / name
    if name.endswith(".mp4"):
        write_video(path, [picture])
    else:
        kind = {".TIF": "TIFF", ".gif": "GIF"}.get(path.suffix, "JPEG")
        PIL.Image.fromarray(picture[:, :, ::-1]).save(path, kind)
    assert women(run(config, str(path))[0]) == 2


@pytest.mark.parametrize("name", ["12:30 door.mp4", "v4l2:-door.MP4"])
def test_any_name(config: Path, tmp_path: Path, walk: list[Image], name: str) -> None:
    write_video(tmp_path / "clip.mp4", walk)
    (tmp_path / "clip.mp4").rename(tmp_path / name)
    assert women(run(config, name, tmp_path)[0]) == 2


def test_a_folder_with_broken_pictures_in_it(
    config: Path, tmp_path: Path, walk: list[Image]
) -> None:
    folder = tmp_path / "day"
    folder.mkdir()
    for number, picture in enumerate(walk):
        cv2.imwrite(str(folder / f"frame{number}.jpg"), picture)
        (folder / f"._frame{number}.jpg").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (folder / "frame5.jpg").write_bytes(b"")
    (folder / "frame31.jpg").write_bytes((folder / "frame30.jpg").read_bytes()[:400])
    windows, log = run(config, str(folder))
    assert women(windows) == 2
    assert "frame5.jpg is empty; left out" in log
    assert "frame31.jpg is a broken picture; left out" in log


def test_the_tools_read_the_same(configure: Configure, tmp_path: Path, walk: list[Image]) -> None:
    clip = tmp_path / "12:30 door.mov"
    write_video(clip, [np.ascontiguousarray(np.rot90(picture)) for picture in walk])
    set_matrix(clip, MATRICES[90])
    for name in ("replay", "live", "bench"):
        film = tmp_path / f"{name}.mp4"
        rest: list[str | Path] = [] if name == "bench" else ["--save", film]
        keys = SETTINGS | ({"classifier": NO_ESTIMATES} if name == "bench" else {})
        ended = tool(name, clip, *rest, "--config", configure(**keys))
        assert ended.returncode == 0, ended.stderr
        assert "2 people" in ended.stdout or "2 (2 female, 0 male, 0 unknown)" in ended.stdout
        if rest:
            assert cv2.VideoCapture(str(film)).read()[1].shape == (360, 640, 3)
