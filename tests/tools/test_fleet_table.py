"""Tables of devices, as people and spreadsheets write them."""

from pathlib import Path

import pytest
import yaml

from edge.errors import ConfigError
from tools.provisioning.device_config import Device, devices, read_common
from tools.provisioning.device_table import read_table

HEADER = "device,site,mqtt.host"


def read(path: Path, common: Path | None = None) -> list[Device]:
    return devices(path, read_table(path), read_common(common))


def problem(path: Path, common: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, common)
    return str(caught.value)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "devices.csv"


def test_columns_become_keys(table: Path, tmp_path: Path) -> None:
    common = tmp_path / "common.yaml"
    common.write_text("window: {seconds: 30}\nmqtt: {host: brokers.example, presence: on}\n")
    table.write_text(
        "device,site,camera.rotate,quiet_hours,mqtt.username,mqtt.host\n"
        'lobby,store-7,90,"[""22:00-07:00""]",007,\n'
        "no,1,,,,other.example\n"
    )
    lobby, second = read(table, common)
    assert (lobby.name, lobby.site) == ("lobby", "store-7")
    assert yaml.safe_load(lobby.config) == {
        "device": "lobby",
        "site": "store-7",
        "window": {"seconds": 30},
        "mqtt": {
            "host": "brokers.example", "presence": True, "username": "007",
            "port": 8883, "tls": {"enabled": True},
        },
        "camera": {"rotate": 90},
        "quiet_hours": ["22:00-07:00"],
        "state_dir": "/var/lib/edge-tally",
    }  # fmt: skip
    # names are text, and nothing of one row reaches another
    assert yaml.safe_load(second.config) == {
        "device": "no",
        "site": "1",
        "window": {"seconds": 30},
        "mqtt": {
            "host": "other.example", "presence": True, "port": 8883, "tls": {"enabled": True},
        },
        "state_dir": "/var/lib/edge-tally",
    }  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_write(table: Path, separator: str, line_end: str) -> None:
    text = "\ufeff device , site ,mqtt.host\nlobby,store-7,h\n,,\n door ,store-7,h\n"
    table.write_bytes(text.replace(",", separator).replace("\n", line_end).encode())
    assert [device.name for device in read(table)] == ["lobby", "door"]


@pytest.mark.parametrize(
    ("lines", "mistakes"),
    [
        ("lobby,s,h\ndoor,s,h:1\n", ["line 3, column mqtt.host: 'h:1': must be a host name"]),
        ("lobby,s s,h\n", ["line 2, column site: 's s': must be 1 to 64 letters"]),
        ("lobby,,h\n", ["line 2, column site: is empty"]),
        (",s,h\n", ["line 2, column device: is empty"]),
        ("lobby,s\n", ["line 2: has 2 cells, the header 3"]),
        ("lobby,s,h,9\n", ["line 2: has 4 cells, the header 3"]),
        (
            "lobby,s,h\na,s,h\nlobby,s,h\nLobby,s,h\n",
            [
                "line 4, column device: lobby: is in line 2, too",
                "line 5, column device: Lobby: differs only by case from lobby in line 2, too",
            ],
        ),
        ("dashboard,s,h\n", ["line 2, column device: dashboard: the broker's access rules"]),
        ("HomeAssistant,s,h\n", ["line 2, column device: HomeAssistant: the broker's"]),
        (
            '"a\nb",s,h\n../x,s,h\n',
            [r"line 3, column device: 'a\nb': must be", "line 4, column device: '../x': must be"],
        ),
        ('lobby,"s,h\n', ["line 2: is not CSV (unexpected end of data)"]),
        ("", ["has no line below its header"]),
        ("lobby,s,\0\n", [r"line 2, column mqtt.host: '\x00': must be a host"]),
    ],
)
def test_mistakes_name_line_and_column(table: Path, lines: str, mistakes: list[str]) -> None:
    table.write_text(f"{HEADER}\n{lines}")
    text = problem(table)
    assert text.startswith(f"{table}: ")
    for mistake in mistakes:
        assert mistake in text
    if text.count("\n"):
        assert text.count("\n") == len(mistakes)


@pytest.mark.parametrize(
    ("header", "mistake"),
    [
        ("name,site,mqtt.host", "line 1: has no column `device`"),
        ("device,mqtt.host", "line 1: has no column `site`"),
        ("device,site", "line 1: has no column `mqtt.host`"),
        ("device,site,mqtt.hots", "column mqtt.hots: unknown key; allowed here: allow_insecure"),
        ("device,site,mqtt.host.x", "column mqtt.host.x: unknown key"),
        ("device,site,mqtt", "column mqtt: is a section; name one of its keys, such as mqtt.host"),
        ("device,site,mqtt.host,site", "columns that are there twice: site"),
        ("device,site,mqtt.host,,", "columns that are there twice: (without a name)"),
        ("device,site,mqtt.host,mqtt.tls.key_file", "mqtt.tls.key_file: leave it out"),
        ("", "has no column `device`"),
    ],
)
def test_mistakes_in_the_header(table: Path, header: str, mistake: str) -> None:
    table.write_text(f"{header}\n" + ",".join(["1"] * (header.count(",") + 1)) + "\n")
    assert mistake in problem(table)


def test_a_mistake_across_keys_names_the_line(table: Path) -> None:
    table.write_text(f"{HEADER},camera.exposure_ms,mqtt.tls.enabled\nlobby,s,h,500,\na,s,h,,no\n")
    text = problem(table)
    assert "line 2: camera: exposure_ms must be at most 100" in text
    assert "line 3, column mqtt.tls.enabled: must be true" in text


@pytest.mark.parametrize("text", ["2026-02-31", "0x1F", "[" * 2000, "@home", "9" * 5000, "null x"])
def test_text_may_look_like_anything(table: Path, text: str) -> None:
    table.write_text(f"{HEADER},mqtt.username\nlobby,s,h,{text}\n")
    (device,) = read(table)
    assert yaml.safe_load(device.config)["mqtt"]["username"] == text


def test_files_need_exist_on_the_device_alone(table: Path) -> None:
    table.write_text(f"{HEADER},classifier.model\nlobby,s,h,/opt/models/own.tflite\n")
    (device,) = read(table)
    assert "model: /opt/models/own.tflite" in device.config


def test_other_encodings_name_the_line(table: Path) -> None:
    table.write_bytes(f"{HEADER}\nlobby,s,h\n".encode() + "döor,s,h\n".encode("cp1252"))
    assert "line 3: is not UTF-8; save it as 'CSV UTF-8'" in problem(table)
    table.write_text(f"{HEADER}\nlobby,s,h\n", encoding="utf-16")
    assert "is not UTF-8" in problem(table)


def test_files_that_are_none(table: Path) -> None:
    assert "cannot be read (No such file" in problem(table)
    table.mkdir()
    assert "is not a file" in problem(table)


def test_mistakes_in_the_common_configuration(table: Path, tmp_path: Path) -> None:
    table.write_text("device,site\nlobby,s\n")
    common = tmp_path / "common.yaml"
    for text, mistake in {
        "device: lobby\n": "device: leave it out; each bundle has its own",
        "mqtt: {tls: {cert_file: own.crt, key_file: own.key}}\n":
            "mqtt.tls.cert_file, mqtt.tls.key_file: leave it out",
        "mqtt: {port: 0}\n": "mqtt.port: 0",
        "mqtt: h\n": "mqtt: 'h': must hold keys",
        "mqtt\n": "must hold keys and values",
    }.items():  # fmt: skip
        common.write_text(text)
        message = problem(table, common)
        assert message.startswith(f"{common}: ")
        assert mistake in message
