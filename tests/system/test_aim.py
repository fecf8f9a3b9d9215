"""`edge aim` as it is used: asked over HTTP, and in a real browser."""

import argparse
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.command import Command
from selenium.webdriver.remote.webelement import WebElement

from edge.__main__ import main
from edge.aim.command import aim
from edge.config import load_config
from edge.errors import ConfigError, SourceError
from tests.support.broker import Mosquitto, Subscriber
from tests.support.chromium import open_chromium
from tests.support.commands import NO_ESTIMATES, wait_for
from tests.support.pages import Viewer, serving
from tests.support.paths import CLIP
from tests.system.test_reload import Daemon

Configure = Callable[..., Path]
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    folder = tmp_path_factory.mktemp("aim")
    config = folder / "config.yaml"
    # a model for gender need not exist
    config.write_text(yaml.safe_dump({"classifier": NO_ESTIMATES, "detector": {"min_face_px": 30}}))
    with serving("aim", folder, "--config", config, "--source", CLIP) as viewer:
        yield viewer


def test_who_does_not_have_the_token_sees_nothing(viewer: Viewer) -> None:
    for path in ("/view", "/view?after=0"):
        assert viewer.request("GET", path)[0] == 403
    for path in ("/zones", "/save", "/end", "/start"):
        assert viewer.request("POST", path, {})[0] == 403
    assert viewer.request("POST", "/viewer", {"token": "wrong"})[0] == 403
    assert viewer.request("POST", "/viewer", {})[0] == 403
    assert viewer.token not in "".join(map(repr, viewer.received))


def test_only_its_own_page_may_ask(viewer: Viewer) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for method, path in (("GET", "/"), ("POST", "/viewer"), ("GET", "/view")):
            values = {"token": viewer.token} if method == "POST" else None
            assert viewer.request(method, path, values, **headers)[0] == 403
    # through a tunnel the port is another one
    assert viewer.request("GET", "/", Host="localhost:9000")[0] == 200


def test_the_page_asks_nobody_else_and_is_not_kept(viewer: Viewer) -> None:
    for path in ("/", "/page.css", "/viewer.js", "/aim.css", "/aim.js", "/zones.js"):
        status, content, headers = viewer.request("GET", path)
        assert status == 200
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        addresses = re.findall(rb"https?://[^\s\"']+", content)
        assert set(addresses) <= {b"http://www.w3.org/2000/svg"}
        assert b" style=" not in content
        assert headers["Server"] == "edge-tally"
    for path in ("/../command.py", "/aim.html", "/favicon.ico", "//x"):
        assert viewer.request("GET", path)[0] == 404
    assert viewer.request("PUT", "/")[0] == 501


