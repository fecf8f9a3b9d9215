"""`edge audit` in a real browser: the people of the clip are tapped, and the error is reported."""

import itertools
import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from edge.audit.command import audit
from edge.config import load_config
from edge.errors import SourceError
from edge.sources.open import open_frames
from edge.types import Frames
from tests.support.chromium import open_chromium
from tests.support.commands import NO_ESTIMATES, wait_for
from tests.support.pages import serving
from tests.support.paths import CLIP

REPORT = """\
people    2 tapped, 2 counted
missed    0 of 2: 0.0 % (95 % interval 0.0 to 65.8 %)
invented  0 of 2: 0.0 % (95 % interval 0.0 to 65.8 %)
women     1 tapped, 1 counted; of those alone right 0 of 0
men       1 tapped, 1 counted; of those alone right 0 of 0
unknown   of those alone 0 of 0
"""


def test_people_are_tapped_and_the_error_is_reported(
    configure: Callable[..., Path], tmp_path: Path
) -> None:
    driver = open_chromium("--window-size=420,900")
    try:
        with serving("audit", tmp_path, "--config", configure(), "--source", CLIP) as viewer:
            driver.get(viewer.address)
            woman, man, unsure = driver.find_elements(By.CSS_SELECTOR, "[data-label]")
            wait_for(woman.is_displayed, "the page does not begin")
            for button in (woman, man, unsure):
                button.click()
                wait_for(lambda b=button: b.text.endswith("1"), "the tap is not shown")  # type: ignore[misc]  # the default is the argument
            driver.find_element(By.ID, "undo").click()
            wait_for(lambda: unsure.text.endswith("0"), "the tap is not taken back")
            # the clip ends, and with it the audit
            result = driver.find_element(By.ID, "report")
            wait_for(result.is_displayed, "there is no report")
            shown = [row.text for row in result.find_elements(By.CSS_SELECTOR, "dt, dd")]
            assert shown == [
                part for line in REPORT.splitlines() for part in line.split(maxsplit=1)
            ]
            assert viewer.process.wait(20) == 0
            assert viewer.log.read_text().endswith(REPORT)
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]  # Selenium
    finally:
        driver.quit()


def test_the_page_shows_neither_pictures_nor_counts_before_the_end(
    configure: Callable[..., Path], tmp_path: Path
) -> None:
    options = ("--config", configure(classifier={"gender": False}), "--source", CLIP)
    with serving("audit", tmp_path, *options) as viewer:
        start = viewer.enter()
        assert start["gender"] is False
        assert 800 < start["seconds"] <= 900
        assert all(view.keys() == {"seq"} for view in viewer.views(5))
        for label in ("woman", "", None):
            status, content, _ = viewer.request("POST", "/tap", {"label": label})
            assert (status, "must be female, male" in json.loads(content)["error"]) == (400, True)
        assert viewer.ask("/tap", {"label": "unknown"})["tapped"] == {
            "female": 0, "male": 0, "unknown": 1,
        }  # fmt: skip
        viewer.ask("/end", {})
        wait_for(lambda: "report" in viewer.views(1)[0], "there is no report")
        viewer.ask("/received", {})
        assert viewer.process.wait(20) == 0
    printed = viewer.log.read_text().splitlines()[-3:]
    assert printed[0].startswith("people    1 tapped, ")
    assert printed[2].startswith("invented  ")


@pytest.mark.usefixtures("own_signals")
def test_what_was_found_out_before_the_camera_was_lost_is_reported(
    configure: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def frames(*_: object, **__: object) -> Frames:
        yield from itertools.islice(open_frames(str(CLIP)), 60)
        raise SourceError("camera: gives no more frames")

    monkeypatch.setattr("edge.wiring.frames", frames)
    monkeypatch.setattr("edge.audit.command.RECEIVED_S", 0)
    path = configure(classifier=NO_ESTIMATES)
    with pytest.raises(SourceError, match="gives no more frames"):
        audit(load_config(path, source="auto"), Namespace(config=path, port=0, minutes=1))
    assert "people    0 tapped, 2 counted" in capsys.readouterr().out
