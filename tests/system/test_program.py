"""The whole daemon as its user starts it: clips, a real broker, signals, exit codes."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from paho.mqtt import publish

from edge.sources.demo import Scene
from edge.types import AGE_GROUPS, People
from edge.vision.model_card import read_card
from tests.support import contract, preloaded
from tests.support.broker import Mosquitto, Subscriber
from tests.support.commands import NO_ESTIMATES, wait_for
from tests.support.paths import CLIP, MODEL, ROOT

Configure = Callable[..., Path]
Subscribe = Callable[..., Subscriber]
EVERYBODY = {"min_people": 1}
AT_ONCE = {"camera": {"give_up": 0}}
TOPIC = "tally/v1/test/cam-1"


def edge(
    *args: str | Path, timeout_s: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the daemon to its end."""
    command = [sys.executable, "-m", "edge", *map(str, args)]
    return preloaded.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s,
        env=os.environ | environment,
    )  # fmt: skip


def messages(output: str, name: str) -> list[Any]:
    """Payloads of the JSON lines whose topic ends in `name`."""
    lines = [json.loads(line) for line in output.splitlines()]
    for line in lines:
        contract.validate(line["topic"], line["payload"])
    return [line["payload"] for line in lines if line["topic"] == f"{TOPIC}/{name}"]