def test_what_is_no_request_is_refused(viewer: Viewer) -> None:
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 60000):
        with socket.create_connection(("127.0.0.1", viewer.port), 20) as connection:
            head = (
                f"POST /viewer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            assert connection.recv(4096).split()[1] == b"400"
    for length in ("", "-1", "x", "99999999999999999999", "70000"):
        assert viewer.request("POST", "/viewer", None, **{"Content-Length": length})[0] == 413


def test_a_view_has_what_the_camera_needs_to_be_aimed(viewer: Viewer) -> None:
    start = viewer.enter()
    assert viewer.request("POST", "/viewer", {"token": viewer.token})[0] == 403
    assert start["zones"] == {"region": None, "excluded": []}
    assert start["writes"] is None
    assert not start["full_picture"]
    assert 500 < start["seconds"] <= 600
    began = time.monotonic()
    views = viewer.views(13)
    # a recording is shown at its own pace: 12.5 frames per second
    assert time.monotonic() - began > 0.75
    assert [view["seq"] for view in views] == sorted({view["seq"] for view in views})
    view = views[-1]
    assert view["size"] == [480, 270]
    assert view["smallest_px"] == 30
    assert view["light"] > start["limits"]["light"]["good"]
    assert view["sharpness"] > 0
    assert view["lines"], "the skirting is a long line"
    assert view["picture"].startswith("data:image/png;base64,")


def test_who_walks_past_is_counted_and_zones_leave_out(viewer: Viewer) -> None:
    if viewer.key is None:
        viewer.enter()
    seen: list[Any] = []

    def counted(number: int) -> bool:
        seen.extend(viewer.views(1))
        return bool(seen[-1]["counted"] == number)

    wait_for(lambda: counted(2), "the two people of the clip are not counted")
    faces = [face for view in seen for face in view["faces"]]
    assert {"new", "person"} <= {face["state"] for face in faces}
    assert all(face["px"] >= 25 for face in faces)
    for face in faces:
        x, y, w, h = face["box"]
        assert w * 480 == pytest.approx(face["px"], abs=0.6)
        assert -0.1 < x < 1
        assert 0 < y < 1
        assert h > 0

    # zones are in force at once, and counting begins again
    answer = viewer.ask("/zones", {"region": LEFT_HALF, "excluded": []})
    expected = {"zones": {"region": LEFT_HALF, "excluded": []}}
    assert yaml.safe_load(answer["yaml"]) == expected
    wait_for(lambda: counted(0), "the counting test does not begin again")
    seen.clear()

    def both() -> bool:
        """Whether two faces were shown, and so the clip's two people are in view."""
        seen.extend(viewer.views(1))
        return any(len(view["faces"]) == 2 for view in seen)

    wait_for(both, "no faces are shown in the left half")
    inside = [face["box"] for view in seen for face in view["faces"]]
    assert all(x + w / 2 <= 0.5 for x, _, w, _ in inside)
    assert viewer.ask("/start", {})["zones"] == expected["zones"]


def test_zones_with_mistakes_change_nothing(viewer: Viewer) -> None:
    if viewer.key is None:
        viewer.enter()
    before = viewer.ask("/start", {})["zones"]
    for values, words in (
        ({"region": [[0, 0], [1, 1]]}, "must be 3 to 100 corners"),
        ({"region": [[0, 0], [1, 0], [1, 1.5]]}, "region"),
        ({"regions": None}, "unknown key"),
        ({"excluded": "all"}, "must be a list"),
    ):
        status, content, _ = viewer.request("POST", "/zones", values)
        assert status == 400
        assert words in json.loads(content)["error"]
    status, content, _ = viewer.request("POST", "/save", {})
    assert status == 400
    assert "--write" in json.loads(content)["error"]
    assert viewer.ask("/start", {})["zones"] == before


def test_zones_are_drawn_saved_and_the_page_ended_in_a_browser(
    configure: Configure, tmp_path: Path
) -> None:
    config = configure(classifier=NO_ESTIMATES)
    config.write_text(config.read_text() + "zones:  # kept\n  region: null  # why\n")
    options = ("--config", config, "--source", CLIP, "--write")
    driver = open_chromium("--window-size=1300,1000")
    try:
        with serving("aim", tmp_path, *options) as viewer:
            driver.get(viewer.address)

            def part(name: str) -> WebElement:
                return driver.find_element(By.ID, name)

            wait_for(lambda: part("picture").is_displayed(), "no picture is shown")
            assert viewer.token not in driver.current_url
            overlay = part("overlay")
            width, height = overlay.size["width"], overlay.size["height"]

            def drag(from_x: float, from_y: float, to_x: float, to_y: float) -> None:
                def at(x: float, y: float) -> tuple[int, int]:
                    return round((x - 0.5) * width), round((y - 0.5) * height)

                mouse = ActionChains(driver, duration=20)
                mouse.move_to_element_with_offset(overlay, *at(from_x, from_y)).click_and_hold()
                mouse.move_to_element_with_offset(overlay, *at(to_x, to_y)).release().perform()

            def zones() -> Any:
                return yaml.safe_load(part("yaml").text)["zones"]

            part("add-region").click()
            drag(0.1, 0.2, 0.9, 0.95)
            wait_for(lambda: zones()["region"], "the region is not in the YAML")
            assert zones()["region"][0] == pytest.approx([0.1, 0.2], abs=0.01)
            drag(0.9, 0.95, 0.7, 0.8)  # a corner of the zone just drawn
            wait_for(lambda: zones()["region"][2][0] < 0.75, "the corner does not follow")
            assert zones()["region"][2] == pytest.approx([0.7, 0.8], abs=0.01)

            def swipe(from_x: float, from_y: float, to_x: float, to_y: float) -> None:
                ways = ((from_x, from_y), ((from_x + to_x) / 2, (from_y + to_y) / 2), (to_x, to_y))
                touch(driver, overlay, [((x - 0.5) * width, (y - 0.5) * height) for x, y in ways])

            # a finger
            part("add-excluded").click()
            swipe(0.2, 0.3, 0.4, 0.5)
            wait_for(lambda: zones()["excluded"], "no zone by a finger")
            assert zones()["excluded"][0][0] == pytest.approx([0.2, 0.3], abs=0.01)
            swipe(0.4, 0.5, 0.45, 0.6)
            wait_for(lambda: zones()["excluded"][0][2][0] > 0.42, "the corner does not follow")
            assert zones()["excluded"][0][2] == pytest.approx([0.45, 0.6], abs=0.01)

            # the keyboard alone
            part("add-excluded").send_keys(Keys.ENTER)
            wait_for(lambda: len(zones()["excluded"]) == 2, "no zone without a mouse")
            before = zones()["excluded"][1][0]
            # the zone has the focus, its first corner comes next
            ActionChains(driver).send_keys(Keys.TAB, Keys.ARROW_LEFT, Keys.ARROW_LEFT).perform()
            wait_for(lambda: zones()["excluded"][1][0] != before, "the corner does not move")
            time.sleep(0.3)  # zones are tried a moment after the last key
            assert zones()["excluded"][1][0] == pytest.approx([before[0] - 0.02, before[1]])

            drawn = zones()
            part("save").click()
            wait_for(lambda: "Saved in" in part("yaml-note").text, "the zones are not saved")
            assert load_config(config, source="demo").zones.model_dump(mode="json") == drawn
            text = config.read_text()
            assert "# kept" in text
            assert "# why" in text

            # a reload goes on; so would the person who pressed the key by mistake
            driver.refresh()
            wait_for(lambda: part("picture").is_displayed(), "a reload shows nothing")
            assert zones() == drawn
            hosts = {url.split("/")[2] for url in asked(driver) if url.startswith("http")}
            assert hosts == {f"127.0.0.1:{viewer.port}"}

            part("end").click()
            assert viewer.process.wait(20) == 0
            assert zones_printed(viewer.log.read_text()) == drawn
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]  # Selenium
    finally:
        driver.quit()


