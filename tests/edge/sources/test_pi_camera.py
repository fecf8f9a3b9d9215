"""A Raspberry Pi's camera, with a stand-in for picamera2."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigError, SourceError
from edge.sources.devices import find_camera
from edge.sources.frame import frame_of, upright
from edge.sources.open import open_frames
from edge.sources.pi_camera import PiCamera, controls, lores_size
from edge.types import CaptureSettings, Frame, NoFrame
from tests.support import contract
from tests.support.commands import wait_for
from tests.support.paths import ROOT

FAKES = ROOT / "tests" / "support" / "fakes"
NAMES = ("libcamera", "picamera2")


class Pi:
    """The stand-in's folder: its state, and the calls it got."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.becomes("ok")

    def becomes(self, state: str) -> None:
        fresh = self.folder / "fresh"
        fresh.write_text(state)
        fresh.replace(self.folder / "state")

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pi]:
    camera = Pi(tmp_path / "camera")
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("FAKE_CAMERA", str(camera.folder))
    yield camera
    opened = importlib.import_module("picamera2").Picamera2.opened
    for name in NAMES:
        sys.modules.pop(name, None)
    assert opened == 0, "a camera was left open"


def never() -> bool:
    return False


def first_frames(settings: CaptureSettings, number: int = 1) -> list[Frame]:
    """The first frames of the camera."""
    frames = open_frames("picamera2:0", settings)
    taken = [frame for frame, _ in zip(frames, range(number), strict=False)]
    frames.close()
    assert all(isinstance(frame, Frame) for frame in taken)
    return [frame for frame in taken if isinstance(frame, Frame)]


def corner(picture: Any) -> tuple[bool, bool]:
    """Whether the bright corner of the stand-in's picture is at the bottom, and at the right."""
    height, width = picture.shape[:2]
    ys, xs = np.nonzero(picture.reshape(height, width, -1)[:, :, 0] > 150)
    return bool(ys.mean() > height / 2), bool(xs.mean() > width / 2)


def test_color_and_gray_of_one_moment_without_the_padding(pi: Pi) -> None:
    frames = first_frames(CaptureSettings(width=800, height=600, gray_width=330, fps=50), 3)
    for frame in frames:
        assert frame.image.shape == (600, 800, 3)
        assert frame.gray.shape == (246, 330)
        blue, green, red = frame.image[0, 0].tolist()
        assert (blue, green, red) == (blue, blue + 1, blue + 2)
        assert corner(frame.image) == corner(frame.gray) == (False, False)
        assert 99 not in frame.gray
    assert len({frame.image.tobytes() for frame in frames}) == 3
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert pi.calls == ["open", "configure", "start", "cancel_all_and_flush", "close", "stop"]


@pytest.mark.parametrize(
    ("settings", "place", "portrait"),
    [
        (CaptureSettings(flip_horizontal=True), (False, True), False),
        (CaptureSettings(flip_vertical=True), (True, False), False),
        (CaptureSettings(rotate=180), (True, True), False),
        (CaptureSettings(rotate=90), (False, True), True),
        (CaptureSettings(rotate=270), (True, False), True),
        (CaptureSettings(rotate=270, flip_horizontal=True), (False, False), True),
        (CaptureSettings(rotate=180, flip_horizontal=True), (True, False), False),
    ],
)
@pytest.mark.usefixtures("pi")
def test_a_camera_turned_by_its_sensor_gives_what_a_turned_file_gives(
    settings: CaptureSettings, place: tuple[bool, bool], portrait: bool
) -> None:
    (frame,) = first_frames(settings)
    shape = (640, 480) if portrait else (480, 640)
    assert frame.image.shape[:2] == frame.gray.shape == shape
    assert corner(frame.image) == corner(frame.gray) == place
    straight = np.zeros((480, 640, 3), np.uint8)
    straight[:120, :160] = 200
    assert corner(upright(straight, settings)) == place


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (CaptureSettings(640, 480, gray_width=640), (640, 480)),
        (CaptureSettings(640, 480, gray_width=1000), (640, 480)),
        (CaptureSettings(1280, 720, gray_width=640), (640, 360)),
        (CaptureSettings(800, 600, gray_width=331), (330, 248)),
        # turned it is 720 wide, and 640 in gray
        (CaptureSettings(1280, 720, gray_width=640, rotate=90), (1136, 640)),
    ],
)
def test_the_gray_stream_is_even_and_as_wide_as_the_search_wants(
    settings: CaptureSettings, size: tuple[int, int]
) -> None:
    assert lores_size(settings) == size