def replay(config: Path, clip: Path) -> list[Any]:
    run = edge("run", "--config", config, "--source", clip, "--stdout")
    assert run.returncode == 0, run.stderr
    return messages(run.stdout, "window")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a daemon that runs on; killed at the end of the test where it still does."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*args: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "edge", *map(str, args)]
        with (tmp_path / "daemon.log").open("ab") as log:
            started.append(preloaded.Popen(command, cwd=ROOT, stdout=log, stderr=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_two_people_walk_up(configure: Configure, walk: Path) -> None:
    config = configure(privacy=EVERYBODY)
    (window,) = replay(config, walk)
    assert window["people"] == {"total": 2, "female": 1, "male": 1, "unknown": 0}
    assert window["totals"] == window["people"]
    assert window["today"] == window["people"] | {"date": window["today"]["date"]}
    assert window["coverage"] == 1.0
    assert not window["time_synced"]


def test_nobody_faces_the_camera(configure: Configure, clips: Path) -> None:
    (window,) = replay(configure(privacy=EVERYBODY), clips / "people-detection.gif")
    assert window["people"]["total"] == 0


def test_the_people_of_a_picture_and_of_a_folder(configure: Configure, tmp_path: Path) -> None:
    scene, folder = Scene(), tmp_path / "pictures"
    folder.mkdir()
    for number in range(60):  # the first group of the scene walks past
        cv2.imwrite(str(folder / f"{number:02}.png"), scene.draw(number / 10))
    config = configure(privacy=EVERYBODY)
    for source in (folder, folder / "32.png"):
        (window,) = replay(config, source)
        people = window["people"]
        assert (people["female"], people["male"]) == (2, 0)
    assert scene.people(0) == People(female=2)


def test_two_people_are_too_few_to_be_told_apart(configure: Configure) -> None:
    (window,) = replay(configure(), CLIP)
    assert window["people"] == {"total": 2}
    assert window["totals"] == {"total": 2, "female": 0, "male": 0, "unknown": 2}


def test_gender_is_not_estimated_where_it_is_off(configure: Configure) -> None:
    off = {"gender": False, "model": "not-even-there.tflite"}
    config = configure(privacy=EVERYBODY, classifier=off)
    run = edge("run", "--config", config, "--source", CLIP, "--stdout")
    assert run.returncode == 0, run.stderr
    (window,) = messages(run.stdout, "window")
    assert window["people"] == {"total": 2}
    assert window["totals"] == {"total": 2, "female": 0, "male": 0, "unknown": 2}
    (info,) = messages(run.stdout, "info")
    assert (info["model"], info["runtime"]) == ("none@00000000", "none")
    assert info["model"] == window["model"]
    (health, *_) = messages(run.stdout, "health")
    assert health["ms"]["classify"] is None
    check = edge("check", "--config", config, "--source", CLIP)
    assert "ok    model   gender: off" in check.stdout.splitlines()


def test_people_are_counted_by_age(configure: Configure, age_models: Path) -> None:
    model = {"model": str(age_models / "both.tflite"), "age": True}
    config = configure(privacy=EVERYBODY, classifier=model)
    run = edge("run", "--config", config, "--source", CLIP, "--stdout", "--verbose")
    assert run.returncode == 0, run.stderr
    (window,) = messages(run.stdout, "window")
    assert window["people"]["female"] + window["people"]["male"] == 2
    assert sum(window["ages"].values()) == 2
    assert window["ages"]["unknown"] == 0
    for age, people in window["ages"].items():
        assert run.stderr.count(f", age {age}, ") == people
    assert "age_model" not in window
    assert window["model"].startswith("both@")
    assert messages(run.stdout, "state") == [window]

    # the same without genders: the model's other output is not looked at
    (alone,) = replay(configure(privacy=EVERYBODY, classifier=model | {"gender": False}), CLIP)
    assert alone["people"] == {"total": 2}
    assert alone["totals"] == {"total": 2, "female": 0, "male": 0, "unknown": 2}
    assert alone["ages"] == window["ages"]
    assert alone["model"] == window["model"]

    # and two are too few to be told apart
    (few,) = replay(configure(classifier=model), CLIP)
    assert few["people"] == {"total": 2}
    assert "ages" not in few
    assert few["totals_by_age"] == dict.fromkeys(AGE_GROUPS, 0) | {"unknown": 2}

    # off, nothing is seen of it
    (off,) = replay(configure(privacy=EVERYBODY, classifier=model | {"age": False}), CLIP)
    assert window["totals_by_age"] == window["ages"]
    without = [key for key in window if key not in ("ages", "totals_by_age")]
    assert [off[key] for key in without if key not in ("id", "epoch")] == [
        window[key] for key in without if key not in ("id", "epoch")
    ]
    assert list(off) == without


def test_ages_of_a_model_of_their_own(
    configure: Configure, age_models: Path, mosquitto: Mosquitto
) -> None:
    shipped = read_card(MODEL).id
    mosquitto.start()
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    for keys, model, on in (
        ({"model": str(MODEL)}, shipped, f"ok    model   {MODEL}: {shipped} on "),
        ({"gender": False, "model": "none"}, "none@00000000", "ok    model   gender: off"),
    ):
        ages = {"age": True, "age_model": str(age_models / "age.tflite")}
        config = configure(privacy=EVERYBODY, classifier=keys | ages, mqtt=mqtt)
        run = edge("run", "--config", config, "--source", CLIP, "--stdout")
        assert run.returncode == 0, run.stderr
        (window,), (info,) = messages(run.stdout, "window"), messages(run.stdout, "info")
        assert sum(window["ages"].values()) == window["people"]["total"] == 2
        assert window["model"] == info["model"] == model
        assert window["age_model"] == info["age_model"]
        assert window["age_model"].startswith("age@")
        assert info["runtime"] != "none"
        assert ("female" in window["people"]) is (model == shipped)

        check = edge("check", "--config", config, "--source", CLIP)
        assert check.returncode == 0, check.stdout
        shown = check.stdout.splitlines()
        assert shown[2].startswith(on)
        ages_line = f"ok    ages    {age_models}/age.tflite: {window['age_model']} on "
        assert shown[3].startswith(ages_line)
    both = {"model": str(age_models / "both.tflite"), "age": True}
    check = edge("check", "--config", configure(classifier=both, mqtt=mqtt), "--source", CLIP)
    assert check.stdout.splitlines()[2].endswith(", for gender and age")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"model": "gender.tflite", "age": True},
            "gender.tflite: estimates no age, but classifier.age is on: set classifier.age_model",
        ),
        (
            {"gender": False, "age": True, "age_model": "gender.tflite"},
            "gender.tflite: estimates no age, but classifier.age is on: set classifier.age_model",
        ),
        ({"model": "age.tflite"}, "estimates age alone, but classifier.gender is on"),
    ],
)
def test_a_model_that_cannot_say_what_is_asked(
    configure: Configure, age_models: Path, keys: dict[str, Any], told: str
) -> None:
    keys = {k: str(age_models / v) if isinstance(v, str) else v for k, v in keys.items()}
    config = configure(source="demo", classifier=keys)
    run = edge("run", "--config", config, "--stdout")
    assert run.returncode == 2
    assert told in run.stderr
    assert run.stdout == ""
    check = edge("check", "--config", config)
    assert check.returncode == 2
    assert told.removeprefix("model ") in check.stdout


