"""Run the real daemon as a 64-bit Raspberry Pi would, and compare its counts with x86-64's.

    python tools/arm64.py [CLIP ...] [--faces FOLDER]

Runs on an x86-64 machine with apt. Python comes from Debian for both architectures, the packages
from the pins that `make setup` uses. Everything stays below build/arm64; root is not needed.
The arm64 programs run in qemu, so their output is valid but their times and memory are not.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import cv2

from edge.errors import ConfigError, EdgeError
from edge.sources.demo import CYCLE_S, PEOPLE, Scene
from tools.cli.exit import run_command

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "arm64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TIMEOUT_S = 3600
"""For one program; the longest is an emulated clip."""
FPS = 10
"""Frame rate of the clip drawn from the demo scene."""
OUTPUT_STEP = 1 / 256
"""Scale of an int8 sigmoid output, which TFLite fixes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Raspberry Pi's system, processor and TFLite runtime."""

    release: str
    cpu: str
    runtime: str


TARGETS = (
    Target("bookworm", "cortex-a72", "ai-edge-litert"),  # Raspberry Pi 4
    Target("bookworm", "cortex-a72", "tflite-runtime"),
    Target("trixie", "cortex-a72", "ai-edge-litert"),
    Target("trixie", "cortex-a76", "ai-edge-litert"),  # Raspberry Pi 5
)


def call(
    command: Sequence[str | Path], exit_codes: Sequence[int] = (0,), **environment: str | Path
) -> str:
    """Standard output of a program. Raises EdgeError if it fails or takes too long."""
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {key: str(value) for key, value in environment.items()},
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeError(f"{command[0]}: took longer than {TIMEOUT_S} s") from error
    if process.returncode not in exit_codes:
        errors = process.stderr.strip()
        raise EdgeError(f"{command[0]} ended with {process.returncode}:\n{errors}")
    return process.stdout


# Debian's packages and Python's


def mirror() -> str:
    """The Debian mirror of this machine's own apt."""
    filters = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    mirrors = call(["apt-get", "indextargets", "--format", "$(REPO_URI)", *filters]).split()
    if not mirrors:
        raise ConfigError("apt knows no Debian packages; run sudo apt-get update")
    return mirrors[0]


