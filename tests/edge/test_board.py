"""What `auto` means by board, and that configuration, `check` and `info` say the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import board, host, probes, wiring
from edge.board import BOARDS, CHOICES, Defaults, defaults
from edge.config import Config, load_config
from edge.errors import ConfigError
from tests.support import contract
from tests.support.paths import ROOT

ZERO = "Raspberry Pi Zero 2 W Rev 1.0"
MODELS = {
    ZERO: "Zero 2 W",
    "Raspberry Pi 3 Model B Plus Rev 1.3": "3",
    "Raspberry Pi 3 Model B Rev 1.2": "3",
    "Raspberry Pi Compute Module 3 Plus Rev 1.0": "3",
    "Raspberry Pi 4 Model B Rev 1.4": "4",
    "Raspberry Pi 400 Rev 1.0": "4",
    "Raspberry Pi Compute Module 4S Rev 1.0": "4",
    "Raspberry Pi 5 Model B Rev 1.0": "5",
    "Raspberry Pi 500 Rev 1.0": "5",
    "Raspberry Pi Compute Module 5 Rev 1.0": "5",
}
OTHERS = (None, "", "Raspberry Pi Zero W Rev 1.1", "Raspberry Pi 40", "Pine64 RockPro64 v2.1")

Configure = Callable[..., Path]


@pytest.fixture
def on_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let this machine be a board with this device-tree model."""

    def on(model: str) -> None:
        file = tmp_path / "model"
        file.write_bytes(model.encode() + b"\0")
        monkeypatch.setattr(host, "BOARD", file)

    monkeypatch.chdir(ROOT)
    return on


@pytest.mark.parametrize(("model", "name"), MODELS.items())
def test_each_board_is_one_family(model: str, name: str) -> None:
    assert [family.name for family in BOARDS if family.model.match(model)] == [name]


@pytest.mark.parametrize("model", OTHERS)
def test_any_other_machine_keeps_the_old_defaults(model: str | None) -> None:
    assert defaults(model) == Defaults(fps=10, threads=1, min_face_px=24)


@pytest.mark.parametrize("mips", [200, 600, 1000, 2000, 3000, 5000, 10_000])
def test_of_what_a_board_can_bear_it_gets_what_counts_best(
    monkeypatch: pytest.MonkeyPatch, mips: int
) -> None:
    """Half a core stays idle if that can be; and a small saving is worth nobody."""
    monkeypatch.setattr(board, "BOARDS", [board.Board("some", BOARDS[0].model, mips)])
    cost = {10.0: 2000.0, 8.0: 1500.0, 6.0: 1100.0, 5.0: 1000.0}
    monkeypatch.setattr(board, "CHOICES", {Defaults(fps=fps): cost[fps] for fps in cost})
    chosen = {200: 6, 600: 6, 1000: 6, 2000: 6, 3000: 8, 5000: 10, 10_000: 10}
    assert defaults(ZERO).fps == chosen[mips]


def test_a_faster_board_never_gets_worse_defaults() -> None:
    order = list(CHOICES)
    by_speed = sorted(BOARDS, key=lambda family: family.mips)
    models = [next(m for m, name in MODELS.items() if name == f.name) for f in by_speed]
    places = [order.index(defaults(model)) for model in models]
    assert places == sorted(places, reverse=True)
    assert all(choice.fps >= 5 for choice in order)


def test_auto_is_the_default_and_what_the_board_takes(
    on_board: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_board(ZERO)
    expected = Defaults(fps=6.5, threads=2, min_face_px=27)
    monkeypatch.setattr(board, "CHOICES", {expected: 1.0})
    for text in (
        "",
        "camera: {fps: auto}\ndetector: {threads: auto, min_face_px: auto}",
        "camera: {}",
    ):
        (tmp_path / "config.yaml").write_text(text)
        config = load_config(tmp_path / "config.yaml")
        found = config.camera.fps, config.detector.threads, config.detector.min_face_px
        assert found == (expected.fps, expected.threads, expected.min_face_px)
    (tmp_path / "config.yaml").write_text("camera: {fps: 12}\ndetector: {threads: 3}")
    config = load_config(tmp_path / "config.yaml")
    assert (config.camera.fps, config.detector.threads) == (12, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera: {fps: fast}", "camera.fps: 'fast': must be a number, without quotes and with "),
        ("camera: {fps: Auto}", "fractions, or auto"),
        ("camera: {fps: on}", "camera.fps: True: must be a number"),
        ("camera: {fps: null}", "camera.fps: None: must be a number"),
        ("camera: {fps: [auto]}", "camera.fps: ['auto']: must be a number"),
        ("camera: {fps: 0}", "camera.fps: 0: should be greater than or equal to 1"),
        (
            "detector: {threads: all}",
            "detector.threads: 'all': must be a whole number, without quotes, or auto",
        ),
        ("detector: {threads: 1.5}", "detector.threads: 1.5: must be a whole number"),
        ("detector: {min_face_px: 15}", "should be greater than or equal to 16"),
        ("detector: {max_face_px: auto}", "max_face_px: 'auto': must be a whole number"),
    ],
)
def test_what_is_neither_a_number_nor_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "config.yaml")
    assert expected in str(caught.value)


def test_limits_depend_on_what_auto_means(on_board: Callable[[str], None], tmp_path: Path) -> None:
    """An exposure must fit between two frames, and the largest face be larger than the smallest."""
    on_board(ZERO)
    fps = defaults(ZERO).fps
    longest = 1000 / fps
    (tmp_path / "config.yaml").write_text(f"camera: {{exposure_ms: {longest}}}")
    assert load_config(tmp_path / "config.yaml").camera.exposure_ms == longest
    (tmp_path / "config.yaml").write_text(f"camera: {{exposure_ms: {longest + 1}}}")
    with pytest.raises(ConfigError, match=f"with fps {fps:g}, or lower fps"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("model", [ZERO, None])
def test_check_and_info_say_what_auto_means(
    on_board: Callable[[str], None], configure: Configure, model: str | None
) -> None:
    if model is not None:
        on_board(model)
    expected = defaults(model)
    config: Config = load_config(configure(camera={"fps": 7}))
    text = probes.board(config).text
    threads = "1 thread" if expected.threads == 1 else f"{expected.threads} threads"
    assert text is not None
    assert text.startswith(model or "other than a Raspberry Pi")
    assert text.endswith(
        f": auto is {expected.fps:g} fps, {threads}, faces from {expected.min_face_px} px"
    )
    message = wiring.messages(config).info(wiring.info(config, wiring.Models()))
    contract.validate(message.topic, message.payload)
    payload = json.loads(message.payload)
    assert payload["board"] == {
        "model": model,
        "auto": {
            "camera.fps": expected.fps,
            "detector.threads": expected.threads,
            "detector.min_face_px": expected.min_face_px,
        },
    }
    assert payload["config"]["camera"]["fps"] == 7
    assert payload["config"]["detector"]["min_face_px"] == expected.min_face_px


def test_a_model_that_is_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_bytes(b"Board \xff\0")
    monkeypatch.setattr(host, "BOARD", tmp_path / "model")
    assert host.board_model() == "Board \ufffd"
    monkeypatch.setattr(host, "BOARD", tmp_path / "none")
    assert host.board_model() is None