def test_the_same_clip_gives_the_same_windows(configure: Configure, walk: Path) -> None:
    config = configure(privacy=EVERYBODY, window={"seconds": 1})

    def without_ids() -> str:
        windows = replay(config, walk)
        assert len(windows) == {".mp4": 7, ".gif": 3}[walk.suffix]
        for window in windows:
            assert window.pop("id") == f"cam-1:{window.pop('epoch')}:{window['seq']}"
        return json.dumps(windows)

    assert without_ids() == without_ids()


def test_stdout_leaves_nothing_on_disk(configure: Configure) -> None:
    config = configure()
    replay(config, CLIP)
    assert [file.name for file in config.parent.iterdir()] == ["config.yaml"]


def test_a_clip_arrives_at_the_broker(
    configure: Configure, mosquitto: Mosquitto, subscribe: Subscribe, tmp_path: Path
) -> None:
    mosquitto.start()
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    dashboard = subscribe(mosquitto.port, "tally/#", "homeassistant/#")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    mqtt |= {"username": "door", "password_file": str(secret)}
    config = configure(privacy=EVERYBODY, mqtt=mqtt)
    run = edge("run", "--config", config, "--source", CLIP)
    assert run.returncode == 0, run.stderr
    wait_for(lambda: "stopped" in dashboard.payloads("availability"), "no clean end")
    (window,) = map(json.loads, dashboard.payloads("window"))
    assert window["people"] == {"total": 2, "female": 1, "male": 1, "unknown": 0}
    assert not window["replayed"]
    assert json.loads(dashboard.payloads("state")[-1]) == window
    assert dashboard.payloads("availability") == ["online", "stopped"]
    assert json.loads(dashboard.payloads("health")[-1])["frames"] > 0
    (info,) = map(json.loads, dashboard.payloads("info"))
    assert info["model"] == window["model"]
    everything = b"".join(message.payload for message in dashboard.messages).decode()
    assert "homeassistant/device/test/cam-1/config" in {m.topic for m in dashboard.messages}
    for hidden in ("hunter2", "door", str(secret)):
        assert hidden not in everything
        assert hidden not in run.stderr


