"""One command from a data set of FairFace's shape to a model that the daemon runs."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.errors import ConfigError
from tests.support import fairface, preloaded
from tests.support.commands import tool, wait_for
from tests.support.paths import ROOT
from tools import make_model
from tools.cli import stages
from tools.cli.stages import StageError

TRAIN, VAL = 160, 40
EPOCHS = 20
"""Enough for a small network to tell the demo's people apart, and to be killed among them."""
Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "fairface"
    fairface.write(folder, TRAIN, VAL)
    return folder


@pytest.fixture
def make(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own_signals: None
) -> Callable[..., Run]:
    """The tool in this process, which can fork its stages from those that have TensorFlow."""
    forking = SimpleNamespace(Popen=preloaded.Popen, PIPE=subprocess.PIPE)
    monkeypatch.setattr(stages, "subprocess", forking)

    def run(*args: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["make_model.py", *args])
        code = make_model.main()
        return Run(args, code, *capfd.readouterr())

    return run


def stages_of(run: Run) -> list[str]:
    """The tools that ran."""
    return re.findall(r"^\$ python tools/(\w+)\.py", run.stdout, re.MULTILINE)


def epochs(log: Path) -> int:
    return max(0, len(log.read_text().splitlines()) - 1) if log.exists() else 0


def is_free(folder: Path) -> bool:
    try:
        with stages.locked(folder):
            return True
    except ConfigError:
        return False


