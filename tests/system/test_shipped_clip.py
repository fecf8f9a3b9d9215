"""The clip and the picture in tests/data are what tests/support/people.py makes."""

from pathlib import Path

import numpy as np
import pytest

from edge.sources.pictures import read as read_picture
from edge.sources.recordings import open_file
from tests.support import people
from tests.support.paths import CLIP, PICTURE


def test_the_files_show_what_the_scene_shows(tmp_path: Path) -> None:
    people.main(tmp_path)
    shown = [frame.image.astype(int) for frame in open_file(CLIP)]
    # codecs differ in a little noise
    for frame, scene in zip(shown, people.frames(), strict=True):
        assert np.abs(frame - scene).mean() < 3
    ours, again = (read_picture(file) for file in (PICTURE, tmp_path / PICTURE.name))
    assert np.abs(ours.astype(int) - again).mean() < 1
    truth = CLIP.with_suffix(".yaml").name
    assert (CLIP.parent / truth).read_text() == (tmp_path / truth).read_text()


def test_they_are_small() -> None:
    files = list(CLIP.parent.iterdir())
    assert {file.name for file in files} == {"people.mp4", "people.yaml", "people.jpg"}
    assert sum(file.stat().st_size for file in files) < 200_000


def test_truth_by_eye(tmp_path: Path) -> None:
    """Both are in view in the middle of the clip, and nobody at its end."""
    assert people.truth()["female"] == people.truth()["male"] == 1
    assert all(visit["first_s"] < 3 < visit["last_s"] for visit in people.truth()["visits"])
    frames = [frame.image.astype(int) for frame in open_file(CLIP)]
    assert np.abs(frames[-1] - frames[0]).max() < 40
    assert np.abs(frames[round(3 * people.FPS)] - frames[0]).max() > 100
    assert len(frames) / people.FPS == pytest.approx(people.CLIP_S)