def debs(release: str, arch: str, *names: str) -> list[Path]:
    """Packages of a Debian release with their dependencies, fetched by a separate apt."""
    folder = CACHE / f"apt-{release}-{arch}"
    shutil.rmtree(folder, ignore_errors=True)  # there may be newer versions
    for sub in ("lists/partial", "archives/partial"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {release} main\n")
    (folder / "status").write_text("")  # nothing is installed
    settings = {
        "APT::Architecture": arch,
        "APT::Architectures": arch,
        "APT::Sandbox::User": "root",  # the user _apt may not write here
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    call([*apt, "update"])
    call([*apt, "--yes", "--download-only", "--no-install-recommends", "install", *names])
    return sorted((folder / "archives").glob("*.deb"))


def qemu() -> Path:
    """The emulator: Trixie's is static, and Bookworm's qemu 7.2 crashes with ai-edge-litert."""
    program = CACHE / "qemu-aarch64"
    if not program.exists():
        print("fetching  qemu", flush=True)
        (deb,) = (f for f in debs("trixie", "amd64", "qemu-user") if f.match("qemu-user_*"))
        unpacked = CACHE / "qemu"
        call(["dpkg-deb", "--extract", deb, unpacked])
        (unpacked / "usr/bin/qemu-aarch64").rename(program)
        shutil.rmtree(unpacked)
    return program


@dataclass(frozen=True, slots=True)
class Sysroot:
    """Python and the daemon's packages for one Debian release and architecture."""

    release: str
    arch: str

    @property
    def root(self) -> Path:
        return CACHE / f"{self.release}-{self.arch}"

    @property
    def packages(self) -> Path:
        return self.root / "opt" / "edge-tally"

    def python(
        self, *args: str | Path, cpu: str = "cortex-a72", exit_codes: Sequence[int] = (0,)
    ) -> str:
        """Standard output of this sysroot's Python, run in the project's folder."""
        program = self.root / "usr/bin/python3"
        if self.arch == "arm64":
            launcher: list[str | Path] = [qemu(), "-cpu", cpu, "-L", self.root, program]
        else:
            # with its own loader, because this machine's C library may differ
            libraries = ":".join(
                str(self.root / folder / "x86_64-linux-gnu") for folder in ("usr/lib", "lib")
            )
            launcher = [self.root / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries]
            launcher += ["--argv0", program, program]
        path = f"{self.packages}:{ROOT}"
        return call([*launcher, *args], exit_codes, PYTHONPATH=path, PYTHONNOUSERSITE="1")

    def install(self) -> None:
        """Unpack and install everything, unless it is there and up to date."""
        pins = ROOT / "constraints.txt"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        requirements = [*project["dependencies"], *project["optional-dependencies"]["broker"]]
        record = self.root / "made-from"
        made_from = "\n".join([*requirements, pins.read_text()])
        if record.exists() and record.read_text() == made_from:
            return
        print(f"making    {self.release} {self.arch}", flush=True)
        shutil.rmtree(self.root, ignore_errors=True)
        for deb in debs(self.release, self.arch, "python3-venv", "libstdc++6"):
            call(["dpkg-deb", "--extract", deb, self.root])
        for name in ("lib", "lib64"):  # Trixie's packages rely on these links
            if not (self.root / name).exists() and (self.root / "usr" / name).exists():
                (self.root / name).symlink_to(f"usr/{name}")
        # the pip that `python3 -m venv` would put into a virtual environment
        (pip,) = (self.root / "usr/share/python-wheels").glob("pip-*.whl")
        self.python(
            *(pip / "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"),
            *("--target", self.packages, "--constraint", pins),
            *requirements,
        )
        record.write_text(made_from)

    def sizes_mb(self) -> dict[str, float]:
        """Unpacked size of each Python package by name and version, without bytecode."""
        sizes = {}
        for package in distributions(path=[str(self.packages)]):
            size = sum(file.size or 0 for file in package.files or ())
            sizes[f"{package.name} {package.version}"] = size / 1e6
        return sizes


# the daemon


def configuration(target: Target) -> Path:
    """A configuration that publishes windows with few people too."""
    path = CACHE / f"{target.runtime}.yaml"
    settings = {
        "site": "arm64",
        "device": "emulated",
        "classifier": {"runtime": target.runtime},
        "window": {"seconds": CYCLE_S},
        "privacy": {"min_people": 1},
    }
    path.write_text(json.dumps(settings))  # JSON is YAML
    return path


def check(sysroot: Sysroot, target: Target) -> str:
    """The model's line of the daemon's own check. Raises EdgeError if a part fails."""
    args = ("-m", "edge", "check", "--source", "demo", "--config", configuration(target))
    # the exit code is 2, because there is no broker
    lines = sysroot.python(*args, cpu=target.cpu, exit_codes=(0, 2)).splitlines()
    failed = [line for line in lines if not line.startswith("ok ") and " broker " not in line]
    if failed:
        raise EdgeError("\n".join(failed))
    (model,) = (line.split(maxsplit=2)[2] for line in lines if line.startswith("ok    model "))
    return model


def windows(sysroot: Sysroot, target: Target, clip: Path) -> list[dict[str, Any]]:
    """The windows that the daemon publishes for a clip, without the keys that differ each time."""
    args = ("-m", "edge", "run", "--stdout", "--source", clip, "--config", configuration(target))
    messages = map(json.loads, sysroot.python(*args, cpu=target.cpu).splitlines())
    payloads = [m["payload"] for m in messages if m["topic"].endswith("/window")]
    return [{k: v for k, v in window.items() if k not in ("id", "epoch")} for window in payloads]


def counted(payloads: Sequence[dict[str, Any]]) -> str:
    """Female, male and unknown people of all windows, and their total."""
    people = [sum(w["people"][key] for w in payloads) for key in ("female", "male", "unknown")]
    return " + ".join(map(str, people)) + f" = {sum(people)}"


def probabilities(sysroot: Sysroot, target: Target, faces: Path) -> dict[str, float]:
    """p(male) of each face by file name."""
    output = sysroot.python(
        "tools/probabilities.py", faces, "--runtime", target.runtime, cpu=target.cpu
    )
    return dict(json.loads(output))


def demo_clip() -> Path:
    """A folder with the frames of the demo scene's first cycle."""
    folder = CACHE / "demo-scene"
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene()
    for number in range(round(CYCLE_S * FPS)):
        cv2.imwrite(str(folder / f"{number:04}.png"), scene.draw(number / FPS))
    return folder


def compare(target: Target, clips: Sequence[Path], faces: Path) -> bool:
    """Print a line for each clip and one for the faces; return whether all counts are equal."""
    arm, here = Sysroot(target.release, "arm64"), Sysroot(target.release, "amd64")
    for sysroot in (here, arm):
        sysroot.install()
    script = "import platform; print(platform.machine(), 'Python', platform.python_version())"
    version = arm.python("-c", script).strip()
    print(f"\n{target.release}, {target.cpu}, {version}: {check(arm, target)}")
    print(f"  {'female + male + unknown = people':<46} {'x86-64':<17} {'arm64':<17}", flush=True)
    equal = True
    for clip in clips:
        ours, theirs = windows(here, target, clip), windows(arm, target, clip)
        equal_counts = [w["people"] for w in ours] == [w["people"] for w in theirs]
        verdict = (
            "windows equal" if ours == theirs else "counts equal" if equal_counts else "DIFFER"
        )
        print(f"  {clip.name:<46} {counted(ours):<17} {counted(theirs):<17} {verdict}", flush=True)
        equal &= equal_counts
    ours_p, theirs_p = probabilities(here, target, faces), probabilities(arm, target, faces)
    steps = [round(abs(ours_p[name] - theirs_p[name]) / OUTPUT_STEP) for name in ours_p]
    agree = sum((ours_p[name] > 0.5) == (theirs_p[name] > 0.5) for name in ours_p)
    print(
        f"  {len(steps)} faces: {agree} labels and {steps.count(0)} outputs equal; differences in "
        f"steps of 1/256: mean {sum(steps) / len(steps):.2f}, largest {max(steps)}",
        flush=True,
    )
    return equal


def check_machine() -> None:
    """Raises ConfigError if this machine cannot run the comparison."""
    if platform.machine() != "x86_64":
        raise ConfigError("this compares with x86-64, so it runs on an x86-64 machine")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ConfigError(f"{program} is missing; this runs on Debian and Ubuntu")
    if not KEYRING.exists():
        raise ConfigError(f"{KEYRING} is missing; run sudo apt-get install debian-archive-keyring")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path, help="default: the demo scene")
    parser.add_argument(
        "--faces", type=Path, default=PEOPLE, help="a folder of aligned faces; default: the demo's"
    )
    args = parser.parse_args()
    try:
        check_machine()
        for path in (*args.clips, args.faces):
            if not path.exists():
                raise ConfigError(f"{path}: no such file or folder")
        emulator = call([qemu(), "--version"]).splitlines()[0]
        print(f"{date.today()}, {emulator}", flush=True)
        clips = [clip.resolve() for clip in args.clips] or [demo_clip()]
        results = [compare(target, clips, args.faces.resolve()) for target in TARGETS]
        for release in sorted({target.release for target in TARGETS}):
            sizes = Sysroot(release, "arm64").sizes_mb()
            print(f"\n{release}: {sum(sizes.values()):.0f} MB of Python packages on arm64")
            for package, size in sorted(sizes.items(), key=lambda item: -item[1]):
                print(f"  {package:<35} {size:6.1f} MB")
    except EdgeError as error:
        print(f"arm64: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if all(results) else 1


if __name__ == "__main__":
    run_command(main)
