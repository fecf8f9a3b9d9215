"""What the configuration says reaches the parts: each key changes what they do."""

import contextlib
import json
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge import wiring
from edge.camera_loan import borrowed
from edge.config import Config, load_config
from edge.delivery import outbox_db
from edge.delivery.mqtt_broker import Broker
from edge.pause import PauseSwitch
from edge.sources.demo import Scene
from edge.sources.frame import frame_of
from edge.types import Box, CaptureSettings, Face, Frames, Message, People, Visit
from edge.vision.model_card import read_card
from edge.vision.tflite import RUNTIMES
from tests.support import contract
from tests.support.paths import MODEL, PICTURE, ROOT

Load = Callable[[str], Config]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    def read(text: str) -> Config:
        (tmp_path / "config.yaml").write_text(text)
        return load_config(tmp_path / "config.yaml", source="demo")

    monkeypatch.chdir(ROOT)
    return read


@pytest.fixture
def measured_model(tmp_path: Path) -> Path:
    """The shipped model, measured at two certainties."""
    file = Path(shutil.copy(MODEL, tmp_path))
    men = {"female": 3, "male": 90, "unknown": 7}
    thresholds = [
        {
            "min_confidence": minimum,
            "female": {"female": women, "male": 5, "unknown": 14},
            "male": men,
        }
        for minimum, women in ((0.6, 81), (0.8, 61))
    ]
    measured = {"data": "faces.zip", "split": "test", "min_age": 12, "thresholds": thresholds}
    card = json.loads(MODEL.with_suffix(".json").read_text())
    card["confusion"] = [measured | {"model": read_card(MODEL).id}]
    file.with_suffix(".json").write_text(json.dumps(card))
    return file


@pytest.mark.parametrize(
    ("settings", "zones", "heights"),
    [
        ("", "", [156, 254]),
        ("min_face_px: 130", "", []),
        ("max_face_px: 75", "", [158]),
        ("max_face_px: 75, scale_factor: 1.5", "", []),
        ("scale_factor: 2, min_neighbours: 7", "", [256]),
        ("min_score: 0.999", "", []),
        ("", "zones: {region: [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]}", [156]),
        ("", "zones: {excluded: [[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]}", [254]),
    ],
)
@pytest.mark.parametrize(("idle", "tolerance"), [("off", 3), ("on", 5)])
def test_detector(
    load: Load, settings: str, zones: str, heights: list[int], idle: str, tolerance: int
) -> None:
    """Two people in the middle of the view, one above the other, with faces 72 and 92 px wide.

    A selective search takes steps of a twelfth of a face.
    """
    view = CaptureSettings(width=640, height=360)
    frame = frame_of(0, 0.0, 0.0, Scene().draw(3.2), view)
    text = f"detector: {{{settings or 'width: 640'}, idle: {idle}}}\n{zones}"
    faces = wiring.detector(load(text))(frame, [])
    assert sorted(face.box.cy for face in faces) == pytest.approx(heights, abs=tolerance)


@pytest.mark.parametrize(("text", "searched"), [("", 1), ("detector: {idle: off}", 5)])
def test_a_still_view_is_searched_or_not(load: Load, text: str, searched: int) -> None:
    detect = wiring.detector(load(text))
    scene = Scene().draw(3.2)
    frames = [frame_of(n, n / 10, 0.0, scene, CaptureSettings()) for n in range(5)]
    assert sum(bool(detect(frame)) for frame in frames) == searched


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no build from 3.12 on")
def test_runtime(load: Load) -> None:
    for runtime in RUNTIMES:
        classifier = wiring.classifier(load(f"classifier: {{runtime: {runtime}}}"))
        assert classifier is not None
        assert classifier.runtime == runtime


