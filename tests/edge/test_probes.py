"""What `check` reports of each part, probe by probe."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge import probes
from edge.config import load_config
from edge.errors import ConfigError, EdgeError, ModelError
from tests.support.broker import NO_BROKER
from tests.support.paths import MODEL, PICTURE

Configure = Callable[..., Path]


def test_the_model_is_named_with_its_runtime(configure: Configure) -> None:
    finding = probes.model(load_config(configure()))
    assert finding.text is not None
    assert finding.text.startswith(f"{MODEL}: gender-age-mobilenetv2@")
    assert finding.text.endswith((" on ai-edge-litert", " on tflite-runtime"))
    assert not finding.warnings
    both = probes.model(load_config(configure(classifier={"model": str(MODEL), "age": True})))
    assert both.text == f"{finding.text}, for gender and age"


def test_no_model_is_opened_that_nobody_needs(configure: Configure) -> None:
    config = load_config(configure(classifier={"gender": False}))
    assert probes.model(config) == probes.Finding("gender: off")
    assert probes.ages(config) == probes.Finding()


def test_a_broken_model_fails(configure: Configure, tmp_path: Path) -> None:
    broken = tmp_path / "gender.tflite"
    broken.write_bytes(MODEL.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"gender\.json cannot be read"):
        probes.model(load_config(configure(classifier={"model": str(broken)})))


def test_a_camera_reports_the_size_of_its_frames(configure: Configure) -> None:
    finding = probes.camera(load_config(configure(source=str(PICTURE))))
    assert finding.text == f"{PICTURE}: 640 x 360"


def test_a_paused_camera_is_not_opened(configure: Configure) -> None:
    config = load_config(configure(source="v4l2:/dev/video99", paused=True))
    assert probes.camera(config).text == "paused: not opened"


def test_a_camera_that_a_command_has_closed_is_not_opened(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "paused").touch()
    source = "v4l2:/dev/video99"
    config = load_config(configure(source=source, mqtt=NO_BROKER | {"allow_pause": True}))
    assert probes.camera(config).text == "paused: not opened"
    with pytest.raises(EdgeError, match="does not exist"):  # commands are no longer allowed
        probes.camera(load_config(configure(source=source)))


def test_a_state_folder_that_cannot_be_made_fails(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert probes.state(load_config(configure())) == probes.Finding()
    with pytest.raises(ConfigError, match=r"state_dir .*file.state: cannot be written"):
        probes.state(load_config(configure(state_dir=str(tmp_path / "file" / "state"))))


def test_an_absent_broker_fails(configure: Configure) -> None:
    with pytest.raises(EdgeError, match="Connection refused"):
        probes.broker(load_config(configure(mqtt=NO_BROKER)))
