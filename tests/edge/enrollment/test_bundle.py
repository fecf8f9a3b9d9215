"""Bundles are read as untrusted input: nothing but a bundle is one, and nothing else happens."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.enrollment import bundle
from edge.enrollment.bundle import MAX_BYTES, Bundle
from edge.errors import ConfigError

WHOLE = Bundle(
    certificate="-----BEGIN CERTIFICATE-----\nT25l\n-----END CERTIFICATE-----\n",
    authority="-----BEGIN CERTIFICATE-----\nVHdv\n-----END CERTIFICATE-----\n",
    key="-----BEGIN PRIVATE KEY-----\nS2V5\n-----END PRIVATE KEY-----\n",
    config="device: lobby\nmqtt:\n  host: broker.example\n",
)
RENEWAL = Bundle(WHOLE.certificate, WHOLE.authority)


@pytest.mark.parametrize("content", [WHOLE, RENEWAL])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_was_written_is_read(content: Bundle, line_end: str, tmp_path: Path) -> None:
    path = tmp_path / "edge-tally-lobby.bundle"
    # as an editor on Windows saves it
    text = "\ufeff" + content.text("the bundle of lobby").replace("\n", line_end)
    path.write_bytes(text.encode())
    assert bundle.read(path) == content


def test_a_private_key_is_not_in_the_representation() -> None:
    assert "S2V5" in WHOLE.text()
    assert "S2V5" not in repr(WHOLE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds 0 certificates, not 2"),
        (RENEWAL.certificate, "holds 1 certificates, not 2"),
        (WHOLE.text() + WHOLE.authority, "holds 3 certificates, not 2"),
        (WHOLE.text() + str(WHOLE.key), "holds PRIVATE KEY 2 times"),
        (WHOLE.text()[:-20], "the block PRIVATE KEY does not end: the file was cut"),
        (WHOLE.text() + "hunter2", "is no bundle: line 1"),
        (WHOLE.text().replace("PRIVATE", "ENCRYPTED PRIVATE"), "not be protected by a passphrase"),
        (WHOLE.text().replace("PRIVATE KEY", "../../etc/shadow"), "unknown block ../../etc/shadow"),
        (WHOLE.text().replace("EDGE TALLY CONFIGURATION", "CONFIGURATION"), "unknown block"),
        ("device: lobby\nmqtt: {host: hunter2}\n", "is no bundle: line 1 is in no block"),
        ("PK\x03\x04", "is no bundle: line 1"),
    ],
)
def test_other_content_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "edge-tally-lobby.bundle"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        bundle.read(path)
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text() | st.sampled_from([WHOLE.text(), RENEWAL.text()]), st.text(), st.integers(0, 700))
def test_any_text_is_a_bundle_or_a_mistake(start: str, insert: str, place: int) -> None:
    try:
        content = bundle.parse(start[:place] + insert + start[place:])
    except ConfigError:
        return
    assert bundle.parse(content.text()) == content


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "edge-tally-lobby.bundle"

    def problem() -> str:
        with pytest.raises(ConfigError) as caught:
            bundle.read(path)
        return str(caught.value)

    assert "cannot be read (No such file or directory)" in problem()
    path.mkdir()
    assert "is not a file" in problem()
    path.rmdir()
    os.mkfifo(path)  # reading it would wait for ever
    assert "is not a file" in problem()
    path.unlink()
    path.write_bytes(b"\xff\xfe\x00")
    assert "is no bundle: not UTF-8" in problem()
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "is no bundle: larger than 256 kB" in problem()