def test_controls_in_the_units_of_libcamera() -> None:
    assert controls(CaptureSettings(fps=8)) == {"FrameDurationLimits": (125_000, 125_000)}
    chosen = controls(CaptureSettings(fps=10, exposure_ms=2.5, gain=4))
    assert (chosen["ExposureTime"], chosen["AnalogueGain"]) == (2500, 4)


def test_what_it_is_configured_for(pi: Pi) -> None:
    camera = PiCamera(0, CaptureSettings(fps=50))
    config: dict[str, Any] = camera._camera.camera_configuration()
    camera.close()
    assert (config["main"]["format"], config["lores"]["format"]) == ("RGB888", "YUV420")
    assert (config["buffer_count"], config["queue"]) == (4, False)
    assert config["sensor"] == {"output_size": (2304, 1296)}


def test_the_first_choice_of_auto(pi: Pi) -> None:
    assert find_camera() == "picamera2:0"
    frames = open_frames("auto", CaptureSettings(fps=50))
    assert isinstance(next(frames), Frame)
    frames.close()
    assert pi.calls[0] == "open"


def test_auto_leaves_usb_cameras_to_opencv(pi: Pi) -> None:
    pi.becomes("usb")
    with pytest.raises(SourceError, match="no camera found"):
        find_camera()


@pytest.mark.parametrize(
    ("state", "number", "expected"),
    [
        ("ok", 1, "picamera2:1: not found; 1 connected"),
        ("gone", 0, "picamera2:0: not found; 0 connected"),
        ("busy", 0, r"picamera2:0: cannot be opened \(Camera __init__"),
    ],
)
def test_a_camera_that_is_not_there(pi: Pi, state: str, number: int, expected: str) -> None:
    pi.becomes(state)
    with pytest.raises(SourceError, match=expected):
        list(open_frames(f"picamera2:{number}"))


