"""A file is the old one or the new one, never a part, also on a full disk."""

import os
from pathlib import Path

import pytest

from edge.atomic_file import remove_durably, write_all_atomically, write_atomically


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_atomically(tmp_path / "a.json", content)
        assert (tmp_path / "a.json").read_bytes() == content
    assert os.listdir(tmp_path) == ["a.json"]  # noqa: PTH208


def test_files_that_belong_together_stay_as_they_were_if_one_cannot_be_written(
    tmp_path: Path,
) -> None:
    model, card = tmp_path / "model", tmp_path / "card"
    write_all_atomically({model: b"1", card: b"1"})
    (tmp_path / "card.new").mkdir()  # where the second would be written
    with pytest.raises(OSError, match=r"card\.new"):
        write_all_atomically({model: b"2", card: b"2"})
    assert (model.read_bytes(), card.read_bytes()) == (b"1", b"1")


def test_the_content_is_on_disk_before_it_has_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    synced: list[dict[str, bytes]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append({file.name: file.read_bytes() for file in tmp_path.iterdir()})

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"new")
    remove_durably(path)
    remove_durably(path)
    # the names are synced too: until then a power cut brings back the old ones
    assert synced == [{"a.json": b"old", "a.json.new": b"new"}, {"a.json": b"new"}, {}, {}]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]