def touch(driver: Any, element: WebElement, places: Sequence[tuple[float, float]]) -> None:
    """Let a finger down at the first of the places, pixels from the element's middle, and drag."""
    begin, *ways = [
        {"type": "pointerMove", "origin": element, "x": round(x), "y": round(y), "duration": 20}
        for x, y in places
    ]
    down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
    finger = {
        "type": "pointer", "id": "finger", "parameters": {"pointerType": "touch"},
        "actions": [begin, down, *ways, up],
    }  # fmt: skip
    driver.execute(Command.W3C_ACTIONS, {"actions": [finger]})


def asked(driver: Any) -> list[str]:
    """Every address that the browser asked for."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in sent
        if message["method"] == "Network.requestWillBeSent"
    ]


def zones_printed(log: str) -> Any:
    return yaml.safe_load(log.split("ended\n")[1])["zones"]


def test_a_daemon_lends_its_camera_and_takes_up_the_zones(
    configure: Configure,
    mosquitto: Mosquitto,
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> None:
    mosquitto.start()
    dashboard = subscribe(mosquitto.port, "tally/#")
    config = configure(
        source="demo", classifier=NO_ESTIMATES, health={"seconds": 1},
            # a window that is withheld for too few people would go on while the camera is lent
            privacy={"min_people": 1}, window={"seconds": 1},
        mqtt={"host": "127.0.0.1", "port": mosquitto.port},
    )  # fmt: skip

    def newest(kind: str) -> Any:
        return json.loads((dashboard.payloads(kind) or ["{}"])[-1])

    daemon = Daemon(config, tmp_path / "daemon.log")
    try:
        wait_for(lambda: newest("state").get("coverage", 0) > 0.5, "it does not count")
        with serving("aim", tmp_path, "--config", config, "--write") as viewer:
            assert "as soon as this page has ended" in viewer.enter()["reload"]
            viewer.views(2)
            wait_for(lambda: newest("state")["coverage"] == 0, "the coverage is no lower")
            wait_for(lambda: newest("health")["camera"] == "resting", "the camera stays open")
            viewer.ask("/zones", {"region": LEFT_HALF, "excluded": []})
            viewer.ask("/save", {})
            viewer.ask("/end", {})
            assert viewer.process.wait(20) == 0
        wait_for(daemon.said("configuration reloaded"), "the zones are not read")
        wait_for(lambda: newest("state")["coverage"] > 0.5, "it does not go on")
        assert newest("info")["config"]["zones"]["region"] == LEFT_HALF
        daemon.process.terminate()
        assert daemon.process.wait(20) == 0
    finally:
        daemon.process.kill()
        daemon.process.wait()
    windows = [json.loads(payload) for payload in dashboard.payloads("window")]
    assert [window["seq"] for window in windows] == [*range(1, len(windows) + 1)]


def arguments(
    config: Path, port: int = 0, minutes: float = 1, *, write: bool = False
) -> argparse.Namespace:
    return argparse.Namespace(
        config=config, port=port, minutes=minutes, write=write, full_picture=False
    )


@pytest.mark.usefixtures("own_signals")
def test_it_ends_by_itself(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    path = configure(classifier=NO_ESTIMATES)
    assert aim(load_config(path, source=str(CLIP)), arguments(path, minutes=0.005)) == 0
    printed = capsys.readouterr().out
    assert "after 0.005 minutes" in printed
    assert printed.endswith("ended\n")


@pytest.mark.usefixtures("own_signals")
def test_a_camera_that_is_away_or_taken_names_the_daemon(configure: Configure) -> None:
    path = configure(classifier=NO_ESTIMATES)
    with pytest.raises(SourceError, match="video77: does not exist") as error:
        aim(load_config(path, source="v4l2:/dev/video77"), arguments(path))
    assert error.value.exit_code == 1
    assert "sudo systemctl stop edge-tally" in str(error.value)
    assert "sudo systemctl start edge-tally" in str(error.value)


def test_a_port_that_is_taken_is_named(configure: Configure) -> None:
    path = configure()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port} .Address already in use"):
            aim(load_config(path, source="demo"), arguments(path, port))


def test_a_camera_that_is_to_stay_closed_is_not_opened(configure: Configure) -> None:
    for keys in ({"paused": True}, {"quiet_hours": ["00:00-12:00", "12:00-00:00"]}):
        path = configure(**keys)
        with pytest.raises(
            ConfigError, match=rf"config\.yaml: {next(iter(keys))}: keeps the camera"
        ):
            aim(load_config(path, source="demo"), arguments(path))


def test_a_configuration_that_cannot_be_written_is_named(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configure()
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ConfigError, match=r"config\.yaml: cannot be written by this user"):
        aim(load_config(path, source="demo"), arguments(path, write=True))


@pytest.mark.parametrize(
    "options", [("--minutes", "0"), ("--minutes", "nan"), ("--minutes", "ten"), ("--port", "70000")]
)
def test_a_wrong_option_is_named(
    options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["aim", *options])
    assert ended.value.code == 2
    assert f"argument {options[0]}: must be" in capsys.readouterr().err
