"""The workstation's smaller tools, run as their users run them."""

from pathlib import Path

from conftest import tool

from edge.scene import PEOPLE


def test_composites(shared: Path, few_faces: Path, tmp_path: Path) -> None:
    run = tool(
        "composites", "--data", shared / "datasets" / "utkface.zip", "--out", tmp_path / "out"
    )
    assert run.returncode == 0, run.stderr
    made = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert made == {file.name: file.read_bytes() for file in PEOPLE.iterdir()}
    run = tool("composites", "--data", few_faces, "--out", tmp_path / "few")
    assert run.returncode == 2
    assert "40 are needed for one composite" in run.stderr
    run = tool("composites", "--data", few_faces, "--number", "3")
    assert run.returncode == 2
    assert "may still resemble somebody" in run.stderr


def test_bench_tells_about_a_clip(clips: Path) -> None:
    clip = clips / "face-demographics-walking.gif"
    run = tool("bench", clip, "--memory", "3")
    assert run.returncode == 0, run.stderr
    assert {line.split()[0] for line in run.stdout.splitlines()} >= {
        "machine", "speed", "detect", "classify", "rest", "model", "memory",
    }  # fmt: skip
    assert tool("replay", "none.mp4").returncode == 2
