"""The smaller tools, run as users run them."""

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import ConfigError
from edge.sources.demo import PEOPLE
from edge.sources.recordings import open_file
from edge.types import Image
from edge.vision.classifier import Classifier, Predictions
from tests.support import preloaded
from tests.support.commands import tool
from tests.support.paths import CLIP, MODEL, ROOT
from tests.support.recordings import write_video
from tools import latency


def test_composites(shared: Path, tmp_path: Path) -> None:
    run = tool(
        "composites", "--data", shared / "datasets" / "utkface.zip", "--out", tmp_path / "out"
    )
    assert run.returncode == 0, run.stderr
    composites = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert composites == {file.name: file.read_bytes() for file in PEOPLE.iterdir()}


def test_composites_of_too_few_faces(few_faces: Path, tmp_path: Path) -> None:
    run = tool("composites", "--data", few_faces, "--out", tmp_path / "few")
    assert run.returncode == 2
    assert "a composite needs 40" in run.stderr
    run = tool("composites", "--data", few_faces, "--number", "3")
    assert run.returncode == 2
    assert "faces may resemble somebody" in run.stderr
    run = tool("composites", "--data", few_faces, "--out", few_faces.with_suffix(".csv"))
    assert run.returncode == 2
    assert "cannot be made (File exists)" in run.stderr.splitlines()[-1]


def test_bench_measures_a_clip_and_compares_with_an_earlier_run(tmp_path: Path) -> None:
    run = tool("bench", CLIP, "--json")
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    speed = figures["speed"]
    assert speed["people"] == 2
    assert speed["ratio"] == pytest.approx(speed["cpu_ms"] / speed["plain_ms"], rel=0.01)
    detect = speed["stages"]["detect"]
    assert 0 < detect["p50"] <= detect["p95"] <= detect["p99"]
    assert figures["command"] == [str(CLIP), "--json"]
    speed["peak_mb"] = 1.0
    (tmp_path / "old.json").write_text(json.dumps(figures))

    begin = tmp_path / "begin.mp4"
    write_video(begin, (frame.image for frame in itertools.islice(open_file(CLIP), 15)))
    run = tool("bench", begin, "--memory", "3", "--compare", tmp_path / "old.json")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert {line.split()[0] for line in lines} >= {
        "machine", "speed", "detect", "classify", "rest", "model", "memory",
    }  # fmt: skip
    compared = [line for line in lines if line.startswith("compared")]
    assert len(compared) == 3
    assert "peak_mb   1.00 -> " in compared[-1]


def test_wrong_options_of_bench_and_replay() -> None:
    assert tool("replay", "none.mp4").returncode == 2
    assert tool("bench", CLIP, "--memory", "-1", timeout_s=120).returncode == 2


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"speed": {"ratio": "x"}}'])
def test_bench_names_a_file_without_figures(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "old.json"
    if text is not None:
        file.write_text(text)
    run = tool("bench", CLIP, "--compare", file)
    assert run.returncode == 2
    assert f"{file}: has no figures of tools/bench.py --json" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("args", [["none.tflite"], [MODEL, "--crops", "none.npy"]])
def test_latency_names_what_is_missing(args: list[str | Path]) -> None:
    run = tool("latency", *args)
    assert run.returncode == 2
    assert "No such file" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "content", [b"no array", b"", np.zeros((2, 128, 128, 3)), np.zeros((0, 128, 128, 3), np.uint8)]
)
def test_latency_names_a_file_without_crops(
    tmp_path: Path, content: bytes | npt.NDArray[Any]
) -> None:
    file = tmp_path / "crops.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)
    with pytest.raises(ConfigError, match=r"--crops .*crops\.npy: (is no|must hold)"):
        latency.read_crops(file)


def test_latency_names_crops_of_another_size(tmp_path: Path) -> None:
    np.save(tmp_path / "crops.npy", np.zeros((2, 64, 64, 3), np.uint8))
    run = tool("latency", MODEL, "--crops", tmp_path / "crops.npy")
    assert run.returncode == 2
    assert "latency: --crops: must be (128, 128, 3) for this model, not (64, 64, 3)" in run.stderr


def test_a_slow_model_is_timed_on_fewer_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    called: Counter[Classifier] = Counter()

    class Counted(Classifier):
        def __call__(self, crops: Iterable[Image]) -> Predictions:
            called[self] += 1
            return super().__call__(crops)

    monkeypatch.setattr(latency, "ENOUGH_S", 0.0)
    monkeypatch.setattr(latency, "Classifier", Counted)
    crops = np.zeros((3, 128, 128, 3), np.uint8)
    assert any("ms on 1" in line for line in latency.measure(MODEL, crops))
    assert set(called.values()) == {2 * latency.WARM_UP_CALLS}


@pytest.mark.parametrize(
    ("name", "option"),
    [("live", "--save"), ("replay", "--save"), ("predict", "--save"), ("predict", "--csv")],
)
def test_inputs_are_not_overwritten(tmp_path: Path, name: str, option: str) -> None:
    file = tmp_path / "person.jpg"
    file.write_bytes(min(PEOPLE.glob("*.jpg")).read_bytes())
    before = file.read_bytes()
    run = tool(name, file, option, tmp_path / "." / "person.jpg")
    assert run.returncode == 2
    assert (
        "person.jpg: would replace what is read; name another file" in run.stderr.splitlines()[-1]
    )
    assert file.read_bytes() == before


def start(*args: str | Path) -> subprocess.Popen[str]:
    return preloaded.Popen(
        [sys.executable, *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_a_tool_with_one_line() -> None:
    # OpenCV is at work in a long call, or between two of them
    with start("-u", "tools/replay.py", *[CLIP] * 50) as run:
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=10)
    assert run.returncode == 130
    assert errors.splitlines()[-1] == "replay: stopped"
    assert "Traceback" not in errors


def test_output_that_nobody_reads() -> None:
    with start("tools/predict.py", *PEOPLE.glob("*.jpg")) as run:
        assert run.stdout is not None
        run.stdout.close()
        assert run.stderr is not None
        errors = run.stderr.read()
    assert run.returncode == 0
    assert "Traceback" not in errors
    assert "Exception" not in errors
