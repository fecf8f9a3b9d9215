"""What the tests share: a clip, labelled faces, a real broker, a configuration on disk."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from tests.support import cloud_pictures, face_folder, scheduling
from tests.support.broker import NO_BROKER, Mosquitto, Subscriber
from tests.support.commands import tool, without
from tests.support.paths import CLIP, MODEL, ROOT

NEEDS = {"shared": "shared", "small_disk": "root"}
"""The marker of tests that use a fixture, directly or not; CI runs them as a part of their own."""

SYSTEM = ROOT / "tests" / "system"
"""Tests of whole programs."""
SLOW = re.compile(
    r"\b(subprocess|create_server|mosquitto|tool|storm|keras|clips|few_faces|age_models)\b", re.I
)
"""A test file with one of these words starts programs or servers, or works on many pictures."""
QUICK_S = 20.0
"""CPU time that a quick test may take on a slow machine, seconds."""


@functools.cache
def is_quick(file: Path) -> bool:
    """Whether `make quick` runs the tests of this file."""
    return SYSTEM not in file.parents and not SLOW.search(file.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold quick tests to their time, whatever else the machine does."""
    before = time.process_time()
    yield
    if request.node.get_closest_marker("quick"):
        took = time.process_time() - before
        assert took < QUICK_S, f"{took:.0f} s is too slow for make quick"


UNSET = (
    "COLUMNS", "CREDENTIALS_DIRECTORY", "FORCE_COLOR", "KERAS_BACKEND", "MPLBACKEND",
    "NOTIFY_SOCKET", "PYTHONWARNINGS", "WATCHDOG_PID", "WATCHDOG_USEC",
)  # fmt: skip
"""What a user's shell, or the service that runs the tests, may say to programs under test."""


def pytest_configure() -> None:
    """Make the tests independent of the shell and the machine that they run on."""
    for name in UNSET:
        os.environ.pop(name, None)
    for name in ("no_proxy", "NO_PROXY"):
        listed = [os.environ.get(name), "localhost", "127.0.0.1"]
        os.environ[name] = ",".join(filter(None, listed))
    settings.register_profile("any machine", deadline=None)  # slow ones too
    settings.load_profile("any machine")
    # what a script runs in background cannot be interrupted, nor can its children
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what not everybody can run."""
    for item in items:
        if is_quick(item.path):
            item.add_marker("quick")
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(NEEDS[fixture])
    scheduling.sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.Scheduling:
    return scheduling.Scheduling(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and data sets that lies beside a developer's checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        without("real clips and data sets, in ../shared, are not part of the project")
    return folder


@pytest.fixture(scope="session")
def clips(shared: Path) -> Path:
    return shared / "clips"


@pytest.fixture(params=["made", pytest.param("real", marks=pytest.mark.shared)])
def walk(request: pytest.FixtureRequest) -> Path:
    """A clip in which a woman and a man walk up: of the demo's people, and of real ones."""
    if request.param == "made":
        return CLIP
    clips: Path = request.getfixturevalue("clips")
    return clips / "face-demographics-walking.gif"


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Write a config.yaml: the shipped model, its own state folder, no broker and these keys."""

    def write(**keys: Any) -> Path:
        path = tmp_path / "config.yaml"
        settings = {
            "site": "test",
            "device": "cam-1",
            "classifier": {"model": str(MODEL)},
            "state_dir": str(tmp_path / "state"),
            "mqtt": NO_BROKER,
        }
        path.write_text(yaml.safe_dump(settings | keys))
        return path

    return write


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Make a folder that all test processes of one run share, whichever needs it first."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder = base / f"shared-{name}"
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return get


@pytest.fixture(scope="session")
def example(made_once: MadeOnce) -> Path:
    """Made people: `faces`, `clip.mp4` (20 s, two women, two men) and `group.png`."""

    def make(folder: Path) -> None:
        run = tool("example", "--out", folder, "--seconds", "20")
        assert run.returncode == 0, run.stderr

    return made_once("example", make)


@pytest.fixture(scope="session")
def few_faces(made_once: MadeOnce) -> Path:
    """A folder of 160 labelled faces, aligned, with its table beside it."""
    return made_once("data", lambda folder: face_folder.write(folder / "faces")) / "faces"


@pytest.fixture(scope="session")
def clouds(made_once: MadeOnce) -> Path:
    """A folder of pictures of nothing, in which Haar sees a face here and there."""
    return made_once("clouds", cloud_pictures.write)


@pytest.fixture(scope="session")
def small_model(few_faces: Path, made_once: MadeOnce) -> Path:
    """A narrow network that was trained for real, if only for a few steps."""

    def make(folder: Path) -> None:
        run = tool(
            "train", "--data", few_faces, "--start", "none", "--size", "64", "--alpha", "0.35",
            "--epochs", "2", "--batch", "16", "--out", folder / "small.keras",
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert "right on validation faces; seed 1, backend tensorflow" in run.stdout

    return made_once("model", make) / "small.keras"


@pytest.fixture(scope="session")
def age_models(made_once: MadeOnce) -> Path:
    """A folder with `both`, `gender` and `age.tflite`: the brighter a face, the older."""

    def make(folder: Path) -> None:
        run = subprocess.run(
            [sys.executable, ROOT / "tests" / "support" / "age_models.py", folder],
            capture_output=True, text=True, cwd=ROOT, timeout=900, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr

    return made_once("age-models", make)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give signals back that a command takes over, if it is run in the process of the tests."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not started yet."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder)
    yield broker
    broker.stop()


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    opened: list[Subscriber] = []

    def make(port: int, *topics: str, **keys: Any) -> Subscriber:
        opened.append(Subscriber(port, *topics, **keys))
        return opened[-1]

    yield make
    for subscriber in opened:
        subscriber.close()
