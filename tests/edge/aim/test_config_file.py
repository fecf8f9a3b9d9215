"""Zones are written into config.yaml, and nothing else of it changes."""

import os
import stat
from pathlib import Path

import pytest
import yaml

from edge.aim import config_file
from edge.aim.config_file import rounded, with_zones, write_zones, zones_yaml
from edge.config import Zones, load_config
from edge.errors import ConfigError
from tests.support.paths import ROOT

REGION = ((0.0, 0.2), (1.0, 0.2), (1.0, 1.0))
OUT = ((0.8, 0.0), (1.0, 0.0), (0.95, 0.35))
ZONES = Zones(region=REGION, excluded=(OUT, REGION))
NONE = Zones()

SHAPES = {
    "no zones": "site: a\n",
    "nothing at all": "",
    "only comments": "# nothing yet\n",
    "no line end": "site: a",
    "flow": "zones: {region: null}   # kept\nsite: a\n",
    "flow over lines": "zones: {\n  region: null,  # in it\n  excluded: []\n}\nsite: a  # kept\n",
    "defaults": "zones:   # kept\n  region: null    # why\n  excluded: []  # kept, too\nsite: a\n",
    "only a region": (
        "zones:\n  # kept\n  region: [[0, 0], [1, 0], [1, 1]]   # why\n\n# kept\nsite: a\n"
    ),
    "only excluded, last": "site: a\nzones:\n  excluded: []",
    "an empty value": "zones:\n  region:   # kept\n  excluded:  []\nsite: a\n",
    "blocks": (
        "zones:\n  region:  # why\n    - [0, 0]  # in it\n    - [1, 0]\n    - - 1\n      - 1\n"
        "  # kept\n  excluded:\n  - - [0, 0]\n    - [1, 0]\n    - [1, 1]   # kept\n\n"
        "# kept\nsite: a\n"
    ),
    "the other order": "zones:\n  excluded: []  # kept\n  region: null\nsite: a\n",
    "flow over several lines": "zones:\n  region: [[0, 0],\n    [1, 0], [1, 1]]  # kept\nsite: a\n",
    "quoted keys": "\"zones\":\n  'region': null  # kept\nsite: a\n",
    "deep indent": "zones:\n        excluded: []\nsite: a  # käpt\n",
    "windows, no zones": "site: a\r\n",
    "windows": "site: a\r\nzones:\r\n  excluded: []  # kept\r\n",
    "a mark in front": "\ufeffsite: a\nzones:\n  region: null  # kept\n",
    "document markers": "---\nzones:\n  region: null  # kept\nsite: a\n...\n",
}  # fmt: skip


def written(folder: Path, text: str, zones: Zones) -> str:
    path = folder / "config.yaml"
    path.write_bytes(text.encode())
    write_zones(path, zones)
    assert [file.name for file in folder.iterdir()] == ["config.yaml"]
    return path.read_bytes().decode()


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the configuration's default models are


@pytest.mark.parametrize("zones", [ZONES, NONE], ids=["zones", "none"])
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_only_the_zones_change_however_they_are_written(
    tmp_path: Path, text: str, zones: Zones
) -> None:
    before = yaml.safe_load(text) or {}
    after = written(tmp_path, text, zones)
    keys = yaml.safe_load(after)
    assert Zones.model_validate(keys.pop("zones")) == zones
    before.pop("zones", None)
    assert keys == before
    assert after.count("kept") + after.count("käpt") == text.count("kept") + text.count("käpt")
    assert after.count("why") == text.count("why")
    if "\r" in text:
        assert "\n" not in after.replace("\r\n", "")
    # written again, nothing changes
    assert written(tmp_path, after, zones) == after


def test_in_the_shipped_configuration_two_lines_change(tmp_path: Path) -> None:
    text = (ROOT / "config.yaml").read_text()
    old, new = text.splitlines(), written(tmp_path, text, ZONES).splitlines()
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert [b.split(":")[0].strip() for _, b in changed] == ["region", "excluded"]
    for a, b in changed:
        assert b.endswith(a[a.index("#") :])


@pytest.mark.parametrize(
    "text",
    [
        "{site: a}\n",
        "zones: &z {region: null}\n",  # fine by itself: replaced with its anchor
        "site: a\n...\n",
    ],
)
def test_what_cannot_be_changed_line_by_line_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    if "&z" in text:
        write_zones(path, ZONES)
        assert load_config(path).zones == ZONES
        return
    with pytest.raises(ConfigError, match=r"config\.yaml: .* paste them by hand"):
        write_zones(path, ZONES)
    assert path.read_text() == text
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_an_alias_elsewhere_is_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = "zones:\n  region: &a [[0, 0], [1, 0], [1, 1]]\n  excluded: [*a]\n"
    assert yaml.safe_load(text)["zones"]["excluded"]
    path.write_text(text)
    write_zones(path, ZONES)
    assert load_config(path).zones == ZONES
    text = "zones:\n  excluded: &a []\nquiet_hours: *a\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match="paste them by hand"):
        write_zones(path, ZONES)
    assert path.read_text() == text


def test_another_configuration_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("site: a\n")
    for text in ("site: b\n", "site: a\nzones: {region: null}\n", "site: [\n"):
        monkeypatch.setattr(config_file, "with_zones", lambda *_, text=text: text)
        with pytest.raises(ConfigError, match="paste them by hand"):
            write_zones(path, ZONES)
        assert path.read_text() == "site: a\n"


def test_owner_mode_and_links_stay(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("site: a\n")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 7, 8)
    owner = real.stat().st_uid, real.stat().st_gid
    link = tmp_path / "config.yaml"
    link.symlink_to(real)
    write_zones(link, ZONES)
    assert link.is_symlink()
    assert load_config(real).zones == ZONES
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert (real.stat().st_uid, real.stat().st_gid) == owner


def test_the_installers_new_configuration_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "config.yaml.new").write_text("of the installer")
    path = tmp_path / "config.yaml"
    path.write_text("site: a\n")
    write_zones(path, ZONES)
    assert (tmp_path / "config.yaml.new").read_text() == "of the installer"


def test_a_mistake_made_meanwhile_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("sight: a\n")
    with pytest.raises(ConfigError, match="sight: unknown key"):
        write_zones(path, ZONES)
    path.write_bytes("site: a\n".encode("utf-16"))
    with pytest.raises(ConfigError, match=r"config\.yaml: is not UTF-8"):
        write_zones(path, ZONES)


def test_a_file_that_cannot_be_replaced_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("site: a\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be written \(No space left"):
        write_zones(path, ZONES)
    assert path.read_text() == "site: a\n"
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]


def test_the_section_can_be_pasted() -> None:
    text = zones_yaml(ZONES)
    assert yaml.safe_load(text) == {"zones": ZONES.model_dump(mode="json")}
    assert text.splitlines()[1] == "  region: [[0, 0.2], [1, 0.2], [1, 1]]"
    assert zones_yaml(NONE) == "zones:\n  region: null\n  excluded: []\n"


def test_corners_are_as_precise_as_they_are_written() -> None:
    near = rounded(Zones(region=((0.123456, 1 / 3), (0.00001, 1), (1, 0.99999))))
    assert near.region == ((0.1235, 0.3333), (0.0, 1.0), (1.0, 1.0))
    assert yaml.safe_load(with_zones("", near))["zones"] == near.model_dump(mode="json")
