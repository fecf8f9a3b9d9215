"""SIGHUP: the configuration is read again, and no count is lost."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.sources.demo import Scene
from tests.support import preloaded
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import wait_for
from tests.support.paths import CLIP, MODEL, ROOT

Configure = Callable[..., Path]
SETTINGS: dict[str, Any] = {"source": "demo", "privacy": {"min_people": 1}}


class Daemon:
    """One that no terminal controls, as systemd starts it."""

    def __init__(self, config: Path, log: Path, *args: str, **environment: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self.process = preloaded.Popen(
                [sys.executable, "-m", "edge", "run", "--config", str(config), *args],
                cwd=ROOT,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env=os.environ | environment,
            )

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def said(self, text: str, times: int = 1) -> Callable[[], bool]:
        return lambda: self._log.read_text().count(text) >= times


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def run(config: Path, *args: str, **environment: str) -> Daemon:
        started.append(Daemon(config, tmp_path / "daemon.log", *args, **environment))
        return started[-1]

    yield run
    for daemon in started:
        daemon.process.kill()
        daemon.process.wait()


def test_counts_go_on(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Callable[..., Subscriber],
    start: Callable[..., Daemon],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    settings = SETTINGS | {"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}}

    def windows() -> list[Any]:
        return [json.loads(payload) for payload in dashboard.payloads("window")]

    daemon = start(configure(**settings, window={"seconds": 600}))
    # the scene's first two people have gone when the next ones come
    wait_for(daemon.said("first frame analyzed"), "no frame")
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(6)
    configure(**settings, window={"seconds": 1})
    daemon.reload()
    wait_for(lambda: len(windows()) >= 3, "no window of the new length")
    daemon.process.terminate()
    assert daemon.process.wait(10) == 0
    wait_for(lambda: dashboard.payloads("availability")[-1] == "stopped", "no clean end")

    first, *others = windows()
    assert first["window"]["seconds"] > 4
    assert first["people"]["total"] == 2 == Scene().people(0).total
    assert {window["window"]["seconds"] for window in others[:2]} == {1.0}
    assert [window["seq"] for window in windows()] == list(range(1, len(windows()) + 1))
    assert {window["epoch"] for window in windows()} == {first["epoch"]}
    counted = 0
    for window in windows():
        counted += window["people"]["total"]
        assert window["totals"]["total"] == counted
    assert dashboard.payloads("availability") == ["online", "stopped", "online", "stopped"]


def test_ages_are_switched_on_and_off(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Callable[..., Subscriber],
    start: Callable[..., Daemon],
    age_models: Path,
) -> None:
    settings = SETTINGS | {"window": {"seconds": 1}}
    settings |= {"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}}
    model = {"model": str(age_models / "both.tflite")}
    # the first windows wait on disk until the broker comes, and by then ages are counted
    daemon = start(configure(**settings, classifier=model | {"age": False}))
    wait_for(daemon.said("first frame analyzed"), "no frame")
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(2)
    configure(**settings, classifier=model | {"age": True})
    daemon.reload()
    wait_for(daemon.said("first frame analyzed", times=2), "not read again")
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#", "homeassistant/#")

    def windows() -> list[Any]:
        return [json.loads(payload) for payload in dashboard.payloads("window")]

    def aged() -> list[Any]:
        return [window for window in windows() if "ages" in window]

    def phases() -> list[bool]:
        return [key for key, _ in itertools.groupby("ages" in window for window in windows())]

    wait_for(lambda: any(sum(window["ages"].values()) for window in aged()), "nobody counted")
    configure(**settings, classifier=model | {"age": False})
    daemon.reload()
    wait_for(lambda: phases() == [False, True, False], "ages are still counted")
    daemon.process.terminate()
    assert daemon.process.wait(10) == 0
    wait_for(lambda: dashboard.payloads("availability")[-1] == "stopped", "no clean end")

    assert phases() == [False, True, False]
    assert [window["seq"] for window in windows()] == list(range(1, len(windows()) + 1))
    for window in aged():
        assert sum(window["ages"].values()) == window["people"]["total"]
    found = ["age_57" in payload for payload in dashboard.payloads("config")]
    assert [key for key, _ in itertools.groupby(found)] == [True, False]


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ({"window": {"seconds": -1}}, "window.seconds: -1: should be greater than or equal to 1"),
        ({"classifier": {"model": "README.md"}}, "is not a TFLite file"),
        ({"classifier": {"model": "gender.tflite", "age": True}}, "estimates no age"),
        (
            {"classifier": {"model": str(MODEL), "age": True, "age_model": "README.md"}},
            "is not a TFLite file",
        ),
        ({"state_dir": "/dev/null/x"}, "state_dir /dev/null/x: cannot be written"),
        ({"source": "README.md"}, "source README.md: is not a video or picture"),
        ({"source": "systemd"}, "source systemd: holds no pictures"),
        ({"source": "picamera2:0"}, "picamera2 is not installed"),
    ],
)
def test_a_mistake_changes_nothing(
    configure: Configure,
    start: Callable[..., Daemon],
    age_models: Path,
    mistake: dict[str, Any],
    told: str,
) -> None:
    model = mistake.get("classifier", {})
    if model.get("model") == "gender.tflite":
        model["model"] = str(age_models / "gender.tflite")
    daemon = start(configure(**SETTINGS, window={"seconds": 1}), "--stdout")
    wait_for(daemon.said('/window"'), "no window")
    configure(**SETTINGS | mistake)
    daemon.reload()
    wait_for(daemon.said("the configuration stays as it was"), "nothing is said")
    assert daemon.said(told)()
    wait_for(daemon.said('"seq":3'), "it counts no more")
    assert not daemon.said("first frame analyzed", times=2)()
    # and once it is mended
    configure(**SETTINGS, window={"seconds": 2})
    daemon.reload()
    wait_for(daemon.said('"seconds":2.0'), "no window of the new length")
    daemon.process.terminate()
    assert daemon.process.wait(10) == 0


def test_systemd_is_told(
    configure: Configure, start: Callable[..., Daemon], tmp_path: Path
) -> None:
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)

        def hear(text: str) -> None:
            while not told or text not in told[-1]:
                told.append(systemd.recv(1000).decode())

        daemon = start(configure(**SETTINGS), "--stdout", NOTIFY_SOCKET=str(tmp_path / "notify"))
        hear("READY=1")
        daemon.reload()
        hear("RELOADING=1")
        hear("READY=1")
        daemon.process.terminate()
        hear("STOPPING=1")
        assert daemon.process.wait(10) == 0
    assert sum("STOPPING=1" in lines for lines in told) == 1


def test_a_recording_is_counted_once(configure: Configure, start: Callable[..., Daemon]) -> None:
    config = configure(source=str(CLIP), window={"seconds": 1})
    daemon = start(config, "--stdout")
    wait_for(daemon.said("first frame analyzed"), "no frame")
    daemon.reload()
    assert daemon.process.wait(60) == 0
    assert not daemon.said("first frame analyzed", times=2)()
    assert not daemon.said("configuration reloaded")()
