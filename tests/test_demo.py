"""`make demo`: a broker from a Python package, the daemon, and a subscriber that shows windows."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from conftest import ROOT, wait_for


def processes() -> set[str]:
    """Command lines of this machine's processes that belong to a demo."""
    lines = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "edge-tally-" in line:
            lines.add(line)
    return lines


def test_demo_counts_what_walks_past_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    others = processes()
    log = tmp_path / "log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "tools/demo.py", "--source", "demo"],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )
    try:
        wait_for(lambda: log.read_text().count("counted") >= 2, "no windows", timeout_s=60)
        os.killpg(demo.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        begin = time.monotonic()
        assert demo.wait(20) == 0, log.read_text()
        assert time.monotonic() - begin < 10
    finally:
        demo.kill()
        demo.wait()
    text = log.read_text()
    assert "Traceback" not in text
    assert text.splitlines()[-1] == "stopped"
    assert re.search(r"first frame analysed after \d+\.\d s", text)
    full = re.findall(r"counted (.+?)   really (.+?)   in all", text)
    assert len(full) >= 2
    for counted, really in full:
        assert counted == really
    assert processes() == others
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