@pytest.mark.parametrize(
    ("text", "visits", "looks"),
    [
        ("", [("male", None)], 9),
        ("tracker: {patience: 0.7}", [("male", None)] * 2, 18),
        ("tracker: {min_sightings: 100}", [], 0),
        ("tracker: {min_seconds: 60}", [], 0),
        ("tracker: {static_after: 10}", [], 9),
        ("classifier: {votes: 2}", [("male", None)], 2),
        ("classifier: {min_confidence: 0.8}", [("unknown", None)], 9),
        ("classifier: {age: on}", [("male", "unknown")], 9),
    ],
)
def test_tracker(load: Load, text: str, visits: list[tuple[str, str | None]], looks: int) -> None:
    """Somebody stands still for 12 s and, after a gap of 1.6 s, for 3 s more."""
    tracker = wiring.tracker(load(text))
    ended: list[Visit] = []
    looked = 0
    for mono in (*(n / 5 for n in range(61)), *(13.6 + n / 5 for n in range(16))):
        tracks, over = tracker.update([Face(Box(300, 150, 50, 50), 1.0)], mono, (640, 360))
        ended += over
        for track in filter(tracker.wants_vote, tracks):
            tracker.vote(track, 0.7)
            looked += 1
    ended += tracker.finish()
    assert [(visit.label, visit.age) for visit in ended] == visits
    assert looked == looks


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", []),
        ("privacy: {min_people: 1}", [(60, True, False)] * 3),
        ("privacy: {max_hold: 0}", [(60, False, False), *[(60, True, False)] * 2]),
        ("{window: {seconds: 90}, privacy: {min_people: 1}}", [(90, True, False)] * 2),
        ("{classifier: {age: on}, privacy: {min_people: 1}}", [(60, True, True)] * 3),
    ],
)
def test_counter(load: Load, text: str, windows: list[tuple[float, bool, bool]]) -> None:
    counter = wiring.counter(load(text))
    ended = []
    for mono in range(190):
        people = [Visit(0, 4, "female", 0.9)] if mono == 5 else []
        ended += counter.tick(mono, mono, 0, people)
    assert [(w.seconds, w.broken_down, w.ages is not None) for w in ended] == windows


@pytest.mark.parametrize(
    ("text", "dropped"),
    [("", 0), ("outbox: {max_windows: 100}", 50), ("outbox: {max_days: 120}", 29)],
)
def test_outbox(load: Load, text: str, dropped: int) -> None:
    outbox = wiring.outbox(None, load(text).outbox)
    for _ in range(150):
        outbox.append(
            People(), day="2026-11-21", seconds=86_400, make=lambda *_: Message("t", "{}")
        )
    assert outbox.dropped() == dropped
    outbox.close()


def test_broker(load: Load) -> None:
    """TLS is tried in tests/edge/delivery/test_access_rules.py."""
    common: dict[str, Any] = {"client_id": "edge-tally/shop/door", "keepalive": 30}
    name = "site: shop\ndevice: door\n"
    assert wiring.broker(load(name)) == Broker("localhost", 1883, **common)
    mqtt = (
        "mqtt: {host: broker.example, port: 8884, username: u, password_file: config.yaml, "
        "allow_insecure: true, keepalive: 60, version: '3.1.1'}"
    )
    assert wiring.broker(load(name + mqtt)) == Broker(
        "broker.example", 8884, **common | {"keepalive": 60}, username="u",
        password_file=Path("config.yaml"), version="3.1.1",
    )  # fmt: skip


def test_home_assistant_learns_how_long_to_wait(load: Load) -> None:
    config = load("{window: {seconds: 10}, privacy: {max_hold: 100}, health: {seconds: 20}}")
    (message,) = wiring.messages(config).discovery("1")
    assert '"expire_after":130' in message.payload
    assert '"expire_after":60' in message.payload
    assert wiring.messages(load("mqtt: {discovery_prefix: null}")).discovery("1") == []


@pytest.mark.parametrize(
    ("text", "women"),
    [
        ("", 81),
        ("min_confidence: 0.8", 61),
        ("min_confidence: 0.62", None),  # its errors were not measured
        ("gender: off, age: on", None),
    ],
)
def test_info_has_the_errors_at_this_certainty(
    load: Load, measured_model: Path, text: str, women: int | None
) -> None:
    config = load(f"classifier: {{model: {measured_model}, {text}}}")
    info = wiring.info(config, wiring.models(config))
    message = wiring.messages(config).info(info)
    contract.validate(message.topic, message.payload)
    confusion = json.loads(message.payload).get("confusion")
    if women is None:
        assert confusion is None
    else:
        assert confusion == {
            "data": "faces.zip", "split": "test", "min_age": 12,
            "min_confidence": config.classifier.min_confidence,
            "female": {"female": women, "male": 5, "unknown": 14},
            "male": {"female": 3, "male": 90, "unknown": 7},
        }  # fmt: skip


