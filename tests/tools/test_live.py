"""The live view of a clip and of a source that never ends."""

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.types import Image
from tests.support import preloaded
from tests.support.commands import tool, wait_for
from tests.support.paths import CLIP, ROOT
from tools.plotting.film import Film


def frames(path: Path) -> list[Image]:
    film = cv2.VideoCapture(str(path))
    pictures = []
    while (read := film.read())[0]:
        pictures.append(np.asarray(read[1], np.uint8))
    film.release()
    return pictures


def test_a_clip_with_what_was_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    run = tool("live", CLIP, "--save", out)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "counted   2 (1 female, 1 male, 0 unknown)\n"
    shown, plain = frames(out), frames(CLIP)
    assert len(shown) == pytest.approx(len(plain) - 1, abs=1)
    assert shown[0].shape == plain[0].shape
    strip = shown[-1][-16:]
    assert np.median(strip) < 60  # dark
    assert (strip.min(axis=2) > 180).sum() > 300  # with white writing
    red, green, blue = (shown[40][:, :, channel].astype(int) for channel in (2, 1, 0))
    assert ((red - blue > 120) & (red - green > 120)).sum() > 50  # a woman's box
    assert (blue - red > 120).sum() > 50  # and a man's


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_source_without_end_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out.mp4"
    command = [sys.executable, "tools/live.py", "demo", "--save", str(out)]
    with preloaded.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        try:
            wait_for(out.exists, "nothing is written")
            run.send_signal(number)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0
    assert output.startswith("counted   ")
    assert frames(out)


def test_a_film_runs_as_fast_as_its_frames_came(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    film = Film(out, fps=10)
    # at 0.2 s one is missing, at 0.31 s one comes early, then none comes for an hour
    for number, mono in enumerate((0.0, 0.1, 0.3, 0.31, 0.4, 3600.0)):
        film(np.full((64, 64, 3), 40 * number, np.uint8), mono)
    film.close()
    shades = [round(frame.mean() / 40) for frame in frames(out)]
    assert shades == [0, 1, 2, 2, 4] + [5] * 50


def test_the_second_frame_sets_the_rate_of_a_film(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    film = Film(out)
    for number in range(6):
        film(np.full((64, 64, 3), 40 * number, np.uint8), number / 25)
    film.close()
    assert [round(frame.mean() / 40) for frame in frames(out)] == [1, 2, 3, 4, 5]
    assert cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FPS) == 25


def test_a_film_has_one_size(tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    film = Film(out, fps=10)
    for number, (height, width) in enumerate([(64, 96), (128, 128), (32, 96), (64, 96)]):
        film(np.full((height, width, 3), 250, np.uint8), number / 10)
    film.close()
    pictures = frames(out)
    assert [picture.shape for picture in pictures] == [(64, 96, 3)] * 4
    fractions = [(picture > 125).mean() for picture in pictures]
    assert fractions == pytest.approx([1, 64 / 96, 1 / 2, 1], abs=0.02)


@pytest.mark.parametrize(
    ("args", "code", "expected"),
    [
        (["demo"], 1, "live: there is no screen here; --save writes a file instead"),
        (["v4l2:/dev/video99", "--save", "x.mp4"], 1, "camera /dev/video99: does not exist"),
    ],
)
def test_what_cannot_be_watched(args: list[str], code: int, expected: str) -> None:
    run = tool("live", *args, MPLBACKEND="agg")
    assert run.returncode == code
    assert expected in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
