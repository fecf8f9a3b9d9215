"""Count the instructions that the daemon takes on arm64, from which its defaults are chosen.

    python tools/instructions.py

Draws a busy view at several frame rates and runs the pipeline on it in QEMU, with the arm64 Python
of `tools/arm64.py`. Prints million instructions per second of the view, as `edge/board.py` keeps
them. Needs what `tools/arm64.py` needs, and a C compiler. Takes a quarter of an hour.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np

from edge.board import CHOICES, Defaults
from edge.errors import EdgeError
from tools.arm64 import CACHE, ROOT, TIMEOUT_S, Sysroot, call, check_machine, debs
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.evaluation import instruction_marks as marks
from tools.simulation.flow import flow

BUSY = 4
"""People in the view."""
SECONDS = 4
"""Length of the view; the first frame, which is searched everywhere, is left out."""


def counting_qemu() -> tuple[list[str], dict[str, str]]:
    """A QEMU with the plugin, and its environment: Bookworm's, for Trixie's takes no plugins."""
    folder = CACHE / "qemu-7.2"
    program = folder / "usr/bin/qemu-aarch64"
    if not program.exists():
        print("fetching  qemu 7.2", flush=True)
        for deb in debs("bookworm", "amd64", "qemu-user"):
            call(["dpkg-deb", "--extract", deb, folder])
    plugin = folder / "instructions.so"
    call(["cc", "-O2", "-shared", "-fPIC", "-o", plugin, ROOT / "tools" / "instructions.c"])
    libraries = folder / "usr/lib/x86_64-linux-gnu"
    return [str(program), "-plugin", str(plugin)], {"LD_LIBRARY_PATH": str(libraries)}


def count(sysroot: Sysroot, settings: Defaults, faces: int) -> tuple[float, float]:
    """Million instructions of a plain Haar search, and per second of the pipeline."""
    scene = flow(faces)
    moments = np.arange(round(SECONDS * settings.fps)) / settings.fps
    pictures, config = CACHE / "pictures.npy", CACHE / "instructions.yaml"
    np.save(pictures, np.array([scene.draw(float(moment)) for moment in moments]))
    config.write_text(
        json.dumps(
            {
                "camera": {"fps": settings.fps},
                "detector": {"min_face_px": settings.min_face_px},
                # ai-edge-litert crashes in QEMU 7.2; this one has no XNNPACK for int8
                "classifier": {"runtime": "tflite-runtime"},
            }
        )
    )
    launcher, environment = counting_qemu()
    inside = {"LD_LIBRARY_PATH": "", "PYTHONPATH": f"{sysroot.packages}:{ROOT}"}
    variables = [part for key, value in inside.items() for part in ("-E", f"{key}={value}")]
    command = [*launcher, "-cpu", "cortex-a72", "-L", str(sysroot.root), *variables]
    command += [str(sysroot.root / "usr/bin/python3"), "-m", marks.__name__]
    process = subprocess.run(
        [*command, str(pictures), str(config)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, timeout=TIMEOUT_S,
    )  # fmt: skip
    if process.returncode:
        raise EdgeError(f"qemu ended with {process.returncode}:\n{process.stderr.strip()[-2000:]}")
    plain = between(process.stderr, marks.PLAIN_BEGIN, marks.PLAIN_END)
    frames = between(process.stderr, marks.FRAME_BEGIN, marks.FRAME_END)[1:]
    return sum(plain) / len(plain), settings.fps * sum(frames) / len(frames)


def between(text: str, begin: int, end: int) -> list[float]:
    """Million instructions from each mark `begin` to the mark `end` after it."""
    lines = (line.split() for line in text.splitlines() if line.startswith("MARK "))
    counts = [(int(mark), int(number)) for _, mark, number in lines]
    return [(b - a) / 1e6 for (one, a), (two, b) in pairwise(counts) if (one, two) == (begin, end)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--faces", type=at_least(0), default=BUSY, help=f"people in the view; default: {BUSY}"
    )
    args = parser.parse_args()
    try:
        check_machine()
        sysroot = Sysroot("bookworm", "arm64")
        sysroot.install()
        for settings in CHOICES:
            plain, second = count(sysroot, settings, args.faces)
            print(
                f"{settings.fps:g} fps from {settings.min_face_px} px: {second:.0f} million "
                f"instructions per second, {second / settings.fps / plain:.0%} of a plain Haar "
                f"search of each frame ({plain:.0f})",
                flush=True,
            )
    except EdgeError as error:
        print(f"instructions: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    run_command(main)
