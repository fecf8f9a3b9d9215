"""All devices, the worst first, in a real browser, fed by a real broker."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from edge.types import Message
from tests.support.broker import Mosquitto
from tests.support.chromium import open_chromium
from tests.support.commands import wait_for
from tests.support.dashboard import Dashboard, publish, publish_fast, retained
from tests.support.published import MODEL, window
from tests.tools.test_dashboard_page import Page
from tools.collection.liveness import Device
from tools.webpage.feed import difference
from tools.webpage.status import newest_version, read_version, status

NOW = 1_795_255_200
FINE = {"camera": "ok", "temperature_c": 50, "fps": 9.9, "throttled": 0, "outbox": 0, "dropped": 0}
MANY = 200
OLD = 100
"""The number of the device whose version is older."""


def device(**values: Any) -> Device:
    usual: dict[str, Any] = {"started": NOW - 9999.0, "heard": NOW - 5.0, "health": FINE}
    return Device(**(usual | values))


def states(live: dict[str, Device]) -> dict[str, list[str]]:
    entries = status({("shop", name): each for name, each in live.items()}, NOW)
    return {entry["device"]: entry["states"] for entry in entries}


def test_what_is_wrong_with_a_device() -> None:
    seen = {"ended": NOW - 60.0}
    assert states({
        "fine": device(info={"version": "1.10.0"}, state={"coverage": 1.0}, **seen),
        "lost": device(health=FINE | {"camera": "lost"}),
        "covered": device(state={"coverage": 0.1}, **seen),
        "long-ago": device(state={"coverage": 0.1}, ended=NOW - 9999.0),
        "asleep": device(health=FINE | {"camera": "resting"}, state={"coverage": 0.0}, **seen),
        "hot-and-old": device(health=FINE | {"temperature_c": 85}, info={"version": "1.9"}),
        "dark": device(availability="online", heard=NOW - 400.0, info={"version": "1.10rc1"}),
        "odd": device(info={"version": ["x"]}, state={"coverage": "?"}),
    }) == {
        "fine": [], "lost": ["camera"], "covered": ["blind"], "long-ago": [],
        "asleep": ["resting"], "hot-and-old": ["hot", "outdated"], "dark": ["late", "outdated"],
        "odd": [],
    }  # fmt: skip


def test_versions_are_compared_as_numbers() -> None:
    texts = ["1.10.0", "1.9.3", "v2.0.0rc1", "", "main", "1.10", "2.0.0.dev3", "9" * 400]
    assert newest_version(texts) == ((2,), False)
    order = ["1.9.3", "1.10.0rc1", "1.10", "1.10.1", "2.0.0-beta", "2.0.0", "2.0.0+local.1"]
    versions = [read_version(text) for text in order]
    assert None not in versions
    assert versions == sorted(versions)  # type: ignore[type-var]  # none of them is None
    assert read_version("1.10") == read_version("1.10.0")


def test_an_event_has_what_is_new_to_its_reader() -> None:
    a, b = {"site": "s", "device": "a", "x": 1}, {"site": "s", "device": "b", "x": 1}
    event, known = difference({"devices": [a, b], "now": 1}, None)
    assert event == {"devices": [a, b], "gone": [], "all": True, "now": 1}
    event, known = difference({"devices": [a | {"x": 2}], "now": 2}, known)
    assert event == {"devices": [a | {"x": 2}], "gone": ["s/b"], "all": False, "now": 2}
    event, _ = difference({"devices": [a | {"x": 2}], "now": 3}, known)
    assert event == {"devices": [], "gone": [], "all": False, "now": 3}


def name_of(number: int) -> tuple[str, str]:
    return f"site-{number % 20:02}", f"device-{number:04}"


def messages(number: int, health: dict[str, Any], version: str = "1.2.0") -> list[Message]:
    site, name = name_of(number)
    state = window(7, time.time() - 30, site=site, device=name)
    return [
        retained(name, "availability", "online", site),
        retained(name, "info", {"model": MODEL, "version": version, "config": {}}, site),
        replace(state, topic=state.topic.replace("/window", "/state"), retain=True),
        retained(name, "health", health, site),
    ]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path_factory.mktemp("broker"), autosave="")
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def page(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """With many devices, of which some are not well."""
    texts = []
    for number in range(MANY):
        version = "1.1.9" if number == OLD else "1.2.0"
        texts += messages(number, FINE, version)
    publish_fast(broker, texts)
    dashboard = Dashboard(tmp_path_factory.mktemp("d"), f"mqtt://127.0.0.1:{broker.port}")
    dashboard.start()
    driver = open_chromium("--window-size=1280,900")
    try:
        yield Page(driver, dashboard.url)
    finally:
        driver.quit()
        assert dashboard.stop() == 0


def listed(page: Page) -> list[list[str]]:
    """Name and states of each row, the first first."""
    return list(page.run(
        "return [...document.querySelectorAll('#fleet-rows tr')]"
        ".map(row => [row.dataset.device, row.dataset.states])"
    ))  # fmt: skip


def open_fleet(page: Page, words: str = "") -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{page.url}#fleet{words}")


def test_many_devices_are_there_at_once(page: Page) -> None:
    wait_for(lambda: status_count(page) == MANY, "not all devices")
    open_fleet(page)
    wait_for(lambda: len(listed(page)) == MANY, "not all rows")
    assert page.text("fleet-summary").startswith("200 devices: 1 out of date \N{MIDDLE DOT} 199 ")
    assert listed(page)[0] == ["site-00/device-0100", "outdated"]
    assert page.run("return document.documentElement.scrollWidth") <= 1280


def status_count(page: Page) -> int:
    open_fleet(page)
    wait_for(lambda: page.text("fleet-summary"), "the summary stays empty")
    return len(listed(page))


def test_the_worst_come_first_as_it_happens(page: Page, broker: Mosquitto) -> None:
    open_fleet(page)
    wait_for(lambda: len(listed(page)) == MANY, "not all rows")
    publish(
        broker, *messages(3, FINE | {"camera": "lost"})[-1:],
        *messages(4, FINE | {"temperature_c": 88})[-1:],
    )  # fmt: skip
    wait_for(
        lambda: listed(page)[:3] == [
            ["site-03/device-0003", "camera"], ["site-04/device-0004", "hot"],
            ["site-00/device-0100", "outdated"],
        ], "not the worst first",
    )  # fmt: skip
    row = page.run("return document.querySelector('#fleet-rows tr').innerText").split("\t")
    assert row[0] == "device-0003 site-03"
    assert row[1:] == ["camera lost", row[2], "100 %", "50 °C", "0", "1.2.0"]
    assert row[2].endswith("s ago")
    page.driver.find_element(By.ID, "to-numbers").click()
    wait_for(lambda: not page.shows("#fleet"), "the fleet stays")
    page.wait_for("devices", "1 camera lost")
    assert len(page.lights()) == 3, "only those to look after have a light of their own"
    publish(broker, *messages(3, FINE)[-1:], *messages(4, FINE)[-1:])


def test_a_site_and_a_state_are_chosen_by_keyboard(page: Page) -> None:
    open_fleet(page)
    wait_for(lambda: len(listed(page)) == MANY, "not all rows")
    Select(page.driver.find_element(By.ID, "fleet-site")).select_by_value("site-00")
    wait_for(lambda: len(listed(page)) == MANY // 20, "other sites are listed")
    state = page.driver.find_element(By.ID, "fleet-state")
    state.send_keys("out")
    wait_for(lambda: listed(page) == [["site-00/device-0100", "outdated"]], "not chosen")
    assert page.text("fleet-listed") == "1 listed"
    assert page.driver.current_url.endswith("#fleet&site=site-00&state=outdated")
    page.driver.refresh()
    wait_for(lambda: listed(page) == [["site-00/device-0100", "outdated"]], "forgotten")
    link = page.driver.find_element(By.CSS_SELECTOR, "#fleet-rows a")
    link.send_keys(Keys.ENTER)
    wait_for(lambda: "device=site-00%2Fdevice-0100" in page.driver.current_url, "no link")
    assert page.shows("#time")


def test_it_is_a_table_for_a_screen_reader(page: Page) -> None:
    open_fleet(page)
    wait_for(lambda: len(listed(page)) == MANY, "not all rows")
    heads = page.run(
        "return [...document.querySelectorAll('#fleet-table thead th')].map(h => h.scope)"
    )
    assert heads == ["col"] * 7
    assert page.run("return document.querySelector('#fleet-rows th').scope") == "row"
    assert page.run("return document.querySelector('#fleet-table caption').textContent")
    for select in ("fleet-site", "fleet-state"):
        assert page.run(f"return document.getElementById('{select}').labels.length") == 1
    assert page.run("return document.querySelector('#views [aria-current]').id") == "to-fleet"
    # a row that moves keeps the focus
    page.run("document.querySelector('#fleet-rows tr:nth-child(5) a').focus()")
    page.run("const rows = [...document.getElementById('fleet-rows').children];"
             "arrange(document.getElementById('fleet-rows'), rows.reverse())")  # fmt: skip
    assert page.run("return document.activeElement.closest('tr') !== null")


def test_it_fits_a_phone(page: Page) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    open_fleet(page, "&state=outdated")
    wait_for(lambda: len(listed(page)) == 1, "not listed")
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    entries: list[dict[str, str]] = page.driver.get_log("browser")  # type: ignore[no-untyped-call]  # Selenium
    assert [json.dumps(entry) for entry in entries if entry["level"] == "SEVERE"] == []
