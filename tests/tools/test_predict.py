"""Faces found and labelled in pictures from files, folders and a web server."""

import csv
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest

from edge.sources.demo import PEOPLE
from edge.sources.pictures import PictureError, decode
from edge.sources.pictures import read as read_picture
from edge.types import AGE_GROUPS, LABELS
from tests.support.commands import tool
from tests.support.paths import MODEL, PICTURE
from tools import predict
from tools.datasets import fetch
from tools.datasets.archive import DataError
from tools.plotting.boxes import COLORS


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few faces under female/ and male/."""
    folder = tmp_path_factory.mktemp("labelled") / "faces"
    for gender in LABELS:
        (folder / gender).mkdir(parents=True)
        for file in sorted(PEOPLE.glob(f"{gender}-*.jpg"))[:8]:
            shutil.copy(file, folder / gender)
    return folder


class Web(BaseHTTPRequestHandler):
    """A web server that answers badly in every way."""

    picture = b""

    def do_GET(self) -> None:
        path = self.path.strip("/")
        if path in ("good.png", "g%C3%BCt%20%3F.png"):
            self.answer("image/png", self.picture)
        elif path == "moved":
            self.send_response(302)
            self.send_header("Location", "/good.png")
            self.end_headers()
        elif path in ("circle", "off"):
            self.send_response(301)
            self.send_header("Location", "/circle" if path == "circle" else "file:///etc/hostname")
            self.end_headers()
        elif path == "page":
            self.answer("text/html", b"<html>")
        elif path == "lie.png":
            self.answer("image/png", b"<html>")
        elif path == "short.png":
            self.answer("image/png", self.picture[:5000], length=len(self.picture))
        elif path == "huge.png":
            self.answer("image/png", b"", length=fetch.MAX_BYTES + 1)
        elif path == "endless.png":
            self.answer("image/png", self.picture[:8], length=None)
            chunk = bytes(2**20)
            while self.write(chunk):
                pass
        elif path == "drips.png":  # each byte well within a socket's time limit
            self.answer("image/png", b"", length=None)
            while self.write(b"x"):
                time.sleep(0.05)
        else:
            self.send_error(404)

    def answer(self, kind: str, data: bytes, length: int | None = -1) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(len(data) if length == -1 else length))
        self.end_headers()
        self.write(data)

    def write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
        except OSError:  # the client is gone
            return False
        return True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    handler = type("WithPicture", (Web,), {"picture": PICTURE.read_bytes()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    out = tmp_path / "out" / "drawn.png"
    run = tool("predict", PICTURE, "--save", out, "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["file"] == str(PICTURE)
    assert [face["label"] for face in result["faces"]] == ["female", "male", "male"]
    assert all(face["age"] in AGE_GROUPS[3:] for face in result["faces"])  # they are adults
    assert all(0.6 <= face["confidence"] <= 1 for face in result["faces"])
    plain, drawn = read_picture(PICTURE), read_picture(out)
    assert drawn.shape == plain.shape
    differs = np.abs(plain.astype(int) - drawn).max(axis=2) > 60
    for face in result["faces"]:
        x, y, w, h = face["box"]
        edge = differs[y : y + h, x]
        assert edge.mean() > 0.9
        assert not differs[y + 8 : y + h - 8, x + 8 : x + w - 8].any()
        red, blue = drawn[y + h // 2, x, 2], drawn[y + h // 2, x, 0]
        assert (red > blue) == (face["label"] == "female")
    assert not differs[320:].any()  # no face is there


def test_an_unsure_prediction_is_dashed(tmp_path: Path, configure: Any) -> None:
    config = configure(classifier={"model": str(MODEL), "min_confidence": 0.999})
    out = tmp_path / "drawn.png"
    run = tool("predict", PICTURE, "--config", config, "--save", out)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == f"{PICTURE}: 3 faces"
    assert [line.split()[0] for line in lines[1:]] == ["unknown"] * 3
    x, y, w, h = 485, 113, 87, 87
    assert lines[3].endswith(f"{w} x {h} at {x}, {y}")
    drawn = read_picture(out).astype(int)
    # as bright as the wall, but without its tint
    gray = np.abs(drawn[y : y + h, x] - 180).max(axis=1) < 4
    assert 0.4 < gray.mean() < 0.9  # dashes
    assert np.abs(np.diff(gray.astype(int))).sum() > 4


def test_a_picture_without_faces_says_so(tmp_path: Path) -> None:
    blank, out, table = (tmp_path / name for name in ("blank.png", "out.png", "seen.csv"))
    cv2.imwrite(str(blank), np.full((240, 320, 3), 90, np.uint8))
    run = tool("predict", "--source", blank, "--save", out)
    assert run.stdout.splitlines() == [f"{blank}: no faces"]
    drawn = read_picture(out)
    assert drawn.shape == (240, 320, 3)
    written = (drawn.min(axis=2) > 200).any(axis=1)
    assert written[:60].sum() > 10  # on white, at the top
    assert not written[60:].any()
    run = tool("predict", blank, "--csv", table, "--json")
    assert json.loads(run.stdout) == {"file": str(blank), "faces": [], "note": "no faces"}
    with table.open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert {value for key, value in row.items() if key not in ("file", "note")} == {""}
    assert row["note"] == "no faces"


def test_a_label_at_the_right_edge_is_whole(tmp_path: Path) -> None:
    face = read_picture(min(PEOPLE.glob("*.jpg")))
    width = face.shape[1]
    scene = cv2.copyMakeBorder(face, 120, 60, 300, 30, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    picture, out = tmp_path / "edge.png", tmp_path / "out.png"
    cv2.imwrite(str(picture), scene)
    run = tool("predict", picture, "--save", out)
    assert ": 1 face" in run.stdout, run.stdout
    drawn = read_picture(out).astype(int)
    named = [np.abs(drawn - color).max(axis=2) < 40 for color in COLORS.values()]
    columns = np.flatnonzero(np.any(named, axis=0).any(axis=0))
    assert columns[0] < 300 + width / 2 - 40  # the label reaches to the left of the box's middle
    assert columns[-1] < scene.shape[1] - 1


def test_age_is_reported_if_the_model_estimates_it(age_models: Path, tmp_path: Path) -> None:
    table, drawn = tmp_path / "seen.csv", tmp_path / "drawn.png"
    model = age_models / "both.tflite"
    run = tool("predict", PICTURE, "--model", model, "--json", "--csv", table, "--save", drawn)
    assert run.returncode == 0, run.stderr
    faces = json.loads(run.stdout)["faces"]
    assert [(face["label"], face["age"]) for face in faces] == [("male", "21-35")] * 3
    assert all(0.6 <= face["age_confidence"] <= 1 for face in faces)
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["age"], float(row["age_confidence"])) for row in rows] == [
        (face["age"], face["age_confidence"]) for face in faces
    ]
    gender = age_models / "gender.tflite"
    run = tool("predict", PICTURE, "--model", gender, "--json", "--csv", table)
    (first, *_) = json.loads(run.stdout)["faces"]
    assert set(first) == {"box", "label", "confidence"}
    assert "age" not in table.read_text()
    # the age stands beside the gender, further than the box reaches
    x, y, w, _ = faces[0]["box"]
    strip = read_picture(drawn)[y - 10 : y - 6, x + w + 20 : x + w + 100]
    assert np.abs(np.median(strip, axis=(0, 1)) - COLORS["male"]).max() < 20


def test_a_model_of_age_alone(age_models: Path, labelled: Path, configure: Any) -> None:
    model = age_models / "age.tflite"
    config = configure(classifier={"model": str(model), "min_confidence": 0.999})
    run = tool("predict", PICTURE, "--config", config, "--json")
    assert run.returncode == 0, run.stderr
    faces = json.loads(run.stdout)["faces"]
    predictions = {(face["label"], face["confidence"], face["age"]) for face in faces}
    assert {(label, confidence) for label, confidence, _ in predictions} == {(None, None)}
    assert {age for _, _, age in predictions} <= set(AGE_GROUPS)  # the likeliest, however sure
    assert all(0.6 <= face["age_confidence"] <= 0.999 for face in faces)
    # the folders give gender, and there is no prediction to compare with it
    run = tool("predict", labelled, "--model", model)
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stdout.splitlines() if not re.search(r": (no|\d+) faces?$", line)]
    assert len(lines) >= 12
    assert {line[:28] for line in lines} == {"  gender not estimated  age "}
    run = tool("predict", labelled, "--model", model, "--mistakes", "x.png")
    assert run.returncode == 2
    assert "--mistakes: age estimates age alone" in run.stderr.splitlines()[-1]


def test_a_labelled_folder(labelled: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    for number, file in enumerate(sorted(labelled.glob("*/*"))):
        true = file.parent.name
        (mixed / true).mkdir(parents=True, exist_ok=True)
        # one man lies in the wrong folder
        place = "female" if file == min((labelled / "male").iterdir()) else true
        (mixed / place / f"{number:02}.jpg").write_bytes(file.read_bytes())
    (mixed / "male" / "broken.jpg").write_bytes(b"not a picture")
    blank = np.full((100, 100, 3), 90, np.uint8)
    cv2.imwrite(str(mixed / "male" / "nobody.png"), blank)
    table, sheet = tmp_path / "seen.csv", tmp_path / "mistakes.png"
    run = tool("predict", mixed, "--csv", table, "--mistakes", sheet)
    assert run.returncode == 0, run.stderr
    skipped = f"skipped: {mixed / 'male' / 'broken.jpg'} is not a picture; JPEG, PNG, "
    assert any(line.startswith(skipped) for line in run.stderr.splitlines())
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    faces = [row for row in rows if row["label"]]
    assert {row["file"] for row in rows} == {str(f) for f in mixed.glob("*/[0-9n]*")}
    (nobody,) = (row for row in rows if row["file"].endswith("nobody.png"))
    assert (nobody["x"], nobody["label"], nobody["truth"]) == ("", "", "male")
    assert nobody["note"] == "no faces"
    assert {row["note"] for row in faces} == {""}
    files = {row["file"] for row in faces}
    assert len(files) >= 12
    wrong = [row for row in faces if row["label"] != row["truth"]]
    assert [row["label"] for row in wrong] == ["male"]
    (line,) = run.stdout.splitlines()
    assert line == (
        f"accuracy  {(len(files) - 1) / len(files):.1%}: {len(files) - 1} of {len(files)} right, "
        f"1 wrong, 0 unknown; no face in {len({row['file'] for row in rows}) - len(files)} more"
    )
    drawn = read_picture(sheet)
    assert drawn.shape[0] > 200
    assert drawn[:, :160].std() > 40  # the one face, at the left
    assert drawn[60:, 160:].std() < 1  # and no other
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in labelled.glob("*/*"):
            archive.write(file, file.relative_to(labelled))
    run = tool("predict", packed, "--json", "--mistakes", tmp_path / "none.png")
    assert "no mistakes" in run.stderr
    assert len([json.loads(line) for line in run.stdout.splitlines()]) == 16
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("path", ["good.png", "moved", "güt %3F.png"])
def test_a_picture_from_the_web(web: str, path: str) -> None:
    image = decode(fetch.fetch(f"{web}/{path}", 5))
    assert image.shape == (360, 640, 3)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "answers 404 Not Found"),
        ("circle", "redirects more than 5 times, in a circle, or off the web"),
        ("off", "redirects more than 5 times, in a circle, or off the web"),
        ("page", "is not a picture but text/html"),
        ("lie.png", "is a web page; JPEG, PNG, "),
        ("short.png", "ended after 5000 of "),
        ("huge.png", "has more than 32 MiB"),
        ("endless.png", "has more than 32 MiB"),
    ],
)
def test_what_the_web_answers_instead(web: str, path: str, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(fetch.fetch(f"{web}/{path}", 5))
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_an_answer_that_never_ends(web: str) -> None:
    begin = time.monotonic()
    with pytest.raises(PictureError, match=r"^took longer than 0.4 s$"):
        fetch.fetch(f"{web}/drips.png", 0.4)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/hostname", "only http:// and https:// are fetched"),
        ("http://127.0.0.1:1/a.png", "cannot be fetched ([Errno 111] Connection refused)"),
        ("http:///a.png", "cannot be fetched (no host given)"),
        ("http://[half/a.png", "cannot be fetched"),
        ("http://127.0.0.1/a b.png", "cannot be fetched"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        fetch.fetch(url, 5)
    assert str(caught.value).startswith(reason)


def test_the_web_by_the_command_line(web: str) -> None:
    run = tool(
        "predict", f"{web}/good.png", f"{web}/nothing", f"{web}/drips.png", "none.jpg",
        "--timeout", "1", "--json",
    )  # fmt: skip
    assert run.returncode == 0
    (result,) = map(json.loads, run.stdout.splitlines())
    assert (result["file"], len(result["faces"])) == (f"{web}/good.png", 3)
    assert [line for line in run.stderr.splitlines() if "skipped" in line] == [
        f"skipped: {web}/nothing answers 404 Not Found",
        f"skipped: {web}/drips.png took longer than 1 s",
        "skipped: none.jpg cannot be read (No such file or directory)",
    ]


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": holds no pictures$"):
        predict.inputs(str(tmp_path), 1)


def test_a_window_is_opened_if_matplotlib_has_a_screen() -> None:
    run = tool("predict", PICTURE, "--show", MPLBACKEND="pdf")  # a screen as far as it can tell
    assert run.returncode == 0, run.stderr
    assert "no screen" not in run.stderr


def test_without_a_screen_no_window_is_opened() -> None:
    run = tool("predict", PICTURE, "--show", MPLBACKEND="agg")
    assert run.returncode == 1
    assert "there is no screen here; --save writes a file instead" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "code", "expected"),
    [
        ([], 2, "name a picture, a folder or a URL"),
        (["none.jpg"], 1, "skipped: none.jpg cannot be read (No such file or directory)"),
        (["GROUP", "--csv", "LICENSE"], 2, "--csv LICENSE: is there already; --force replaces it"),
        (["GROUP", "--save", "LICENSE"], 2, "--save LICENSE: is there already; --force replaces"),
        (["README.md", "--mistakes", "x.png"], 2, "--mistakes needs a folder with female and male"),
        (["a.jpg", "b.jpg", "--save", "x.png"], 2, "--save needs a single picture"),
        (["FACES", "--csv", "FACES.csv"], 2, "would read it as the labels of the folder"),
        (["a.jpg", "--model", "none.tflite"], 2, "none.tflite: cannot be read"),
        (["a.jpg", "--timeout", "inf"], 2, "--timeout must be above 0 and at most 3600"),
        (["GROUP", "--save", "x.doc"], 1, "x.doc: cannot be written"),
        (["GROUP", "--csv", "README.md/x"], 2, "--csv README.md/x: cannot be made (File exists)"),
    ],
)
def test_mistakes_of_use(args: list[str], code: int, expected: str, labelled: Path) -> None:
    named = [a.replace("FACES", str(labelled)).replace("GROUP", str(PICTURE)) for a in args]
    run = tool("predict", *named)
    assert run.returncode == code, run.stderr
    assert expected in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
