"""A live camera: its newest picture, and what happens while there is none."""

import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator

import numpy as np
import pytest

from edge.errors import ConfigError, SourceError
from edge.sources.reconnecting import Shot, newest_shots
from edge.types import Image, NoFrame

Shots = Generator[Shot | NoFrame, None, None]


class Camera:
    """Gives noise as quickly as `pace_s` allows, until it is `cut`."""

    opened = 0

    def __init__(self, pace_s: float = 0.005) -> None:
        self.pace_s = pace_s
        self.cut = threading.Event()
        self.hung = threading.Event()
        self.picture: Image | None = None
        """Repeated for ever if it is set."""
        self.missing = 0
        """Number of times that it cannot be opened."""
        self.number = 0

    def open(self) -> "Camera":
        self.opened += 1
        if self.missing:
            self.missing -= 1
            raise SourceError("door: missing")
        self.cut.clear()
        return self

    def read(self, over: Callable[[], bool]) -> tuple[Image, None]:
        if self.hung.is_set():
            threading.Event().wait(5)
        if self.cut.wait(self.pace_s):
            raise SourceError("door: cut")
        self.number += 1
        if self.picture is not None:
            return self.picture, None
        noise = np.random.default_rng(self.number).integers(0, 255, (16, 16, 3), np.uint8)
        noise[0, 0] = self.number % 256
        return noise, None

    def close(self) -> None:
        self.cut.set()


@pytest.fixture
def watch() -> Iterator[Callable[..., Shots]]:
    opened: list[Shots] = []

    def start(
        camera: Camera,
        fps: float = 100,
        timeout: float = 0.2,
        give_up: float = 0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Shots:
        opened.append(
            newest_shots(
                camera.open, fps=lambda: fps, timeout=timeout, give_up=give_up, stopped=stopped
            )
        )
        return opened[-1]

    yield start
    for shots in opened:
        shots.close()


def shot(item: Shot | NoFrame) -> Shot:
    assert isinstance(item, Shot)
    return item


def test_the_newest_picture_wins_and_comes_no_faster_than_asked(
    watch: Callable[..., Shots],
) -> None:
    camera = Camera()
    shots = watch(camera, fps=20)
    first = shot(next(shots))
    time.sleep(0.3)  # as a slow search would
    late = shot(next(shots))
    assert late.mono - first.mono > 0.2
    assert int(late.image[0, 0, 0]) >= camera.number - 10
    taken = [shot(next(shots)).mono for _ in range(6)]
    assert 0.03 < (taken[-1] - taken[0]) / 5 < 0.15


def test_without_retry_the_first_failure_is_the_end(watch: Callable[..., Shots]) -> None:
    camera = Camera()
    shots = watch(camera)
    next(shots)
    camera.cut.set()
    with pytest.raises(SourceError, match="door: cut"):
        list(shots)
    camera.missing = 1
    with pytest.raises(SourceError, match="door: missing"):
        next(watch(camera))
    assert camera.opened == 2


def test_a_lost_camera_is_opened_again_and_time_passes(
    watch: Callable[..., Shots], caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera()
    shots = watch(camera, give_up=60)
    last = shot(next(shots))
    camera.missing = 1
    camera.cut.set()
    blind = []
    for item in shots:
        if isinstance(item, NoFrame):
            blind.append(item)
        elif blind:
            break
        else:
            last = item
    assert camera.opened == 3
    assert [moment.camera for moment in blind] == ["lost"] * len(blind)
    assert blind[0].mono - last.mono == pytest.approx(1.5, abs=0.5)
    times = [last.mono, *(moment.mono for moment in blind)]
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert [moment.seconds for moment in blind] == pytest.approx(steps, abs=0.01)
    assert all(step == pytest.approx(1, abs=0.5) for step in steps[1:])
    first, second, last_line = (record.message for record in caplog.records)
    assert (first, second) == ("door: cut; next try in 1 s", "door: missing; next try in 2 s")
    assert last_line.startswith("camera: works again, after ")


def test_a_camera_lost_for_too_long_is_given_up(watch: Callable[..., Shots]) -> None:
    camera = Camera()
    camera.missing = 99
    begin = time.monotonic()
    with pytest.raises(SourceError, match=r"door: missing; given up after [12] s"):
        list(watch(camera, give_up=1.2))
    assert time.monotonic() - begin == pytest.approx(1.2, abs=0.8)


def test_a_camera_that_hangs_is_given_up_without_blocking(
    watch: Callable[..., Shots],
) -> None:
    camera = Camera()
    shots = watch(camera, give_up=0.5)
    next(shots)
    camera.hung.set()
    begin = time.monotonic()
    with pytest.raises(SourceError, match=r"camera: hangs; no picture for [12] s"):
        list(shots)
    assert time.monotonic() - begin < 3


def test_an_error_that_waiting_cannot_fix_is_raised_at_once(watch: Callable[..., Shots]) -> None:
    camera = Camera()

    def open_camera() -> Camera:
        raise ConfigError("picamera2 is not installed")

    camera.open = open_camera  # type: ignore[method-assign]
    with pytest.raises(ConfigError):
        next(watch(camera, give_up=60))


def test_a_frozen_picture_does_not_count(
    watch: Callable[..., Shots], caplog: pytest.LogCaptureFixture
) -> None:
    camera = Camera()
    shots = watch(camera, timeout=0.1, give_up=60)
    next(shots)
    camera.picture = np.arange(768, dtype=np.uint8).reshape(16, 16, 3)
    # it is opened again, and shows the same picture again
    end = time.monotonic() + 20
    blind = (item for item in shots if isinstance(item, NoFrame) or time.monotonic() > end)
    while camera.opened < 2:
        assert isinstance(next(blind), NoFrame), "it is not opened again"
    assert "camera: the same picture for 1 s; next try in 1 s" in caplog.text
    camera.picture = None
    assert any(isinstance(item, Shot) for item in shots)


def test_darkness_is_not_a_frozen_picture(watch: Callable[..., Shots]) -> None:
    camera = Camera()
    camera.picture = np.full((16, 16, 3), 3, np.uint8)
    shots = watch(camera, timeout=0.05, give_up=60)
    taken = [shot(next(shots)) for _ in range(100)]
    assert taken[-1].mono - taken[0].mono > 0.6
    assert camera.opened == 1


def test_it_ends_when_stopped(watch: Callable[..., Shots]) -> None:
    stop = threading.Event()
    camera = Camera()
    shots = watch(camera, stopped=stop.is_set)
    next(shots)
    stop.set()
    assert list(shots) == []
    assert camera.cut.is_set(), "it is not closed"
