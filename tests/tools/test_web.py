"""The page to try a model on: served as its user does, seen in a real browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import cv2
import pytest
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from edge.sources.demo import Scene
from edge.types import AGE_GROUPS
from edge.vision.model_card import read_card
from tests.support.broker import free_port
from tests.support.chromium import open_chromium
from tests.support.commands import tool, wait_for
from tests.support.paths import MODEL, ROOT

TWO_PEOPLE_S = 33.0
"""A moment of the demo's scene with a man and a woman in view, from left to right."""
UNSURE_S = 13.0
"""Another with two men; blurred, the model is less sure of the right one than SURE."""
UNSURE_BLUR_PX = 2.4
SURE = 0.9
OFFERED = "#model [role=option], ul[role=listbox] li"
"""The models to choose among."""
CONNECT = re.compile(r"sa_family=AF_INET6?\b.*")
FLAGS = (
    "--window-size=1200,1300",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


@dataclass(frozen=True, slots=True)
class Server:
    """The page as it is served, with what it printed and whom it called."""

    url: str
    pictures: Path
    log: Path
    calls: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, age_models: Path) -> Path:
    """Pictures, a file that is none, what the webcam sees, and a folder with more models."""
    folder = tmp_path_factory.mktemp("web")
    view = Scene().draw(TWO_PEOPLE_S)
    cv2.imwrite(str(folder / "two.png"), view)
    blurred = cv2.GaussianBlur(Scene().draw(UNSURE_S), (0, 0), UNSURE_BLUR_PX)
    cv2.imwrite(str(folder / "unsure.png"), blurred)
    cv2.imwrite(str(folder / "empty.png"), Scene().draw(0.0))
    (folder / "camera.mjpeg").write_bytes((cv2.imencode(".jpg", view)[1].tobytes()) * 3)
    settings = {"site": "test", "classifier": {"min_confidence": SURE}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "notes.txt").write_text("no picture")
    shutil.copytree(age_models, folder / "models")
    for file in (MODEL, MODEL.with_suffix(".json")):
        shutil.copy(file, folder / "models" / f"second{file.suffix}")
    (folder / "models" / "broken.tflite").write_bytes(b"TFL3")
    shutil.copy(MODEL.with_suffix(".json"), folder / "models" / "broken.json")
    return folder


@pytest.fixture(scope="module")
def server(files: Path) -> Iterator[Server]:
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is not installed; `make test` installs it")
    port = free_port()
    served = Server(f"http://127.0.0.1:{port}/", files / "tmp", files / "log", files / "calls")
    served.pictures.mkdir()
    # -D: what we start, and stop, is the page's own process
    watch = [strace, "-D", "-f", "--seccomp-bpf", "-qq", "-o", str(served.calls)]
    page = [sys.executable, "tools/web.py", "--port", str(port)]
    page += ["--config", str(files / "config.yaml"), "--models", str(files / "models")]
    with served.log.open("wb") as log:
        process = subprocess.Popen(
            [*watch, "-e", "trace=connect", *page],
            cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"TMPDIR": str(served.pictures)},
        )  # fmt: skip
    try:
        wait_for(
            lambda: served.url in served.log.read_text() or process.poll() is not None,
            "the page is not served",
            timeout_s=300,
        )
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, served.log.read_text()
    # what was sent to it has gone with it
    assert [file for file in served.pictures.rglob("*") if file.is_file()] == []