def test_without_picamera2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(ConfigError, match="sudo apt install python3-picamera2"):
        list(open_frames("picamera2:0", CaptureSettings(give_up=300)))
    text = "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')"
    (tmp_path / "libcamera.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "libcamera")
    with pytest.raises(ConfigError, match=r"does not fit .numpy.dtype size changed"):
        list(open_frames("picamera2:0"))


def test_a_camera_that_a_new_start_cures_is_not_opened_again(pi: Pi) -> None:
    camera = PiCamera(0, CaptureSettings(fps=10, timeout=0.5))
    camera.read(never)
    pi.becomes("sleepy")
    camera.read(never)
    begin = time.monotonic()
    for _ in range(9):  # more than it has buffers
        camera.read(never)
    assert time.monotonic() - begin == pytest.approx(0.9, abs=0.4), "its frame rate is lost"
    camera.close()
    assert pi.calls.count("open") == 1
    assert pi.calls.count("start") == 2


def test_a_silent_camera_is_an_error_and_can_be_closed(pi: Pi) -> None:
    camera = PiCamera(0, CaptureSettings(fps=50, timeout=0.3))
    pi.becomes("silent")
    with pytest.raises(SourceError, match="picamera2:0: gives no more frames"):
        camera.read(never)
    assert pi.calls[3:] == ["cancel_all_and_flush", "stop", "configure", "start"]
    over = threading.Event()
    over.set()
    with pytest.raises(SourceError):
        camera.read(over.is_set)
    camera.close()
    assert pi.calls[-1] == "stop"


def test_a_camera_slower_than_a_slice_loses_no_buffers(pi: Pi) -> None:
    assert len(first_frames(CaptureSettings(fps=3), 6)) == 6
    assert pi.calls.count("start") == 1


def test_a_camera_that_vanishes_and_comes_back(pi: Pi) -> None:
    frames = open_frames("picamera2:0", CaptureSettings(fps=50, timeout=0.2, give_up=60))
    assert isinstance(next(frames), Frame)
    pi.becomes("gone")
    for frame in frames:
        if isinstance(frame, NoFrame) and frame.camera == "lost":
            break
    pi.becomes("ok")
    assert any(isinstance(frame, Frame) for frame in frames)
    frames.close()
    assert pi.calls.count("open") >= 2


@pytest.fixture
def daemon(pi: Pi, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the daemon on the stand-in; what it prints goes to `out` and `err`."""
    started: list[subprocess.Popen[bytes]] = []

    def start(config: Path, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "edge", "run", "--config", str(config), "--stdout"]
        paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{FAKES}"}
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            started.append(
                subprocess.Popen(
                    command, cwd=ROOT, stdout=out, stderr=err, env=os.environ | paths | environment
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def payloads(tmp_path: Path, name: str) -> list[Any]:
    lines = (tmp_path / "out").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    for message in messages:
        contract.validate(message["topic"], message["payload"])
    return [m["payload"] for m in messages if m["topic"].endswith(f"/{name}")]


@pytest.mark.parametrize("state", ["silent", "hangs", "gone"])
def test_the_daemon_ends_at_once_though_its_camera_does_not(
    pi: Pi, configure: Any, daemon: Callable[..., Any], tmp_path: Path, state: str
) -> None:
    process = daemon(configure(source="picamera2:0"))
    wait_for(lambda: payloads(tmp_path, "health"), "nothing is analyzed")
    pi.becomes(state)
    process.send_signal(signal.SIGTERM)
    assert process.wait(4) == 0  # its timeout is 10 s
    assert payloads(tmp_path, "availability") == ["online", "stopped"]


def test_windows_go_on_while_the_camera_is_lost(
    pi: Pi, configure: Any, daemon: Callable[..., Any], tmp_path: Path
) -> None:
    pi.becomes("gone")  # it shows up later than the daemon
    camera = {"timeout": 1, "fps": 30}
    process = daemon(
        configure(source="picamera2:0", camera=camera, window={"seconds": 1}, health={"seconds": 1})
    )
    wait_for(lambda: len(payloads(tmp_path, "window")) >= 2, "no windows")
    assert {window["coverage"] for window in payloads(tmp_path, "window")} == {0}
    assert {health["camera"] for health in payloads(tmp_path, "health")} == {"lost"}
    assert payloads(tmp_path, "health")[-1]["blind_s"] > 0.5
    pi.becomes("ok")
    wait_for(lambda: payloads(tmp_path, "window")[-1]["coverage"] > 0.9, "it is not opened again")
    health = payloads(tmp_path, "health")[-1]
    assert (health["camera"], health["blind_s"]) == ("ok", 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    starts = [window["window"]["start"] for window in payloads(tmp_path, "window")]
    assert len(starts) == len(set(starts)), "two windows of one time"
    assert "picamera2:0: not found; 0 connected; next try in 1 s" in (tmp_path / "err").read_text()


def test_a_camera_lost_for_too_long_is_a_failure(
    pi: Pi, configure: Any, daemon: Callable[..., Any], tmp_path: Path
) -> None:
    pi.becomes("busy")
    process = daemon(configure(source="picamera2:0", camera={"give_up": 2}))
    assert process.wait(20) == 1
    (last,) = (tmp_path / "err").read_text().splitlines()[-1:]
    assert last.startswith("ERROR camera picamera2:0: cannot be opened")
    assert last.rpartition("; ")[2] in ("given up after 2 s", "given up after 3 s")


def test_the_machine_is_restarted_only_where_that_is_allowed(
    pi: Pi, configure: Any, daemon: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n')
    (tmp_path / "systemctl").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    state = tmp_path / "state" / "camera.json"
    pi.becomes("gone")
    for allowed in (False, True):
        state.parent.mkdir(exist_ok=True)
        state.write_text('{"starts_without_frame": 2, "rebooted": 0}')
        camera = {"give_up": 1, "allow_reboot": allowed}
        process = daemon(configure(source="picamera2:0", camera=camera), PATH=path)
        assert process.wait(20) == 1
        assert (tmp_path / "arguments").exists() == allowed
    assert (tmp_path / "arguments").read_text() == "reboot\n"


def test_check_does_not_wait_for_a_camera(pi: Pi, configure: Any) -> None:
    config = configure(source="picamera2:0")
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{FAKES}"}
    for state, line in (
        ("ok", "ok    camera  picamera2:0: 640 x 480"),
        ("gone", "FAIL  camera  picamera2:0: not found; 0 connected"),
    ):
        pi.becomes(state)
        run = subprocess.run(
            [sys.executable, "-m", "edge", "check", "--config", str(config)],
            cwd=ROOT, env=os.environ | paths, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert line in run.stdout.splitlines()


@pytest.mark.parametrize(
    ("shape", "gray"),
    [
        ((480, 640), (480, 640)),
        ((1080, 1920), (360, 640)),
        ((1920, 1080), (1138, 640)),
        ((40_000, 3), (2560, 1)),
        ((40_000, 640), (2560, 41)),
        ((3, 40_000), (1, 640)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_gray_copy_of_any_shape_is_small(shape: tuple[int, int], gray: tuple[int, int]) -> None:
    frame = frame_of(0, 0.0, 0.0, np.zeros((*shape, 3), np.uint8), CaptureSettings(gray_width=640))
    assert frame.gray.shape == gray
