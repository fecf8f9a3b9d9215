"""The dashboard in a real browser, fed by a real broker."""

import base64
import contextlib
import csv
import io
import json
import shutil
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.delivery.messages import replayed
from edge.types import Message
from tests.support.broker import Mosquitto
from tests.support.commands import wait_for, without
from tests.support.dashboard import NOON, Dashboard, minute, publish, retained
from tests.support.published import MODEL, window
from tools.webpage.app import read_page

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--window-size=1280,900",
)  # fmt: skip
LARGEST_PAGE = 200_000
CONFUSION = {
    "data": "faces.zip", "split": "test", "min_age": 12, "min_confidence": 0.6,
    "female": {"female": 900, "male": 50, "unknown": 50},
    "male": {"female": 50, "male": 900, "unknown": 50},
}  # fmt: skip
HEALTH = {"schema": 1, "camera": "ok", "temperature_c": 50, "fps": 9.9, "throttled": 0}


def device(name: str, state: Message) -> list[Message]:
    info = {"model": MODEL, "version": "1.0", "config": {}, "confusion": CONFUSION}
    return [
        retained(name, "availability", "online"), retained(name, "info", info),
        replace(state, topic=state.topic.replace("/window", "/state"), retain=True),
    ]  # fmt: skip


class Page:
    """What the browser shows."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, hash_: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(self.url + hash_)
        wait_for(lambda: self.text("people") not in ("", "\N{EN DASH}"), "the page stays empty")

    def run(self, script: str, *values: object) -> Any:
        return self.driver.execute_script(script, *values)

    def text(self, id_: str) -> str:
        """Asked of the page itself: elements may be replaced while they are read."""
        return str(self.run("return document.getElementById(arguments[0])?.innerText ?? ''", id_))

    def lights(self) -> dict[str, str]:
        return dict(self.run(
            "return Object.fromEntries([...document.querySelectorAll('#devices li[data-device]')]"
            ".map(item => [item.dataset.device, item.dataset.light]))"
        ))  # fmt: skip

    def wait_for(self, id_: str, text: str, timeout_s: float = 30) -> None:
        wait_for(lambda: text in self.text(id_), f"{text!r} is not in #{id_}", timeout_s)

    def pick(self, id_: str, day: date) -> None:
        """As a date picker does, which looks different in each language."""
        self.run(
            "const input = document.getElementById(arguments[0]); input.value = arguments[1];"
            "input.dispatchEvent(new Event('change', {bubbles: true}))", id_, day.isoformat(),
        )  # fmt: skip

    def shows(self, selector: str) -> bool:
        return self.driver.find_element(By.CSS_SELECTOR, selector).is_displayed()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path_factory.mktemp("broker"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def dashboard(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Started when the lobby has counted for long and the door is about to begin."""
    publish(
        broker,
        *device("lobby", window(40, minute(1), ever=100)),
        *device("door", window(1, minute(1), (0, 0, 0), device="door", ever=0)),
    )
    program = Dashboard(
        tmp_path_factory.mktemp("dashboard"), f"mqtt://127.0.0.1:{broker.port}",
        ("--notice", "Only a test.", "--client-id", "second-dashboard"),
    )  # fmt: skip
    program.start()
    yield program
    assert program.stop() == 0, program.log.read_text()
    assert "Traceback" not in program.log.read_text()


