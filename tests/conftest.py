"""What the tests share: a clip, labelled faces, a real broker, a configuration on disk."""

import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import paho.mqtt.client as mqtt
import pytest
import yaml
from hypothesis import settings
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import contract, face_folder

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "gender.tflite"
CLIP = ROOT / "tests" / "data" / "people.mp4"
"""A woman and a man of the demo walk past, in 6.4 s; made by tests/support/people.py, as is PICTURE."""
PICTURE = CLIP.with_suffix(".jpg")
"""A woman, and two men to her right."""
NO_BROKER = {"host": "127.0.0.1", "port": 1}
"""The connection is refused, whatever brokers run on this machine."""

NEEDS = {"shared": "shared", "small_disk": "root"}
"""The marker of tests that use a fixture, directly or not; CI runs them as a part of their own."""

SLOW = re.compile(r"\b(subprocess|mosquitto|tool|storm|keras|clips|few_faces|age_models)\b", re.I)
"""A test file with one of these words starts programs, or works on more than a few pictures."""
QUICK_S = 20.0
"""CPU time that a quick test may take on a slow machine, seconds."""


@functools.cache
def is_quick(file: Path) -> bool:
    """Whether `make quick` runs the tests of this file."""
    return not SLOW.search(file.read_text(encoding="utf-8"))


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


WITH_TENSORFLOW = tuple(
    f"test_{name}.py"
    for name in ("train", "quantize", "networks", "ages", "distill", "caffe", "batches")
)
"""These import it: from then on tflite-runtime fails in the same process ("vector::reserve")."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what not everybody can run; run what imports TensorFlow last, longest first."""
    for item in items:
        if is_quick(item.path):
            item.add_marker("quick")
        for fixture in NEEDS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(NEEDS[fixture])
    order = {name: number for number, name in enumerate(WITH_TENSORFLOW, 1)}
    items.sort(key=lambda item: order.get(item.path.name, 0))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and data sets that lies beside a developer's checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        without("real clips and data sets, in ../shared, are not part of the project")
    return folder


def without(reason: str) -> NoReturn:
    """Skip a test that cannot run here; in CI, where it must be able to, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


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


def tool(
    name: str, *args: str | Path, timeout_s: float = 900, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the workstation's tools as its user does."""
    return subprocess.run(
        [sys.executable, f"tools/{name}.py", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        env=os.environ | environment,
    )


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made people: `faces`, `clip.mp4` (20 s, two women, two men) and `group.png`."""
    folder = tmp_path_factory.mktemp("example")
    run = tool("example", "--out", folder, "--seconds", "20")
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def few_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 160 labelled faces, aligned, with its table beside it."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    face_folder.write(folder)
    return folder


@pytest.fixture(scope="session")
def small_model(few_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow network that was trained for real, if only for a few steps."""
    out = tmp_path_factory.mktemp("model") / "small.keras"
    run = tool(
        "train", "--data", few_faces, "--start", "none", "--size", "64", "--alpha", "0.35",
        "--epochs", "2", "--batch", "16", "--out", out,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "right on validation faces; seed 1, backend tensorflow" in run.stdout
    return out


@pytest.fixture(scope="session")
def age_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `both`, `gender` and `age.tflite`: the brighter a face, the older."""
    folder = tmp_path_factory.mktemp("age-models")
    run = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "age_models.py", folder],
        capture_output=True, text=True, cwd=ROOT, timeout=900, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A real broker on loopback that can be stopped and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    rules: str = ""
    """More lines of its configuration."""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.fail("mosquitto is not installed; `make test` installs it")
        config = self.folder / "mosquitto.conf"
        config.write_text(self.configuration())
        if os.geteuid() == 0:  # mosquitto would become another user that may not write here
            config.write_text(config.read_text() + "user root\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(config)], stderr=log)
        wait_for(self._listens, "mosquitto does not listen")

    def configuration(self) -> str:
        return (
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\nlog_type all\n"
            "persistence true\n"
            f"persistence_location {self.folder}/\n"
            "autosave_on_changes true\nautosave_interval 1\n"
            f"{self.rules}"
        )

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def allow(self, *rules: str) -> None:
        """Let users do nothing but what the lines of this access list say; also while it runs."""
        file = self.folder / "acl"
        file.write_text("\n".join(rules) + "\n")
        file.chmod(0o700)
        self.rules = f"acl_file {file}\n"
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not started yet."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder)
    yield broker
    broker.stop()


class Subscriber:
    """A dashboard: everything the broker sends, in order."""

    def __init__(self, port: int, *topics: str, client_id: str = "dashboard") -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.ready = False
        self._topics = topics
        # a session of its own at the broker: nothing is missed while the broker restarts
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False
        )
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_for(lambda: self.ready, "the subscription is not granted")

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        for topic in self._topics:
            client.subscribe(topic, qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self.ready = True

    def payloads(self, name: str) -> list[str]:
        """Payloads of the topics that end in `name`."""
        return [m.payload.decode() for m in self.messages if m.topic.endswith(f"/{name}")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        for message in self.messages:
            contract.validate(message.topic, message.payload.decode())


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    opened: list[Subscriber] = []

    def make(port: int, *topics: str, client_id: str = "dashboard") -> Subscriber:
        opened.append(Subscriber(port, *topics, client_id=client_id))
        return opened[-1]

    yield make
    for subscriber in opened:
        subscriber.close()


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60) -> None:
    """Return once `condition()` is true; fail with `what` where it never is."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"after {timeout_s} s: {what}")
        time.sleep(0.02)