def kill_after_an_epoch(out: Path, command: list[str]) -> None:
    """Run a command that trains, and kill it and all that it started."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            wait_for(lambda: epochs(out / "gender.csv") >= 1, "no epoch ended", 600)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    wait_for(lambda: is_free(out), "the killed training did not end")


def test_a_killed_run_continues_to_a_model_that_the_daemon_runs(
    data: Path, make: Callable[..., Run], tmp_path: Path, configure: Callable[..., Path]
) -> None:
    out = tmp_path / "model"
    fairface.write(tmp_path / "second", 60, 20, seed=2)
    other = shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "second")
    args = ["--data", str(data), "--data", other, "--out", str(out)]
    args += ["--arch", "ann48", "--epochs", str(EPOCHS)]
    terms = ["--terms", "CC BY 4.0"]
    kill_after_an_epoch(out, [sys.executable, "tools/make_model.py", *args, *terms])
    assert not (out / "gender.keras").exists()
    faces = (out / "faces.npz").stat()
    done = epochs(out / "gender.csv")

    run = make(*args, *terms)
    assert run.returncode == 0, run.stderr
    assert stages_of(run) == ["train", "quantize", "calibrate", "evaluate", "evaluate"]
    assert " --resume\n" in run.stdout
    assert f"Epoch {done + 2}/{EPOCHS}" in run.stdout
    assert f"Epoch {done - 1}/" not in run.stdout  # one epoch at most is done again
    # only the test pictures were searched in addition
    assert (out / "faces.npz").stat().st_size < 1.5 * faces.st_size

    page = (out / "MODEL_CARD.md").read_text()
    assert "Terms: CC BY 4.0" in page
    assert str(tmp_path) not in page
    for evaluation, pictures in zip(sorted(out.glob("evaluation-*.json")), (VAL, 20), strict=True):
        figures = json.loads(evaluation.read_text())
        assert figures["split"] == "test"
        assert figures["n"] == round(pictures * figures["detection_rate"])
        assert f"| all faces | {figures['n']} | {100 * figures['accuracy']:.1f} % |" in page
    for words in (
        "| fairface | fairface | 1", "| other.zip | fairface | ", "| labelled female |",
        "| aged 20-39 |", "| ethnicity White |",
        "Women minus men: ", "right or an adjacent group", "## int8 against float",
        "python tools/train.py --data fairface --data other.zip ", "model: path/to/gender.tflite",
    ):  # fmt: skip
        assert words in page, words

    check = subprocess.run(
        [
            sys.executable, "-m", "edge", "check", "--source", "demo", "--config",
            configure(classifier={"model": str(out / "gender.tflite"), "age": True}),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "gender-age-ann48@" in check.stdout
    assert re.search(r"^ok +model", check.stdout, re.MULTILINE), check.stdout

    before = {file.name: file.stat().st_mtime_ns for file in out.iterdir()}
    run = make(*args, *terms)
    assert run.returncode == 0, run.stderr
    assert stages_of(run) == []
    assert run.stdout.count("is complete") == 6
    before.pop(".lock")
    assert all((out / name).stat().st_mtime_ns == time for name, time in before.items())

    # a folder from before there was calibration stays, too
    for file in (out / "quantized.tflite", out / "quantized.json"):
        file.rename(file.with_name(f"{file.name}.moved"))
    run = make(*args, *terms)
    assert stages_of(run) == []
    for file in (out / "quantized.tflite", out / "quantized.json"):
        file.with_name(f"{file.name}.moved").rename(file)

    run = make(*args, "--size", "64")
    assert run.returncode == 2
    assert f"--size 64: {out / 'gender.keras'} was trained with 48" in run.stderr

    # what is made again takes what is made from it along
    (out / "gender.json").unlink()
    (out / "MODEL_CARD.md").write_text("edited by hand")
    run = make(*args)
    assert run.returncode == 0, run.stderr
    assert stages_of(run) == ["calibrate", "evaluate", "evaluate"]
    assert "fill in the terms" in run.stdout
    assert "**Fill in:**" in (out / "MODEL_CARD.md").read_text()


def test_make_passes_its_options_on(tmp_path: Path) -> None:
    run = subprocess.run(
        [
            "make", "--dry-run", "model", "DATA=one two.zip", f"VENV={tmp_path}", "OUT=out",
            "ARCH=ann48", "SIZE=64", "EPOCHS=1", "ESTIMATE=gender", "TERMS=the owner's, CC BY 4.0",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"START": "not for us"},
    )  # fmt: skip
    lines = run.stdout.replace("\\\n", "").splitlines()
    (command,) = (line for line in lines if "make_model.py" in line)
    assert shlex.split(command)[1:] == [
        "tools/make_model.py", "--data", "one", "--data", "two.zip",
        "--terms", "the owner's, CC BY 4.0", "--out", "out", "--arch", "ann48", "--size", "64",
        "--estimate", "gender", "--epochs", "1",
    ]  # fmt: skip


def test_make_runs_the_tools(data: Path, tmp_path: Path) -> None:
    """`make model` with an environment that has the tools already, up to a mistake."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        link = tmp_path / "venv" / "bin" / name
        link.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        link.chmod(0o755)
    (tmp_path / "venv" / ".tools").touch()
    run = subprocess.run(
        [
            "make", "model", f"DATA={data} {data}", f"VENV={tmp_path / 'venv'}",
            f"OUT={tmp_path / 'model'}", "ARCH=ann48", "EPOCHS=1", "ESTIMATE=gender",
            "START=missing.keras", "TERMS=the owner's, CC BY 4.0",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert run.returncode == 2
    assert "--start missing.keras: " in run.stderr, run.stderr
    assert f"$ python tools/train.py --data {data} --data {data} " in run.stdout
    for option in ("--estimate gender", "--arch ann48", "--epochs 1"):
        assert f"{option} " in run.stdout


def test_make_needs_data() -> None:
    run = subprocess.run(
        ["make", "model"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 2
    assert "make model DATA=path/to/fairface" in run.stderr


def test_mistakes_are_found_before_the_work_begins(data: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "model")
    run = tool("make_model", "--data", tmp_path / "missing", *out)
    assert run.returncode == 2
    assert run.stderr == f"make_model: data {tmp_path / 'missing'}: does not exist\n"

    no_ages = tmp_path / "no-ages"
    shutil.copytree(data, no_ages)
    for table in no_ages.glob("*.csv"):
        table.write_text(re.sub(r"\.jpg,[^,]+,", ".jpg,,", table.read_text()))
    run = tool("make_model", "--data", no_ages, *out)
    assert run.returncode == 2
    assert "has no ages to learn; use --estimate gender" in run.stderr

    run = tool("make_model", "--data", data, *out, "--start", tmp_path / "missing.tflite")
    assert run.returncode == 2
    assert "missing.tflite: must be imagenet, none, or a .tflite or .keras file" in run.stderr
    assert "train.py failed; the same command continues here" in run.stderr
    assert not (tmp_path / "model" / "faces.npz").exists()


def test_one_program_at_a_time(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    with stages.locked(out):
        run = tool("make_model", "--data", data, "--out", out)
    assert run.returncode == 2
    assert f"{out}: another program is at work there" in run.stderr


def test_a_tool_that_outlives_a_killed_run_holds_the_folder(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tools.cli import stages\n"
        "stages.TOOLS = Path(sys.argv[1])\n"
        "with stages.locked(stages.TOOLS): stages.run(['sleep.py'])"
    )
    started = tmp_path / "pid"
    (tmp_path / "sleep.py").write_text(
        f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: started.exists() and started.read_text(), "the tool did not start")
        process.kill()
    try:
        with pytest.raises(Exception, match="another program"), stages.locked(tmp_path):
            pass
    finally:
        os.kill(int(started.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ("raise SystemExit(2)", r"tool\.py failed; the same command continues here", 2),
        ("import os; os.kill(os.getpid(), 9)", r"tool\.py was ended by SIGKILL", 1),
    ],
)
def test_a_stage_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str, code: int
) -> None:
    monkeypatch.setattr(stages, "TOOLS", tmp_path)
    (tmp_path / "tool.py").write_text(f"print('half'); {body}")
    output = tmp_path / "output.json"
    with pytest.raises(StageError, match=message) as caught:
        stages.run(["tool.py"], output)
    assert caught.value.exit_code == code
    assert not output.exists()


def test_a_file_is_complete_if_it_is_not_older_than_its_sources(tmp_path: Path) -> None:
    source, output, other = (tmp_path / name for name in ("source", "output", "other"))
    source.touch()
    assert not stages.is_done([output], [source])
    output.touch()
    os.utime(source, ns=(10, 10))
    os.utime(output, ns=(10, 10))
    assert stages.is_done([output], [source])
    os.utime(source, ns=(11, 11))
    assert not stages.is_done([output], [source])
    assert not stages.is_done([output, other])
