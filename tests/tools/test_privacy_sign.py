"""The sign has what is filled in, and nothing runs over its edge."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.commands import tool
from tests.support.paths import ROOT
from tools import privacy_sign

TEXT = "{http://www.w3.org/2000/svg}text"


def texts(svg: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(svg).iter(TEXT) if "x" in element.attrib]


def words(svg: str) -> str:
    return " ".join(element.text or "" for element in texts(svg))


def test_the_sign_in_docs_is_what_the_tool_writes(tmp_path: Path) -> None:
    run = tool("privacy_sign", "--out", tmp_path / "sign.svg")
    assert run.returncode == 0, run.stderr
    written = (tmp_path / "sign.svg").read_text()
    assert written == (ROOT / "docs" / "privacy" / "sign.svg").read_text()


def test_the_sign_has_what_is_filled_in(tmp_path: Path) -> None:
    out = tmp_path / "sign.svg"
    run = tool(
        "privacy_sign", "--language", "de", "--no-gender", "--purpose", "Schaufenster",
        "--controller", 'Söhne & "Töchter" <GmbH>, Hauptstraße 1', "--out", out,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    content = words(out.read_text(encoding="utf-8"))
    assert 'Söhne & "Töchter" <GmbH>, Hauptstraße 1' in content
    assert "Schaufenster" in content
    assert "Frau oder Mann" not in content
    assert "Alter" not in content


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--age"], "woman or man, and the age."),
        (["--age", "--no-gender"], "from the face: the age."),
        ([], "woman or man. It"),
    ],
)
def test_the_sign_names_what_is_estimated(tmp_path: Path, args: list[str], text: str) -> None:
    run = tool("privacy_sign", *args, "--out", tmp_path / "sign.svg")
    assert run.returncode == 0, run.stderr
    content = words((tmp_path / "sign.svg").read_text(encoding="utf-8"))
    assert text in content
    assert content.count("An AI guesses") == 1


def test_a_long_address_takes_two_lines(tmp_path: Path) -> None:
    address = "https://www.bakery.example/privacy/people-counting"
    run = tool("privacy_sign", "--more", address, "--out", tmp_path / "sign.svg")
    assert run.returncode == 0, run.stderr
    content = words((tmp_path / "sign.svg").read_text(encoding="utf-8"))
    assert address in content.replace(" ", "")


def test_text_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    for long in ("all sorts of reasons " * 6, "w" * 70):
        run = tool("privacy_sign", "--purpose", long, "--out", tmp_path / "sign.svg")
        assert run.returncode == 2
        assert "'Why' is too long for the sign" in run.stderr
    run = tool("privacy_sign", "--out", "/proc/none/sign.svg")
    assert run.returncode == 2
    assert "cannot be written" in run.stderr
    assert not (tmp_path / "sign.svg").exists()


@pytest.mark.parametrize("language", sorted(privacy_sign.LANGUAGES))
@pytest.mark.parametrize("gender", [True, False])
@pytest.mark.parametrize("age", [True, False])
def test_no_line_lies_on_another_or_over_the_edge(language: str, gender: bool, age: bool) -> None:
    longest = "w" * 2 * 34
    svg = privacy_sign.sign(
        privacy_sign.LANGUAGES[language], (longest,) * 4, gender=gender, age=age
    )
    (panel,) = (r for r in ElementTree.fromstring(svg).iter() if r.get("fill") == "#e4f1f2")
    lines = []
    for element in texts(svg)[3:]:  # after the numbers in the picture
        x, y, size = (float(element.attrib[key]) for key in ("x", "y", "font-size"))
        bold = 1.2 if element.attrib["font-weight"] == "bold" else 1
        right = x + bold * privacy_sign.LETTER * size * len(element.text or "")
        assert right <= privacy_sign.WIDTH - 4, element.text
        assert y <= privacy_sign.HEIGHT - 3
        lines.append((x, y, right, size, element.text))
    top = float(panel.attrib["y"])
    for i, (x, y, right, size, text) in enumerate(lines):
        assert not y - size < top < y + 0.3 * size, f"{text} lies on the edge of the panel"
        for other_x, other_y, other_right, _, other in lines[:i]:
            beside = x >= other_right or other_x >= right
            assert beside or abs(y - other_y) >= size * 0.95, f"{text} lies on {other}"


def test_a_file_that_is_there_is_replaced_only_with_force(tmp_path: Path) -> None:
    (tmp_path / "sign.svg").write_text("mine")
    run = tool("privacy_sign", "--out", tmp_path / "sign.svg")
    assert run.returncode == 2
    assert "sign.svg: is there already; --force replaces it" in run.stderr
    assert (tmp_path / "sign.svg").read_text() == "mine"
    assert tool("privacy_sign", "--out", tmp_path / "sign.svg", "--force").returncode == 0