class Browser:
    """Chromium without a screen."""

    def __init__(self, url: str, camera: Path) -> None:
        self.driver = open_chromium(*FLAGS, f"--use-file-for-fake-video-capture={camera}")
        self._url = url

    def open(self) -> None:
        self.driver.get(self._url)
        self.wait_for_result("Choose a picture, or an example.")

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first such element with this text, once it is there."""
        found: list[WebElement] = []

        def clicked() -> bool:
            found[:] = [element for element in self.all(selector) if text in element.text]
            return bool(found)

        wait_for(clicked, f"{selector} {text!r} is not on the page")
        found[0].click()

    def upload(self, file: Path) -> None:
        if self.all("#picture [aria-label=Clear]"):
            self.click("#picture [aria-label=Clear]")
            self.wait_for_result("Choose a picture")
        self.driver.find_element(By.CSS_SELECTOR, "#picture input[type=file]").send_keys(str(file))

    @property
    def result(self) -> str:
        # asked of the page itself: elements may be replaced while they are read
        script = "return document.querySelector('#result')?.innerText ?? ''"
        return str(self.driver.execute_script(script))

    def wait_for_result(self, text: str) -> None:
        wait_for(lambda: text in self.result, f"{text!r} is not shown")

    def asked(self) -> set[SplitResult]:
        """Every address that pages asked for, since the last call."""
        entries: list[dict[str, str]] = self.driver.get_log("performance")  # type: ignore[no-untyped-call]  # Selenium
        sent = [json.loads(entry["message"])["message"] for entry in entries]
        return {
            urlsplit(message["params"]["request"]["url"])
            for message in sent
            if message["method"] == "Network.requestWillBeSent"
        }


@pytest.fixture(scope="module")
def browser(server: Server, files: Path) -> Iterator[Browser]:
    opened = Browser(server.url, files / "camera.mjpeg")
    yield opened
    opened.driver.quit()


@pytest.fixture
def page(browser: Browser) -> Browser:
    browser.open()
    return browser


def told(shown: str) -> list[tuple[str, str]]:
    """Label and percentage of each bar of a gender."""
    return re.findall(r"((?:fe)?male)\n(\d+)%", shown)


def bars(shown: str) -> bool:
    """Whether the bars of a man and a woman are shown, of each face the likelier label first."""
    large = [int(share) > 100 * SURE for _, share in told(shown)]
    labels = [label for label, _ in told(shown)]
    return labels == ["male", "female", "female", "male"] and large == [True, False, True, False]


def test_several_faces_get_boxes_and_bars(page: Browser, server: Server, files: Path) -> None:
    page.upload(files / "two.png")
    wait_for(lambda: bars(page.result), "the bars are not shown")
    assert "Faces: 2" in page.result
    assert re.findall(r"^\d \w+$", page.result, re.MULTILINE) == ["1 male", "2 female"]
    # the bars are as long as they say
    lengths = [bar.size["width"] for bar in page.all("#result meter")]
    second = 2 + len(AGE_GROUPS)
    drawn = [*lengths[:2], *lengths[second : second + 2]]
    shares = [int(share) / 100 for _, share in told(page.result)]
    whole = drawn[0] + drawn[1]
    assert [length / whole for length in drawn] == pytest.approx(shares, abs=0.02)
    wait_for(lambda: page.all("#result img"), "the picture is not shown")
    picture = page.all("#result img")[0]
    wait_for(lambda: picture.get_property("naturalWidth") == 640, "the picture is not loaded")
    assert list(server.pictures.rglob("two.png")), "the test looks for pictures in the wrong place"


def test_who_it_is_not_sure_about_is_unknown(page: Browser, files: Path) -> None:
    page.upload(files / "unsure.png")
    page.wait_for_result("1 male")
    right = re.search(r"^2 (.+)\nmale\n(\d+)%", page.result, re.MULTILINE)
    assert right
    assert right[1] == "unknown"
    assert 60 < int(right[2]) < 100 * SURE


def test_each_model_can_be_chosen(page: Browser, server: Server, files: Path) -> None:
    page.upload(files / "two.png")
    page.wait_for_result("Faces: 2")
    page.click("#model input")
    offered: list[str] = []

    def all_are_shown() -> bool:
        # the list fades in: for a moment its options are there and have no visible text
        offered[:] = [option.text.removeprefix("✓").strip() for option in page.all(OFFERED)]
        return len(offered) >= 6 and all(offered)

    wait_for(all_are_shown, "the models are not offered")
    shipped = [Path("models/gender.tflite"), Path("models/gender-free.tflite")]
    more = [files / "models" / f"{name}.tflite" for name in ("age", "both", "gender", "second")]
    assert offered == [f"{name} ({read_card(name).id})" for name in (*shipped, *more)]
    page.click(OFFERED, "second.tflite")
    wait_for(lambda: bars(page.result), "the bars are not shown")
    # what is no model does not keep the others from being tried
    assert "left out: model" in server.log.read_text()
    assert "broken.tflite" in server.log.read_text()


def test_age_has_bars_where_the_model_gives_it(page: Browser, files: Path) -> None:
    page.upload(files / "two.png")
    page.wait_for_result("Faces: 2")
    page.click("#model input")
    page.click(OFFERED, "(gender@")  # not the shipped one
    wait_for(lambda: len(page.all("#result meter")) == 2 * 2, "there are bars of ages")
    page.click("#model input")
    page.click(OFFERED, "both.tflite")
    wait_for(lambda: len(page.all("#result meter")) == 2 * (2 + 8), "the bars are not shown")
    assert "does not estimate" not in page.result
    for number in "12":
        assert re.search(rf"^{number} (female|male|unknown)$", page.result, re.MULTILINE)
        age = re.search(rf"^{number} age (\S+)\n(\S+)\n(\d+)%", page.result, re.MULTILINE)
        assert age
        assert age[1] == age[2]  # the likeliest, however sure
    beside = [label.rect for label in page.all("#result .block:has(meter)")]
    assert beside[0]["y"] == beside[1]["y"] < beside[2]["y"]

    page.click("#model input")
    page.click(OFFERED, "age.tflite")
    page.wait_for_result("Faces: 2. This model does not estimate gender.")
    wait_for(lambda: len(page.all("#result meter")) == 2 * 8, "the bars are not shown")
    assert "male" not in page.result


def test_examples_and_webcam(page: Browser) -> None:
    page.click("#examples button")
    page.wait_for_result("Faces: 3")
    page.click("button[role=tab]", "Webcam")
    page.click("button", "Access Webcam")
    page.click("button[aria-label='capture photo']")
    page.wait_for_result("Faces: 2")
    assert "1 male" in page.result


def test_what_cannot_be_looked_at_is_told(page: Browser, files: Path) -> None:
    page.upload(files / "notes.txt")
    page.wait_for_result(
        "notes.txt is not a picture; JPEG, PNG, WEBP, AVIF, BMP, GIF, TIFF, PPM can be read."
    )
    page.upload(files / "empty.png")
    page.wait_for_result("No face was found.")


def test_nobody_else_is_asked_for_anything(page: Browser, server: Server, files: Path) -> None:
    page.upload(files / "two.png")
    page.wait_for_result("Faces: 2")
    hosts = {url.netloc for url in page.asked() if url.scheme not in ("data", "blob")}
    assert hosts == {urlsplit(server.url).netloc}
    # nor does the program that serves it call anybody but itself
    called = CONNECT.findall(server.calls.read_text())
    assert called
    assert [call for call in called if '"127.0.0.1"' not in call] == []


def test_mistakes_are_named(files: Path) -> None:
    nothing = files / "nothing"
    run = tool("web", "--models", nothing)
    assert run.returncode == 2
    assert run.stderr == f"web: --models {nothing}: holds no .tflite file with a .json beside it\n"


def test_the_network_is_warned_of() -> None:
    run = tool("web", "--host", "192.0.2.1")  # nobody's address (RFC 5737)
    assert run.returncode == 2
    warning, error = run.stderr.splitlines()
    assert warning.startswith("web: WARNING: anyone on the network can send pictures")
    assert error.startswith("web: cannot listen on 192.0.2.1 port 7860 (")