def test_retained_for_a_dashboard_that_comes_later(
    configure: Configure, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    config = configure(mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    # as a power cut leaves it
    there: dict[str, Any] = {"hostname": "127.0.0.1", "port": mosquitto.port}
    publish.single(f"{TOPIC}/presence", "3", retain=True, **there)
    assert edge("run", "--config", config, "--source", CLIP).returncode == 0
    late = subscribe(mosquitto.port, "#")
    names = ("availability", "state", "presence", "health", "info")
    expected = {f"{TOPIC}/{name}" for name in names}
    expected.add("homeassistant/device/test/cam-1/config")
    wait_for(lambda: {m.topic for m in late.messages} == expected, "retained messages are missing")

    run = edge("forget", "--config", config)
    assert run.returncode == 0, run.stderr
    wait_for(lambda: sum(m.payload == b"" for m in late.messages) == 7, "something is left")
    later = subscribe(mosquitto.port, "#", client_id="later")
    time.sleep(0.5)
    assert later.messages == []
    mosquitto.stop()
    run = edge("forget", "--config", config)
    assert run.returncode == 1
    assert "Connection refused" in run.stderr


def test_windows_wait_on_disk_for_a_broker_that_is_away(
    configure: Configure, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    config = configure(privacy=EVERYBODY, mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    run = edge("run", "--config", config, "--source", CLIP)
    assert run.returncode == 0, run.stderr
    assert f"broker 127.0.0.1:{mosquitto.port}: Connection refused" in run.stderr
    assert "1 window not delivered; kept in the outbox" in run.stderr
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    assert edge("run", "--config", config, "--source", CLIP).returncode == 0
    wait_for(lambda: len(dashboard.payloads("window")) == 2, "a window is missing")
    first, second = map(json.loads, dashboard.payloads("window"))
    assert [first["seq"], second["seq"]] == [1, 2]
    assert [first["replayed"], second["replayed"]] == [True, False]
    assert second["totals"]["total"] == 4
    assert second["today"]["total"] == 4
    # the old window never becomes the state
    assert [json.loads(state)["seq"] for state in dashboard.payloads("state")] == [2]


def test_sigterm_ends_cleanly_with_the_last_window(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    config = configure(source="demo", privacy=EVERYBODY, window={"seconds": 600}, mqtt=mqtt)
    daemon = start("run", "--config", config)
    wait_for(lambda: dashboard.payloads("health"), "no health")
    # long enough for a person of the scene to be counted
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(6)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(10) == 0
    wait_for(lambda: "stopped" in dashboard.payloads("availability"), "no clean end")
    (window,) = map(json.loads, dashboard.payloads("window"))
    assert 4 < window["window"]["seconds"] < 20
    assert window["people"]["total"] == 2


def test_the_broker_tells_of_a_daemon_that_was_killed(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    config = configure(source="demo", mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    daemon = start("run", "--config", config)
    wait_for(lambda: dashboard.payloads("availability") == ["online"], "no birth")
    journal = mosquitto.folder / "mosquitto.log"
    wait_for(lambda: "\thomeassistant/status" in journal.read_text(), "births are not heard")
    # Home Assistant comes up: everything that is retained is sent again
    publish.single("homeassistant/status", "online", port=mosquitto.port)
    wait_for(lambda: dashboard.payloads("availability") == ["online"] * 2, "not sent again")
    daemon.kill()
    wait_for(lambda: dashboard.payloads("availability")[2:] == ["offline"], "no will")


def test_a_frozen_daemon_is_offline_within_one_and_a_half_keep_alives(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port, "keepalive": 10}
    daemon = start("run", "--config", configure(source="demo", mqtt=mqtt))
    wait_for(lambda: dashboard.payloads("availability") == ["online"], "no birth")
    daemon.send_signal(signal.SIGSTOP)
    frozen = time.monotonic()
    wait_for(lambda: dashboard.payloads("availability") == ["online", "offline"], "no will")
    assert time.monotonic() - frozen < 1.5 * 10
    daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: dashboard.payloads("availability")[-1] == "online", "does not come back")


def test_a_paused_daemon_is_there_but_opens_no_camera(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    # a camera that is not there would be told as lost
    source = "v4l2:/dev/video99"
    config = configure(source=source, paused=True, window={"seconds": 1}, mqtt=mqtt)
    daemon = start("run", "--config", config)
    wait_for(lambda: len(dashboard.payloads("window")) > 1, "time does not pass")
    assert {window["coverage"] for window in map(json.loads, dashboard.payloads("window"))} == {0}
    assert json.loads(dashboard.payloads("health")[-1])["camera"] == "resting"
    assert dashboard.payloads("availability") == ["online"]
    daemon.terminate()
    assert daemon.wait(10) == 0


def test_a_command_closes_the_camera_until_another_opens_it(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Subscribe,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, f"{TOPIC}/health", f"{TOPIC}/presence")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port, "presence": True, "allow_pause": True}
    config = configure(
        source="demo", mqtt=mqtt, privacy={"min_present": 1}, classifier=NO_ESTIMATES,
        health={"seconds": 1},
    )  # fmt: skip

    def newest() -> tuple[str, bool, str]:
        health = json.loads((dashboard.payloads("health") or ["{}"])[-1])
        return health.get("camera"), health.get("paused"), dashboard.payloads("presence")[-1]

    def command(payload: str) -> None:
        publish.single(f"{TOPIC}/command", payload, 1, hostname="127.0.0.1", port=mosquitto.port)

    daemon = start("run", "--config", config)
    wait_for(lambda: {"1", "2", "3"} & {*dashboard.payloads("presence")}, "nobody is in view")
    command("stop")
    command("pause")
    wait_for(lambda: newest() == ("resting", True, ""), "the camera stays open")
    daemon.kill()  # as a power cut does
    daemon.wait()
    number = len(dashboard.payloads("health"))
    daemon = start("run", "--config", config)
    wait_for(lambda: len(dashboard.payloads("health")) > number + 1, "no restart")
    states = [json.loads(payload) for payload in dashboard.payloads("health")[number:]]
    assert {(state["camera"], state["paused"], state["frames"]) for state in states} == {
        ("resting", True, 0)
    }

    def resumed() -> bool:  # it may not have subscribed yet
        command("resume")
        return newest()[:2] == ("ok", False)

    wait_for(resumed, "the camera stays closed")
    daemon.terminate()
    assert daemon.wait(10) == 0
    wait_for(lambda: newest()[2] == "", "a number of people stays at the broker")
    moments = [message.timestamp for message in dashboard.messages if "presence" in message.topic]
    assert len(moments) < 40


def test_systemd_is_told(
    configure: Configure, tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            daemon = start("run", "--config", configure(source="demo"), "--stdout")
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert systemd.recv(1000).decode().startswith("READY=1\n")
        assert systemd.recv(1000) == b"WATCHDOG=1"
        daemon.terminate()
        told = b""
        while told != b"STOPPING=1":
            told = systemd.recv(1000)
        assert daemon.wait(10) == 0


@pytest.mark.parametrize(
    ("args", "keys", "code", "expected"),
    [
        (["--source", "v4l2:/dev/video99"], AT_ONCE, 1, "camera /dev/video99: does not exist"),
        (["--source", "picamera2:0"], {}, 2, "picamera2 is not installed"),
        (["--source", "README.md"], {}, 2, "source README.md: is not a video"),
        (["--source", "none.mp4"], {}, 2, "'none.mp4': no such file"),
        (
            ["--source", "rtsp://u:geheim@127.0.0.1:9/"],
            AT_ONCE,
            1,
            "rtsp://127.0.0.1:9/...: cannot",
        ),
        ([], {"classifier": {"model": "README.md"}, "source": "demo"}, 2, "is not a TFLite file"),
        ([], {"site": "a/b", "window": {"seconds": -1}}, 2, "2 mistakes"),
    ],
)
def test_each_failure_is_one_clear_line(
    configure: Configure,
    tmp_path: Path,
    args: list[str],
    keys: dict[str, Any],
    code: int,
    expected: str,
) -> None:
    # a Raspberry Pi may have it
    (tmp_path / "picamera2.py").write_text("raise ImportError('not here')\n")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = edge(
        "run", "--config", configure(**keys), "--stdout", *args, PYTHONPATH=os.pathsep.join(paths)
    )
    assert run.returncode == code
    (line, *details) = [
        line for line in run.stderr.splitlines() if not line.startswith("INFO: Created TensorFlow")
    ]
    assert line.startswith("ERROR ")
    assert all(detail.startswith("  ") for detail in details)
    assert expected in "\n".join([line, *details])
    assert "Traceback" not in run.stderr
    assert "geheim" not in run.stderr


def test_model_with_another_input(configure: Configure, age_models: Path, tmp_path: Path) -> None:
    # a real TFLite file, but of another network
    import hashlib

    model = tmp_path / "model.tflite"
    model.write_bytes((age_models / "both.tflite").read_bytes())
    card = json.loads((ROOT / "models" / "gender.json").read_text())
    card["sha256"] = hashlib.sha256(model.read_bytes()).hexdigest()
    model.with_suffix(".json").write_text(json.dumps(card))
    config = configure(source="demo", classifier={"model": str(model)})
    run = edge("run", "--config", config, "--stdout")
    assert run.returncode == 2
    assert "takes input [1, 32, 32, 3], but its JSON says" in run.stderr


def test_nobody_reads_stdout_any_more(configure: Configure) -> None:
    command = [sys.executable, "-m", "edge", "run", "--config", str(configure(source="demo"))]
    pipe = subprocess.PIPE
    with preloaded.Popen[bytes](
        [*command, "--stdout"], stdout=pipe, stderr=pipe, cwd=ROOT
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        daemon.stdout.readline()
        daemon.stdout.close()
        told = daemon.stderr.read().decode()
        assert daemon.wait(30) == 1
    assert "ERROR stdout: cannot be written (Broken pipe)" in told
    assert "Traceback" not in told


def test_state_folder_that_cannot_be_made(configure: Configure) -> None:
    config = configure(state_dir="/proc/none")
    run = edge("run", "--config", config, "--source", CLIP)
    assert run.returncode == 2
    assert "state_dir /proc/none: cannot be created" in run.stderr


@pytest.mark.parametrize("state_dir", ["/proc/none", "/dev/null/x", "README.md"])
def test_check_proves_the_state_folder_and_leaves_nothing(
    configure: Configure, tmp_path: Path, state_dir: str
) -> None:
    run = edge("check", "--config", configure(source="demo", state_dir=state_dir))
    assert run.returncode == 2
    assert f"FAIL  state   state_dir {state_dir}: cannot be written (" in run.stdout
    edge("check", "--config", configure(source="demo", state_dir=str(tmp_path / "a" / "b")))
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_check_proves_each_part(configure: Configure, mosquitto: Mosquitto) -> None:
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    config = configure(source="demo", mqtt=mqtt)
    run = edge("check", "--config", config)
    assert run.returncode == 2
    lines = run.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "config"], ["ok", "board"], ["ok", "model"], ["ok", "faces"], ["ok", "camera"],
        ["FAIL", "broker"],
    ]  # fmt: skip
    assert "Connection refused" in lines[5]
    mosquitto.start()
    run = edge("check", "--config", config)
    assert run.returncode == 0
    assert "FAIL" not in run.stdout
    assert edge("check", "--config", config.with_name("none.yaml")).returncode == 2


@pytest.mark.parametrize(
    ("version", "rules", "told"),
    [
        (
            "auto",
            "max_packet_size 500",
            r"refuses .*/check: its \d{3} bytes are more than the 500 ",
        ),
        ("3.1.1", "max_packet_size 500", r"ends the connection at a message of \d{3} bytes"),
        ("3.1.1", "message_size_limit 500", "acknowledged, but not sent back"),
    ],
)
def test_check_finds_brokers_that_run_cannot_use(
    configure: Configure, mosquitto: Mosquitto, version: str, rules: str, told: str
) -> None:
    mosquitto.rules = f"{rules}\n"
    mosquitto.start()
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port, "version": version}
    run = edge("check", "--config", configure(source="demo", mqtt=mqtt))
    assert run.returncode == 2
    assert re.search(rf"FAIL  broker  127\.0\.0\.1:{mosquitto.port}: .*{told}", run.stdout), (
        run.stdout
    )


@pytest.mark.parametrize(
    ("version", "rules", "told"),
    [
        ("auto", "max_packet_size 2000", r"\(\d{4} bytes\) is left out: its \d{4} bytes are more "),
        ("auto", "message_size_limit 2000", r"is left out: ends the connection at a message of \d"),
        ("3.1.1", "max_packet_size 2000", r"is left out: ends the connection at a message of \d"),
        ("3.1.1", "message_size_limit 2000", "is left out: refuses .*not sent back"),
        ("auto", "retain_available false", "keeps no retained messages"),
    ],
)
def test_check_warns_of_what_a_broker_does_not_take_and_counts_do_not_need(
    configure: Configure, mosquitto: Mosquitto, version: str, rules: str, told: str
) -> None:
    mosquitto.rules = f"{rules}\n"
    mosquitto.start()
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port, "version": version}
    run = edge("check", "--config", configure(source="demo", mqtt=mqtt))
    assert run.returncode == 0, run.stdout
    assert f"ok    broker  127.0.0.1:{mosquitto.port}: speaks MQTT" in run.stdout
    topic = "" if "retain" in rules else "homeassistant/device/test/cam-1/config "
    shown = rf"warn  broker  127\.0\.0\.1:{mosquitto.port}: {topic}.*{told}"
    assert re.search(shown, run.stdout), run.stdout


def test_check_leaves_nothing_at_the_broker(
    configure: Configure, mosquitto: Mosquitto, subscribe: Subscribe
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "#")
    mqtt = {"host": "127.0.0.1", "port": mosquitto.port}
    run = edge("check", "--config", configure(source="demo", mqtt=mqtt))
    assert run.returncode == 0
    assert "warn" not in run.stdout
    wait_for(lambda: len(dashboard.messages) == 4, "nothing is sent")
    assert {m.topic for m in dashboard.messages} == {f"{TOPIC}/check"}
    assert len(dashboard.payloads("check")[3]) > 4096
    later = subscribe(mosquitto.port, "#", client_id="later")
    time.sleep(0.5)
    assert later.messages == []


def as_before(database: Path) -> None:
    """Make the outbox as it was before devices were told apart by their site."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA application_id=0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_an_installation_in_use_keeps_its_ids_until_it_is_forgotten(
    configure: Configure, clips: Path, mosquitto: Mosquitto, subscribe: Subscribe, tmp_path: Path
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "homeassistant/#")
    config = configure(mqtt={"host": "127.0.0.1", "port": mosquitto.port})
    command = ("run", "--config", config, "--source", clips / "classroom.gif")
    legacy, fresh = (f"homeassistant/device/{d}cam-1/config" for d in ("", "test/"))

    def published() -> list[str]:
        seen = [message.topic for message in dashboard.messages if message.payload]
        dashboard.messages.clear()
        return seen

    assert edge(*command).returncode == 0
    assert published() == [fresh]
    as_before(tmp_path / "state" / "outbox.db")
    assert edge(*command).returncode == 0
    assert published() == [legacy]
    # damage does not change it either
    with (tmp_path / "state" / "outbox.db").open("r+b") as file:
        file.seek(1024 + 8)
        file.write(b"x" * 900)
    run = edge(*command)
    assert "is damaged" in run.stderr
    assert published() == [legacy]
    assert edge(*command).returncode == 0
    assert published() == [legacy]
    assert edge("forget", "--config", config).returncode == 0
    wait_for(lambda: {m.topic for m in dashboard.messages} == {legacy, fresh}, "not forgotten")
    dashboard.messages.clear()
    assert edge(*command).returncode == 0
    assert published() == [fresh]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"quiet_hours": ["00:00-24:00"]}, "quiet hours"),
        ({"quiet_hours": ["00:00-24:00"], "paused": True}, "paused"),
    ],
)
def test_check_opens_no_camera_that_rests(
    configure: Configure, keys: dict[str, Any], told: str
) -> None:
    config = configure(source="v4l2:/dev/video99", **keys)
    run = edge("check", "--config", config)
    assert f"ok    camera  {told}: not opened" in run.stdout.splitlines()


def test_a_recording_has_no_quiet_hours(configure: Configure) -> None:
    config = configure(source=str(CLIP), quiet_hours=["00:00-24:00"])
    assert "people.mp4: 480 x 270" in edge("check", "--config", config).stdout


@pytest.mark.parametrize("command", ["check", "forget"])
def test_a_command_that_is_interrupted_has_failed(
    configure: Configure, start: Callable[..., subprocess.Popen[bytes]], command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mqtt = {"host": "127.0.0.1", "port": mute.getsockname()[1]}
        process = start(command, "--config", configure(source="demo", mqtt=mqtt))
        mute.settimeout(20)
        with mute.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 1


def test_started_in_another_folder_it_says_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    run = subprocess.run(
        [sys.executable, "-m", "edge", "check"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert "detector.judge: 'models/face.tflite': no such file" in run.stderr
    assert "Traceback" not in run.stderr


def test_usage_mistakes_end_with_2() -> None:
    assert edge("run", "--nonsense").returncode == 2
    assert edge().returncode == 2
    assert edge("--version").stdout.startswith("edge-tally ")
