"""The report on the collector's table: corrected totals, and what cannot be corrected."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from collect import STATEMENTS, TABLE

from tests.support.paths import ROOT

REPORT = ROOT / "docs" / "dashboards" / "report.py"
FACES = {
    "female": {"female": 900, "male": 50, "unknown": 50},
    "male": {"female": 50, "male": 900, "unknown": 50},
}
GOOD = {"data": "faces.zip", "split": "test", "min_age": 12, "min_confidence": 0.6, **FACES}
USELESS = GOOD | {"male": FACES["female"]}
MODEL = "m@12345678"
Fill = Callable[..., Path]


def info(device: str = "lobby", model: str = MODEL, **keys: Any) -> tuple[str, dict[str, Any]]:
    return "info", {"device": device, "model": model, **keys}


def window(
    people: dict[str, int], hour: int = 10, device: str = "lobby", model: str | None = MODEL
) -> tuple[str, dict[str, Any]]:
    end = f"2026-11-21T{hour:02}:00:00Z"
    return "window", {
        "site": "store-7", "device": device, "epoch": "6f0c2a7e", "seq": hour,
        "window": {"start": end, "end": end, "seconds": 60.0}, "time_synced": True,
        "replayed": False, "people": people | {"total": sum(people.values())},
        "presence": {"peak": 1, "mean": 1}, "coverage": 1, "totals": {"total": 9}, "model": model,
    }  # fmt: skip


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Write a table as the collector does."""

    def write(*messages: tuple[str, dict[str, Any]]) -> Path:
        file = tmp_path / "windows.db"
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.executescript(TABLE)
            for kind, payload in messages:
                for statement in STATEMENTS[kind]:
                    db.execute(statement, (json.dumps(payload),))
        return file

    return write


def report(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, REPORT, *args], capture_output=True, text=True)


def calls(female: int, male: int, unknown: int) -> dict[str, int]:
    return {"female": female, "male": male, "unknown": unknown}


def test_one_device(fill: Fill) -> None:
    # 400 women and 600 men are called 390 female, 560 male and 50 unknown
    few: tuple[str, dict[str, Any]] = window({}, hour=12)
    few[1]["people"] = {"total": 2}
    file = fill(
        info(confusion=GOOD), window(calls(200, 260, 20)), window(calls(190, 300, 30), 11), few
    )
    run = report(file)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == (
        "lobby\n"
        "  people     1002, 2 of them in windows without genders\n"
        "  called     women 390, men 560, unknown 50\n"
        "  estimated  women 400 (379 to 421), men 600 (579 to 621), of 1000 people\n"
        "  expected   unknown 50, if they were like the test faces\n"
        "  matrix     m@12345678 at min_confidence 0.6: 2000 faces of faces.zip, split test\n"
    )


def test_a_period_and_a_device(fill: Fill) -> None:
    windows = [window(calls(100 * hour, 100, 0), hour) for hour in (9, 10, 11)]
    file = fill(info(confusion=GOOD), *windows, window(calls(7, 7, 7), 10, "door"))
    for options, people in (
        (["--from", "2026-11-21T09:00", "--to", "2026-11-21T10:00"], 1100),  # one that ends at 9
        (["--from", "2026-11-21T10:00+01:00"], 1100 + 1200),  # belongs to the hour before
        (["--to", "2026-11-21T11:00:00Z"], 1000 + 1100 + 1200),
        (["--from", "2026-11-21", "--to", "2026-11-22"], 1000 + 1100 + 1200),
    ):
        run = report(file, "--device", "lobby", *options)
        assert run.stdout.splitlines()[:2] == ["lobby", f"  people     {people}"], options
    run = report(file, "--from", "2026-11-22")
    assert (run.returncode, run.stderr) == (1, f"report: {file}: no such windows\n")
    run = report(file, "--from", "yesterday")
    assert run.returncode == 2
    assert "yesterday: must be like 2026-11-21T09:00" in run.stderr


