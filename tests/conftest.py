"""What the tests share: the clips beside the project, a real broker, a configuration on disk."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import contract

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "gender.tflite"


WITH_TENSORFLOW = tuple(
    f"test_{name}.py"
    for name in ("train", "quantize", "networks", "ages", "distill", "caffe", "batches")
)
"""These import it: from then on tflite-runtime fails in the same process ("vector::reserve")."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what imports TensorFlow last, the longest of it first."""
    order = {name: number for number, name in enumerate(WITH_TENSORFLOW, 1)}
    items.sort(key=lambda item: order.get(item.path.name, 0))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of clips and data sets that lies beside a developer's checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        message = f"{folder} is not here: clips and data sets are not part of the project"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def clips(shared: Path) -> Path:
    return shared / "clips"


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Write a config.yaml with the shipped model, its own state folder and these keys."""

    def write(**keys: Any) -> Path:
        path = tmp_path / "config.yaml"
        settings = {
            "site": "test",
            "device": "cam-1",
            "classifier": {"model": str(MODEL)},
            "state_dir": str(tmp_path / "state"),
        }
        path.write_text(yaml.safe_dump(settings | keys))
        return path

    return write


def tool(
    name: str, *args: str | Path, timeout_s: float = 300, **environment: str
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
def few_faces(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a few real faces, aligned, with its table beside it."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    folder.mkdir()
    archive = zipfile.ZipFile(shared / "datasets" / "utkface.zip")
    wanted = {"train": 80, "val": 40, "test": 40}
    chosen: list[dict[str, str]] = []
    with (shared / "datasets" / "utkface.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            key = (row["split"], row["gender"])
            if sum((r["split"], r["gender"]) == key for r in chosen) < wanted[row["split"]] / 2:
                chosen.append(row)
                (folder / row["file"]).write_bytes(archive.read(f"utkface/{row['file']}"))
    with folder.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, chosen[0])
        writer.writeheader()
        writer.writerows(chosen)
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
        [sys.executable, ROOT / "tests" / "age_models.py", folder],
        capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
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


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 20) -> None:
    """Return once `condition()` is true; fail with `what` where it never is."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"after {timeout_s} s: {what}")
        time.sleep(0.02)