def test_the_errors_of_another_file_are_not_shown(load: Load, measured_model: Path) -> None:
    text = measured_model.with_suffix(".json").read_text()
    other = text.replace(read_card(measured_model).id, "gender@12345678")
    measured_model.with_suffix(".json").write_text(other)
    config = load(f"classifier: {{model: {measured_model}}}")
    assert "confusion" not in wiring.info(config, wiring.models(config))


def test_a_folder_that_is_called_like_the_demo(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(f"state_dir: {tmp_path}/state")
    models = ROOT / "models"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(models)
    (tmp_path / "demo").mkdir()
    wiring.validate(config)  # which would find no pictures in it


def test_who_may_be_paused(load: Load, tmp_path: Path) -> None:
    state = f"state_dir: {tmp_path}/state"
    live = load(f"{{mqtt: {{allow_pause: on}}, {state}}}")
    assert wiring.pause_switch(live) is not None
    assert wiring.pause_switch(load(state)) is None
    # a recording that is closed would begin again
    recorded = live.model_copy(update={"source": str(PICTURE)})
    assert wiring.pause_switch(recorded) is None
    for config, component in ((recorded, False), (live, True)):
        (message,) = wiring.messages(config).discovery("1")
        assert ('"command_topic"' in message.payload) is component


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("", None),
        ("mqtt: {presence: on}", "0"),
        ("{mqtt: {presence: on}, privacy: {min_present: 2}}", "2"),
    ],
)
def test_presence(load: Load, text: str, payload: str | None) -> None:
    config = load(text)
    presence = wiring.presence(config)
    assert (None if presence is None else presence.update(0, 2)) == payload
    (message,) = wiring.messages(config).discovery("1")
    assert ('"in_view"' in message.payload) is (payload is not None)


def test_a_resume_does_not_open_what_the_configuration_closes(load: Load, tmp_path: Path) -> None:
    config = load(f"{{paused: true, mqtt: {{allow_pause: on}}, state_dir: {tmp_path}}}")
    switch = wiring.pause_switch(config)
    assert switch is not None
    switch.command(b"resume")
    assert wiring.is_paused(config, switch)


def test_a_page_waits_until_a_daemon_has_closed_its_camera(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def opened(_: str, capture: CaptureSettings, **__: object) -> Frames:
        waits.append(capture.give_up)
        yield from ()

    monkeypatch.setattr(wiring, "open_frames", opened)
    config = load(f"state_dir: {tmp_path}")
    assert list(wiring.borrowed_frames(config, lambda: False)) == []
    with outbox_db.claim(tmp_path / wiring.OUTBOX):  # as a daemon does
        assert list(wiring.borrowed_frames(config, lambda: False)) == []
        assert list(wiring.frames(config, recover=False)) == []
    assert waits == [0, wiring.RETURN_S, 0]


@pytest.mark.parametrize(
    ("source", "is_lent"),
    [("auto", True), ("demo", True), ("rtsp://camera/1", False), (str(PICTURE), False)],
)
def test_only_what_serves_one_program_at_a_time_is_lent(
    load: Load, source: str, is_lent: bool
) -> None:
    config = load("").model_copy(update={"source": source})
    assert (wiring.lender(config, lambda: None) is not None) == is_lent


@pytest.mark.parametrize("paused", [False, True])
def test_a_camera_lent_during_a_pause_is_noticed_when_it_comes_back(
    load: Load, tmp_path: Path, paused: bool
) -> None:
    """Else zones that were drawn meanwhile would not be read."""
    config = load(f"state_dir: {tmp_path}")
    switch, returned = PauseSwitch(tmp_path / "paused"), threading.Event()
    lender = wiring.lender(config, returned.set)
    with contextlib.closing(wiring.frames(config, pause=switch, lender=lender)) as moments:
        next(moments)
        if paused:
            switch.command(b"pause")
        with borrowed(tmp_path):
            while getattr(next(moments), "camera", "ok") != "resting":
                pass
        assert not returned.is_set()
        for _ in range(3):
            next(moments)
    assert returned.is_set()
