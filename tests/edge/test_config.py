"""config.yaml: the shipped file is the defaults, and every mistake is reported at once."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.config import Config, load_config
from edge.config_values import default_device
from edge.errors import ConfigError
from edge.sources.name import is_recorded
from tests.support.paths import ROOT


def load(tmp_path: Path, text: str, **overrides: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path, **overrides)


def test_shipped_file_shows_every_key_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shipped = load_config(ROOT / "config.yaml")
    assert shipped == Config.model_validate({})
    keys = yaml.safe_load((ROOT / "config.yaml").read_text().replace("#device:", "device:"))

    def paths(section: Any) -> set[str]:
        if not isinstance(section, dict):
            return set()
        inner = {f"{key}.{path}" for key, value in section.items() for path in paths(value)}
        return set(section) | inner

    assert paths(keys) == paths(Config.model_validate({}).model_dump())


def test_device_is_the_host_name_without_what_a_topic_may_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("socket.gethostname", lambda: "shop door.example/1")
    assert load(tmp_path, "").device == "shop-door-example-1"
    monkeypatch.setattr("socket.gethostname", lambda: "++")
    assert default_device() == "edge"


def test_all_mistakes_are_listed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path,
            """
            site: shop/1
            source: nowhere.mp4
            windw: {seconds: 60}
            window: {seconds: 0}
            detector: {min_face_px: "24", max_face_px: 20}
            classifier: {model: models/none.tflite, runtime: gpu}
            privacy: {min_people: 0}
            mqtt: {port: 70000, password: hunter2, tls: {ca_file: /nowhere.pem}}
            health: [60]
            camera: {fps: .nan}
            """,
        )
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("config.yaml: 13 mistakes")
    reports = {line.split(":")[0].strip(): line for line in lines[1:]}
    assert "letters, digits" in reports["site"]
    assert "'shop/1'" in reports["site"]
    assert "'nowhere.mp4': no such file" in reports["source"]
    assert "unknown key" in reports["windw"]
    assert "camera, classifier" in reports["windw"]
    assert "greater than or equal to 1" in reports["window.seconds"]
    assert "'24': must be a whole number, without quotes" in reports["detector.min_face_px"]
    assert "models/none.tflite" in reports["classifier.model"]
    assert "'tflite-runtime'" in reports["classifier.runtime"]
    assert "greater than or equal to 1" in reports["privacy.min_people"]
    assert "70000" in reports["mqtt.port"]
    assert "unknown key; allowed here: allow_insecure, " in reports["mqtt.password"]
    assert "nowhere.pem" in reports["mqtt.tls.ca_file"]
    assert "health" in reports
    assert "camera.fps" in reports
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("site: [", "is not valid YAML"),
        ("- site", "must hold keys and values"),
        ("site: a\nsite: b", "is not valid YAML, line 2: duplicate key 'site'"),
        ("source: nowhere.mp4", "no such file"),
        ("mqtt: {discovery_prefix: home/#}", "mqtt.discovery_prefix: 'home/#': must be"),
        ("mqtt: {tls: {cert_file: config.yaml}}", "cert_file and key_file"),
        ("mqtt: {password_file: config.yaml}", "username must be given"),
        (
            "mqtt: {host: 192.0.2.1, username: u, password_file: config.yaml}",
            "clear text",
        ),
        ("detector: {min_face_px: 50, max_face_px: 50}", "greater than min_face_px"),
        (
            "zones: {region: [[0, 0], [1, 1]]}",
            "1 mistake\n  zones.region: [[0, 0], [1, 1]]: must be 3",
        ),
        ("zones: {region: [[0, 0], [640, 0], [640, 360]]}", "in fractions of the picture"),
        ("zones: {region: [[0, 0], [true, 0], [1, 1]]}", "each [x, y]"),
        ("zones: {region: 5}", "zones.region: 5: must be 3 to 100 corners"),
        (
            "zones: {excluded: [[0.8, 0], [1, 0], [1, 0.3], [0.8, 0.3]]}",
            "1 mistake\n  zones.excluded: must be a list of polygons, not one: put one more [ ]",
        ),
        ("? [a]\n: b", "is not valid YAML"),
        ("1: 2", "Keys should be strings"),
        ("source: demo2", "no such file"),
        ("source: 'picamera2:left'", "picamera2:N"),
        ("source: 'v4l2:'", "v4l2:/dev/videoN"),
        ("source: ''", "no such file"),
        ("source: file:///tmp/a.mp4", "write the path alone, without file://"),
        ("source: /dev/null", "source: '/dev/null' is a device: write v4l2:/dev/null"),
        ("mqtt: {dashboard_url: shop}", "mqtt.dashboard_url: 'shop': must be an address such as"),
        ("mqtt: {dashboard_url: 'http://'}", "mqtt.dashboard_url: 'http://': must be an address"),
        ("mqtt: {dashboard_url: 'http://a:99999/'}", "without user and password"),
        ("mqtt: {dashboard_url: 'ftp://shop/'}", "must be an address such as http://"),
        ("mqtt: {dashboard_url: 'http://shop/a b'}", "must be an address such as http://"),
        (
            "mqtt: {dashboard_url: 'http://me:geheim@shop/'}",
            "mqtt.dashboard_url: '***@shop/': must",
        ),
        ("mqtt: {presence: 'on'}", "mqtt.presence: 'on': must be on or off"),
        ("mqtt: {allow_pause: 1}", "mqtt.allow_pause: 1: must be on or off"),
        (
            "privacy: {min_present: 0}",
            "privacy.min_present: 0: should be greater than or equal to 1",
        ),
        ("mqtt: {host: a..b}", "mqtt.host: 'a..b': must be a host name"),
        ("mqtt: {host: 'broker:1883'}", "'broker:1883': must be a host name or an address"),
        ("mqtt: {host: '[::1]'}", "'[::1]': must be a host name or an address, without mqtt://"),
        ("mqtt:\nhost: broker", "mqtt: None: must hold keys, each indented below it"),
        ("mqtt:\n\thost: broker", "line 2: found character '\\t' that cannot start any token\n"),
        ("mqtt:\n  host: a\n   port: 1", "line 3: mapping values are not allowed here\n  indent"),
        ("site: 7", "site: 7: must be text; put it in quotes if it looks like a number"),
        ("site: yes", "site: True: must be text; put it in quotes"),
        ("camera: {fps: '7,5'}", "camera.fps: '7,5': must be a number, without quotes"),
        ("quiet_hours: 22:00-07:00", "quiet_hours: '22:00-07:00': must be a list, in [ ]"),
        ("state_dir:", "state_dir: None: must be the path of a file or folder"),
        ("site: a\n#\0", "config.yaml: line 2: the character U+0000 is not text"),
        ("mqtt: {tls: {ca_file: config.yaml}}", "but enabled is false"),
        ("mqtt: {keepalive: 9}", "mqtt.keepalive: 9: should be greater than or equal to 10"),
        ('state_dir: "a\\0b"', "must not hold a NUL"),
        ("camera: {fps: 0.05}", "camera.fps: 0.05: "),
        ("classifier: {gender: 'off'}", "classifier.gender: 'off': must be on or off"),
        ("classifier: {age: 'on'}", "classifier.age: 'on': must be on or off"),
    ],
)
def test_each_mistake_gets_a_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=r"config\.yaml: ") as caught:
        load(tmp_path, text)
    assert expected in str(caught.value)


def test_what_windows_leaves_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "config.yaml"
    lines = "site: a\r\nmqtt:\r\n  host: broker  # caf\u00e9\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(lines.encode(encoding))
        assert load_config(path).mqtt.host == "broker"
    path.write_bytes(lines.encode("cp1252"))
    with pytest.raises(ConfigError, match=r"config\.yaml: line 3: is not UTF-8; save it"):
        load_config(path)


@pytest.mark.parametrize("host", ["::1", "2001:db8::1", "fe80::1%eth0", "192.0.2.1", "b.example"])
def test_a_broker_by_name_or_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert load(tmp_path, f"mqtt:\n  host: {host}").mqtt.host == host


@pytest.mark.parametrize(
    "key",
    ["source", "mqtt.password_file", "mqtt.tls.ca_file", "detector.judge", "classifier.model"],
)
def test_a_file_that_cannot_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.chdir(ROOT)
    # a name that is too long stands for a closed folder, which root would see into
    text = f"{'a' * 300}"
    for part in reversed(key.split(".")):
        text = f"{{{part}: {text}}}"
    expected = rf"{key}: 'a+\.\.\.: cannot be read \(File name too long"
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "source: 'rtsp:/admin:geheim@cam/1'",
        "mqtt: {host: 'mqtt://user:geheim@broker'}",
        "source: rtsp://admin:geheim@cam/1: x",
        "mqtt: {password: geheim}",
        "mqtt: {host: {password: geheim}}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert "geheim" not in str(caught.value)


def test_a_missing_default_model_hides_no_other_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "site: a b\nbogus: 1")
    assert "4 mistakes" in str(caught.value)
    assert "classifier.model: 'models/gender.tflite': no such file" in str(caught.value)
    assert "detector.judge: 'models/face.tflite': no such file" in str(caught.value)


@pytest.mark.parametrize("word", ["off", "Off", "no", "false"])
def test_without_gender_no_model_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.chdir(ROOT)
    text = f"classifier: {{gender: {word}, model: models/none.tflite}}"
    assert load(tmp_path, text).classifier.gender is False
    with pytest.raises(ConfigError, match=r"classifier\.model: 'models/none.tflite': no such file"):
        load(tmp_path, text.replace(f"gender: {word}", "gender: on"))


def test_a_model_that_is_not_used_need_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    def ages(classifier: str) -> Path | None:
        return load(tmp_path, f"classifier: {{{classifier}}}").classifier.separate_ages

    shipped = "models/gender.tflite"
    assert ages("age: off, age_model: none.tflite") is None
    assert ages("age: on") is None
    assert ages(f"age: on, age_model: {shipped}") is None  # one file, opened once
    assert ages("age: on, age_model: models/face.tflite") == Path("models/face.tflite")
    assert ages(f"age: on, gender: off, model: none, age_model: {shipped}") == Path(shipped)
    for classifier, missing in (
        ("age: on, age_model: none.tflite", r"age_model: 'none\.tflite'"),
        ("age: on, gender: off, model: none.tflite", r"model: 'none\.tflite'"),
        ("age: on, model: none.tflite, age_model: models/face.tflite", r"model: 'none\.tflite'"),
    ):
        with pytest.raises(ConfigError, match=rf"classifier\.{missing}: no such file"):
            ages(classifier)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "none.yaml")


def test_password_may_go_to_this_machine_or_by_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    keys = "username: u, password_file: config.yaml"
    load(tmp_path, f"mqtt: {{host: 127.0.0.1, {keys}}}")
    load(tmp_path, f"mqtt: {{host: localhost, {keys}}}")
    tls = "tls: {enabled: true, ca_file: config.yaml}"
    load(tmp_path, f"mqtt: {{host: broker.example, {tls}, {keys}}}")
    load(tmp_path, f"mqtt: {{host: broker.example, allow_insecure: true, {keys}}}")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("mqtt-password", b"secret", "mqtt: username must be given with a password"),
        ("mqtt-username", b"caf\xe9", "mqtt: the credential mqtt-username is not UTF-8"),
    ],
)
def test_a_mistake_in_what_systemd_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, expected: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, "")


def test_systemds_credentials_stand_in_for_what_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    username, password = tmp_path / "mqtt-username", tmp_path / "mqtt-password"
    assert load(tmp_path, "").mqtt.username is None
    username.write_text("door\n")
    assert load(tmp_path, "").mqtt.username == "door"
    password.write_text("geheim")
    mqtt = load(tmp_path, "mqtt: {username: null}").mqtt
    assert (mqtt.username, mqtt.password_file) == ("door", password)
    mqtt = load(tmp_path, "mqtt: {username: till, password_file: config.yaml}").mqtt
    assert (mqtt.username, mqtt.password_file) == ("till", Path("config.yaml"))


def test_systemds_certificates_serve_if_tls_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    authority, identity = tmp_path / "mqtt-ca", tmp_path / "mqtt-identity"
    authority.touch()
    identity.touch()
    tls = load(tmp_path, "mqtt: {tls: {enabled: true}}").mqtt.tls
    assert (tls.ca_file, tls.cert_file, tls.key_file) == (authority, identity, identity)
    own = "ca_file: config.yaml, cert_file: config.yaml, key_file: config.yaml"
    tls = load(tmp_path, f"mqtt: {{tls: {{enabled: true, {own}}}}}").mqtt.tls
    assert {tls.ca_file, tls.cert_file, tls.key_file} == {Path("config.yaml")}
    for off in ("", "mqtt: {tls: {enabled: false}}", "mqtt: {tls: {}}"):
        tls = load(tmp_path, off).mqtt.tls
        assert (tls.ca_file, tls.cert_file, tls.key_file) == (None, None, None)
    # half of a pair is a mistake, not a reason to take another one
    with pytest.raises(ConfigError, match="cert_file and key_file must be given together"):
        load(tmp_path, "mqtt: {tls: {enabled: true, cert_file: config.yaml}}")


def test_values_in_comments_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "config.yaml").read_text()
    quiet, region, excluded = re.findall(r"^ *(\w+: ).*# .*: (\[.+\])$", text, re.MULTILINE)
    config = load(tmp_path, f"zones: {{{''.join(region)}, {''.join(excluded)}}}\n{''.join(quiet)}")
    assert config.zones.region is not None
    assert [len(config.zones.region), len(config.zones.excluded)] == [4, 1]
    assert len(config.quiet_hours) == 2


def test_files_folders_and_pipes_are_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    os.mkfifo(tmp_path / "pipe")
    for source in ("README.md", "docs", str(tmp_path / "pipe")):
        assert load(tmp_path, f"source: {source}").source == source


@pytest.mark.parametrize("name", ["12:30 door.mp4", "http:a.mp4", "v4l2:a.mp4", "picamera2:a"])
def test_a_file_that_is_called_like_a_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    for model in ("face", "gender"):
        Path("models").mkdir(exist_ok=True)
        Path(f"models/{model}.tflite").touch()
    assert is_recorded(load(tmp_path, "", source=name).source)


def test_command_line_replaces_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load(tmp_path, "source: nowhere.mp4", source="demo").source == "demo"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "site: shop/1", source="nowhere.mp4")
    first, second, third = str(caught.value).splitlines()
    assert first.startswith("source: 'nowhere.mp4': no such file or folder")
    assert second.endswith("config.yaml: 1 mistake")
    assert third.startswith("  site: 'shop/1'")


def test_a_source_with_a_name_that_opencv_crashes_on(tmp_path: Path) -> None:
    named = os.fsdecode(os.fsencode(tmp_path / "clip") + b"\xfc.mp4")
    Path(named).touch()
    with pytest.raises(ConfigError, match=r"^source: .*: its name must be UTF-8"):
        load(tmp_path, "", source=named)


def test_an_exposure_longer_than_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load(tmp_path, "camera: {fps: 10, exposure_ms: 100.0}").camera.exposure_ms == 100
    with pytest.raises(ConfigError, match=r"camera: exposure_ms must be at most 50 with fps 20"):
        load(tmp_path, "camera: {fps: 20, exposure_ms: 60.0}")
    with pytest.raises(ConfigError, match=r"camera\.rotate: 45: "):
        load(tmp_path, "camera: {rotate: 45}")