@pytest.fixture(scope="module")
def page(dashboard: Dashboard) -> Iterator[Page]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        without("chromium and its driver are not installed; `make test` installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield Page(chrome, dashboard.url)
    chrome.quit()


def test_the_first_view_is_there_at_once(page: Page) -> None:
    page.open()
    wait_for(lambda: len(page.lights()) == 2, "not all devices")
    assert set(page.lights()) == {"store-7/lobby", "store-7/door"}
    page.wait_for("link", "Live")
    assert page.text("notice") == "Only a test."
    assert page.text("facing") == "1"  # half a person at each
    assert len(read_page()[0]) < LARGEST_PAGE


def test_the_broker_keeps_windows_for_it(page: Page, broker: Mosquitto) -> None:
    page.wait_for("link", "Live")
    log = (broker.folder / "mosquitto.log").read_text()
    assert "as second-dashboard (p5, c0," in log, "c1 would begin an empty session"
    assert "tally/v1/+/+/window (QoS 1)" in log
    assert "tally/v1/+/+/health (QoS 0)" in log, "health would fill the queue"


def status_of(url: str, method: str = "GET", **headers: str) -> int:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_days_and_devices_can_be_asked_for(dashboard: Dashboard) -> None:
    for path, status in {
        "api/overview": 200,
        "api/overview?from=2026-11-20&to=2026-11-21&device=store-7/lobby&device=nobody": 200,
        "api/hours.csv?from=2026-11-20": 200,
        "api/overview?from=2026-11-21T10:30": 400,
        "api/overview?step=minute": 400,
        "api/hours.csv?window=1": 400,
        "api/windows": 404,
        "page.js": 404,
        "../pyproject.toml": 404,
    }.items():
        assert status_of(dashboard.url + path) == status, path
    assert status_of(f"{dashboard.url}api/overview", "POST") == 405
    assert status_of(dashboard.url, Host="evil.example") == 421


def test_windows_appear_as_they_come(page: Page, broker: Mosquitto) -> None:
    page.open()
    publish(broker, window(41, minute(2), ever=106), window(2, minute(2), device="door", ever=6))
    page.wait_for("people", "12")
    assert page.text("shares").split()[-13:] == [
        "Women", "6", "50", "%", "Men", "4", "33", "%", "Not", "told", "2", "17", "%",
    ]  # fmt: skip
    assert "6.0" in page.text("stay")
    assert "fewer than 30 called women or men" in page.text("estimate")
    publish(
        broker, window(42, minute(1), (30, 20, 0), ever=156), retained("lobby", "health", HEALTH)
    )
    page.wait_for("people", "62")
    page.wait_for("estimate", "women")
    assert page.lights()["store-7/lobby"] == "online"


def test_a_gap_is_explained_until_the_late_windows_come(page: Page, broker: Mosquitto) -> None:
    publish(broker, window(44, minute(), ever=170))
    page.wait_for("honesty", "1 window never came, with 8 people.")
    page.wait_for("people", "68")
    late = replayed(window(43, minute() - 30, (4, 4, 0), ever=164))
    publish(broker, late, late)
    page.wait_for("people", "76")
    page.wait_for("honesty", "No window is missing.")


def test_attention_takes_the_place_of_dwell(page: Page, broker: Mosquitto) -> None:
    attention = {"mean": 2.5, "0-5": 3, "5-15": 1, "15-30": 0, "30-60": 0, "60+": 0}
    ages = (0, 0, 0, 1, 3, 0, 0, 0, 0)
    counted = window(
        3, minute(), (2, 2, 0), device="door", ever=10, ages=ages, attention_s=attention, new="key"
    )
    publish(broker, counted)
    page.wait_for("stay-label", "Mean attention")
    assert "2.5" in page.text("stay")
    assert page.shows("#ages-card")
    assert "21\N{EN DASH}35" in page.text("ages")


def test_one_of_two_devices(page: Page, dashboard: Dashboard) -> None:
    page.open()
    everybody = int(page.text("people"))
    page.driver.find_element(By.CSS_SELECTOR, "#picker summary").click()
    (lobby,) = [
        label for label in page.driver.find_elements(By.CSS_SELECTOR, "#picker label.member")
        if label.text.startswith("lobby")
    ]  # fmt: skip
    lobby.click()
    page.wait_for("picked", "door")
    wait_for(lambda: page.text("people") == "10", "the lobby is still in the number")
    assert everybody > 10
    assert "device=store-7%2Fdoor" in page.driver.current_url
    csv = page.driver.find_element(By.ID, "csv").get_attribute("href")
    assert csv is not None
    assert "device=store-7%2Fdoor" in csv


def test_periods_are_compared(page: Page) -> None:
    page.open("#period=7&compare=earlier")
    page.wait_for("comparison-table", "People a day")
    assert page.run("return document.querySelectorAll('#time .hit').length") == 7
    page.driver.find_element(By.CSS_SELECTOR, "#preset option[value=yesterday]").click()
    page.wait_for("time-title", "by hour")
    assert page.text("people") == "0"


def test_charts_are_read_by_keyboard_and_have_tables(page: Page) -> None:
    page.open()
    chart = page.driver.find_element(By.CSS_SELECTOR, "#time svg")
    chart.send_keys(Keys.ARROW_RIGHT)
    for _ in range(24):
        if "women" in page.text("time-readout"):
            break
        chart.send_keys(Keys.ARROW_RIGHT)
    assert "women" in page.text("time-readout")
    unnamed = page.run(
        "return [...document.querySelectorAll('svg:not([aria-hidden]):not([aria-label]),"
        " input:not([type=checkbox])')].filter(e => !e.ariaLabel && !e.labels?.length).length"
    )
    assert unnamed == 0
    for name in ("time", "heat"):
        assert page.run(f"return document.querySelectorAll('#{name}-table tbody tr').length") > 0
    for landmark in ("header", "main", "footer", "h1"):
        assert len(page.driver.find_elements(By.CSS_SELECTOR, landmark)) == 1


def test_it_fits_a_phone_and_a_wall(page: Page) -> None:
    def resize(width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    resize(360, 740)
    page.open()
    assert page.run("return document.documentElement.scrollWidth") <= 360
    resize(1920, 1080)
    page.open("#wall")
    assert page.run("return document.documentElement.scrollHeight") <= 1080
    assert not page.shows("#controls")
    assert page.shows("#time")
    page.driver.find_element(By.CSS_SELECTOR, "body").send_keys(Keys.ESCAPE)
    wait_for(lambda: page.shows("#controls"), "Escape does not leave the wall's view")
    for theme, ground in (("dark", "rgb(12, 15, 21)"), ("light", "rgb(244, 245, 248)")):
        page.open(f"#wall&{theme}")
        assert page.run("return getComputedStyle(document.body).backgroundColor") == ground
        assert page.run("return document.body.clientWidth") == 1920
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_full_disk_and_a_broker_that_restarts_lose_nothing(
    page: Page, broker: Mosquitto, dashboard: Dashboard
) -> None:
    page.open()
    before = int(page.text("people"))
    with contextlib.closing(sqlite3.connect(dashboard.file)) as db:
        db.execute("ALTER TABLE windows RENAME TO away")  # the database refuses windows
    publish(broker, window(45, minute(), (1, 1, 1), ever=173))
    page.wait_for("link", "Nothing can be stored")
    page.wait_for("problem", "no such table")
    broker.stop()  # the window is not acknowledged, and comes again
    page.wait_for("link", "reachable", timeout_s=40)
    with contextlib.closing(sqlite3.connect(dashboard.file)) as db:
        db.execute("ALTER TABLE away RENAME TO windows")
    broker.start()
    page.wait_for("link", "Live")
    publish(broker, window(46, minute(), (1, 1, 1), ever=176))
    page.wait_for("people", str(before + 6))


def test_a_device_that_was_removed_keeps_its_past(page: Page, broker: Mosquitto) -> None:
    kinds = ("availability", "state", "health", "info")
    publish(broker, *(retained("door", kind, "") for kind in kinds))
    wait_for(lambda: set(page.lights()) == {"store-7/lobby"}, "the door is still there")
    page.open("#device=store-7/door")
    assert page.text("people") == "10"
    page.driver.find_element(By.CSS_SELECTOR, "#picker summary").click()
    assert "removed" in page.text("devices-to-pick")


def test_todays_people_are_there_before_any_window(page: Page, broker: Mosquitto) -> None:
    today = {"date": datetime.now(ZoneInfo(NOON)).date().isoformat(), "total": 40}
    publish(broker, *device("hall", window(7, minute(1), device="hall", today=today)))
    wait_for(lambda: "store-7/hall" in page.lights(), "the hall is not shown")
    page.open("#device=store-7/hall")
    page.wait_for("people", "40")
    page.wait_for("honesty", "40 people came before this dashboard began to collect.")


def test_windows_that_never_cease_appear_too(page: Page, broker: Mosquitto) -> None:
    """As with many devices: something is new more often than the page asks."""
    page.open("#device=store-7/crowd")
    numbers = set()
    for seq in range(1, 40):
        publish(broker, window(seq, minute(1), device="crowd", ever=6 * seq))
        numbers.add(page.text("people"))
        time.sleep(0.1)
        if len(numbers) > 2:
            break
    assert len(numbers) > 2, "it waits for a pause"


def test_dates_are_picked_and_compared(page: Page) -> None:
    page.open()
    today = date.fromisoformat(page.run("return overview.today"))
    yesterday, before = (today - timedelta(days=days) for days in (1, 8))
    page.driver.find_element(By.CSS_SELECTOR, "#preset option[value=dates]").click()
    page.pick("from", yesterday)
    wait_for(lambda: page.run("return overview.slots.length") == 48, "not two days")
    page.driver.find_element(By.CSS_SELECTOR, "#compare option[value=dates]").click()
    page.pick("other-from", before)
    page.pick("other-to", before)
    page.wait_for("comparison-table", "People a day")
    for words in (f"from={yesterday}", f"to={today}", f"other-to={before}"):
        assert words in page.driver.current_url
    page.driver.refresh()
    page.wait_for("comparison-table", "People a day")


def test_the_hours_are_downloaded_as_they_are_shown(page: Page) -> None:
    page.open("#period=7")
    link = page.driver.find_element(By.ID, "csv").get_attribute("href")
    assert link is not None
    with urllib.request.urlopen(link) as answer:
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        rows = [*csv.DictReader(io.TextIOWrapper(answer))]
    shown = page.run("return overview.total")
    for column, name in (("people", "people"), ("women", "female"), ("withheld", "withheld")):
        assert sum(int(row[column] or 0) for row in rows) == shown[name]


def test_paper_and_darkness(page: Page) -> None:
    page.open()
    emulate = "Emulation.setEmulatedMedia"
    page.driver.execute_cdp_cmd(emulate, {"media": "print"})
    assert not page.shows("#controls")
    assert page.shows("#time svg")
    pdf = page.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert base64.b64decode(pdf).startswith(b"%PDF")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.driver.execute_cdp_cmd(emulate, {"media": "", "features": dark})
    background = page.run("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(12, 15, 21)"
    page.driver.execute_cdp_cmd(emulate, {"media": "", "features": []})


def test_blind_time_is_hatched_and_last_week_an_outline(page: Page, broker: Mosquitto) -> None:
    week = minute() - 7 * 86400
    publish(
        broker,
        window(1, week - 3600, (5, 5, 0), device="cellar"),
        window(2, week, (1, 2, 0), device="cellar"),
        window(3, minute(90), (4, 4, 0), device="cellar", seconds=3600, coverage=0.1),
        window(4, minute(5), (3, 3, 0), device="cellar"),
    )
    page.open("#device=store-7/cellar")
    page.wait_for("people", "14")
    drawn = "return document.querySelectorAll(arguments[0]).length"
    assert page.run(drawn, "#time rect[fill='url(#hatch)']") > 0
    assert page.run(drawn, "#time path.before") > 0


def test_nobody_else_is_asked_and_nothing_is_refused(page: Page) -> None:
    page.open()
    entries: list[dict[str, str]] = page.driver.get_log("performance")  # type: ignore[no-untyped-call]  # Selenium
    sent = [json.loads(entry["message"])["message"] for entry in entries]
    asked = {
        urlsplit(message["params"]["request"]["url"])
        for message in sent if message["method"] == "Network.requestWillBeSent"
    }  # fmt: skip
    hosts = {url.netloc for url in asked if url.scheme not in ("data", "about")}
    assert hosts == {urlsplit(page.url).netloc}
    console: list[dict[str, str]] = page.driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium
    assert [entry["message"] for entry in console if entry["level"] == "SEVERE"] == []
    assert page.driver.get_cookies() == []