def test_devices_with_one_matrix_are_corrected_together(fill: Fill) -> None:
    file = fill(
        info("door", confusion=GOOD), info("lobby", confusion=GOOD),
        window(calls(390, 560, 50), device="door"), window(calls(390, 560, 50)),
    )  # fmt: skip
    blocks = report(file).stdout
    assert blocks.count("estimated  women 400 (379 to 421), men 600 (579 to 621)") == 2
    *_, together = blocks.partition("\nall\n")
    (line,) = [line for line in together.splitlines() if "estimated" in line]
    # the people's own chance averages out, the matrix's stays
    assert line == "  estimated  women 800 (765 to 835), men 1200 (1165 to 1235)"
    assert together.count("matrix") == 1


def test_matrices_of_several_models(fill: Fill) -> None:
    file = fill(
        info(confusion=GOOD), info(model="n@12345678", confusion=GOOD),
        window(calls(390, 560, 50)), window(calls(390, 560, 50), 11, model="n@12345678"),
    )  # fmt: skip
    lines = report(file).stdout.splitlines()
    assert "  estimated  women 800 (758 to 842), men 1200 (1158 to 1242)" in lines
    assert [line[:35] for line in lines if "matrix" in line] == [
        "  matrix     m@12345678 at min_conf", "  matrix     n@12345678 at min_conf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([window(calls(390, 560, 50))], "1000 people: no matrix of m@12345678"),
        (
            [info(model="n@12345678", confusion=GOOD), window(calls(390, 560, 50))],
            "1000 people: no matrix of m@12345678",
        ),
        (
            [info(confusion=GOOD), window(calls(390, 560, 50), model=None)],
            "1000 people: no matrix of their model, which was not kept",
        ),
        (
            [info(confusion=USELESS), window(calls(390, 560, 50))],
            "1000 people: the matrix tells women from men no better than chance",
        ),
        (
            [info(confusion=GOOD), window(calls(10, 9, 5))],
            "24 people: fewer than 30 called women or men",
        ),
        # the newest info has no matrix: the certainty or the model's JSON has changed
        (
            [info(confusion=GOOD), info(), window(calls(390, 560, 50))],
            "1000 people: no matrix of m@12345678",
        ),
    ],
)
def test_what_is_not_corrected(
    fill: Fill, messages: list[tuple[str, dict[str, Any]]], reason: str
) -> None:
    run = report(fill(*messages))
    assert run.returncode == 0
    assert "estimated" not in run.stdout
    assert run.stdout.splitlines()[-1] == f"  not corrected: {reason}"


def test_the_rest_is_corrected_all_the_same(fill: Fill) -> None:
    file = fill(
        info(confusion=GOOD), window(calls(390, 560, 50)), window(calls(9, 9, 9), 11, "door")
    )
    lines = report(file).stdout.partition("\nall\n")[2].splitlines()
    assert lines[2].endswith("men 600 (579 to 621), of 1000 people")
    assert lines[0] == "  people     1027"
    assert "  not corrected: 27 people: no matrix of m@12345678" in lines


def test_only_windows_without_genders(fill: Fill) -> None:
    few = window({})
    few[1]["people"] = {"total": 2}
    assert report(fill(info(confusion=GOOD), few)).stdout.splitlines() == [
        "lobby",
        "  people     2, 2 of them in windows without genders",
        "  called     women 0, men 0, unknown 0",
    ]


def test_files_that_are_no_collectors(tmp_path: Path) -> None:
    run = report(tmp_path / "none.db")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == f"report: {tmp_path}/none.db: unable to open database file\n"
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("windows" * 1000)
    run = report(tmp_path / "text.db")
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.execute("CREATE TABLE windows (device TEXT)")
    run = report(tmp_path / "old.db")
    assert run.returncode == 2
    assert run.stderr.endswith("; start collect.py once, it adds what is missing\n")
