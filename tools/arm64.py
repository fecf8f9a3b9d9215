"""Run the real daemon as a 64-bit Raspberry Pi would, and compare its counts with x86-64's.

    python tools/arm64.py [CLIP ...] [--faces FOLDER]

For an x86-64 machine with apt. Python comes from Debian, for both architectures, and the packages
from the pins that `make setup` uses; all of it stays below build/arm64, and root is not needed.
The arm64 programs run in qemu: what they print is true, but their times and memory mean nothing.
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
from tools.cli.exit import leave

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "arm64"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIMIT_S = 3600
"""How long one program may take; the longest is an emulated clip."""
FPS = 10
"""Of the demo's drawn clip."""
STEP = 1 / 256
"""From one output of the int8 model to the next: TFLite fixes this scale for LOGISTIC."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a Raspberry Pi would have."""

    release: str
    cpu: str
    runtime: str


RUNS = (
    Run("bookworm", "cortex-a72", "ai-edge-litert"),  # Raspberry Pi 4
    Run("bookworm", "cortex-a72", "tflite-runtime"),
    Run("trixie", "cortex-a72", "ai-edge-litert"),
    Run("trixie", "cortex-a76", "ai-edge-litert"),  # Raspberry Pi 5
)


def call(
    command: Sequence[str | Path], allowed: Sequence[int] = (0,), **environment: str | Path
) -> str:
    """Standard output of a program. Raises EdgeError where it fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | {key: str(value) for key, value in environment.items()},
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeError(f"{command[0]}: took longer than {LIMIT_S} s") from error
    if done.returncode not in allowed:
        raise EdgeError(f"{command[0]} ended with {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


# Debian's packages and Python's


def mirror() -> str:
    """Where this machine's own apt gets Debian from."""
    sought = ["Created-By: Packages", "Origin: Debian", "Label: Debian"]
    found = call(["apt-get", "indextargets", "--format", "$(REPO_URI)", *sought]).split()
    if not found:
        raise ConfigError("apt knows no packages of Debian's; sudo apt-get update")
    return found[0]


def debs(release: str, arch: str, *names: str) -> list[Path]:
    """Packages of a Debian release and all that they depend on, fetched by an apt of our own."""
    folder = CACHE / f"apt-{release}-{arch}"
    shutil.rmtree(folder, ignore_errors=True)  # newer versions may have come out
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
class World:
    """Python and the daemon's packages for one Debian release on one architecture."""

    release: str
    arch: str

    @property
    def root(self) -> Path:
        return CACHE / f"{self.release}-{self.arch}"

    @property
    def packages(self) -> Path:
        return self.root / "opt" / "edge-tally"

    def python(
        self, *args: str | Path, cpu: str = "cortex-a72", allowed: Sequence[int] = (0,)
    ) -> str:
        """Standard output of this world's Python, run in the project's folder."""
        program = self.root / "usr/bin/python3"
        if self.arch == "arm64":
            start: list[str | Path] = [qemu(), "-cpu", cpu, "-L", self.root, program]
        else:
            # by its own loader: this machine's C library may be older or newer
            libraries = ":".join(
                str(self.root / folder / "x86_64-linux-gnu") for folder in ("usr/lib", "lib")
            )
            start = [self.root / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries]
            start += ["--argv0", program, program]
        path = f"{self.packages}:{ROOT}"
        return call([*start, *args], allowed, PYTHONPATH=path, PYTHONNOUSERSITE="1")

    def make(self) -> None:
        """Unpack and install what is not here yet."""
        pins = ROOT / "constraints.txt"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        wanted = [*project["dependencies"], *project["optional-dependencies"]["broker"]]
        made = self.root / "made-from"
        made_from = "\n".join([*wanted, pins.read_text()])
        if made.exists() and made.read_text() == made_from:
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
            *wanted,
        )
        made.write_text(made_from)

    def sizes_mb(self) -> dict[str, float]:
        """Unpacked size of each Python package with its version, without compiled files."""
        sizes = {}
        for package in distributions(path=[str(self.packages)]):
            size = sum(file.size or 0 for file in package.files or ())
            sizes[f"{package.name} {package.version}"] = size / 1e6
        return sizes


# the daemon


def configuration(run: Run) -> Path:
    """A file that shows everybody."""
    path = CACHE / f"{run.runtime}.yaml"
    settings = {
        "site": "arm64",
        "device": "emulated",
        "classifier": {"runtime": run.runtime},
        "window": {"seconds": CYCLE_S},
        "privacy": {"min_people": 1},
    }
    path.write_text(json.dumps(settings))  # JSON is YAML
    return path


def check(world: World, run: Run) -> str:
    """What the daemon's own check says of the model; raises EdgeError where a part fails."""
    args = ("-m", "edge", "check", "--source", "demo", "--config", configuration(run))
    # it ends with 2, because there is no broker
    lines = world.python(*args, cpu=run.cpu, allowed=(0, 2)).splitlines()
    failed = [line for line in lines if not line.startswith("ok ") and " broker " not in line]
    if failed:
        raise EdgeError("\n".join(failed))
    (model,) = (line.split(maxsplit=2)[2] for line in lines if line.startswith("ok    model "))
    return model


def windows(world: World, run: Run, clip: Path) -> list[dict[str, Any]]:
    """What the daemon publishes of a clip, without what is new at each start."""
    args = ("-m", "edge", "run", "--stdout", "--source", clip, "--config", configuration(run))
    messages = map(json.loads, world.python(*args, cpu=run.cpu).splitlines())
    found = [m["payload"] for m in messages if m["topic"].endswith("/window")]
    return [{k: v for k, v in window.items() if k not in ("id", "epoch")} for window in found]


def counted(found: Sequence[dict[str, Any]]) -> str:
    """Female, male and unknown people of all windows, and their sum."""
    people = [sum(w["people"][key] for w in found) for key in ("female", "male", "unknown")]
    return " + ".join(map(str, people)) + f" = {sum(people)}"


def probabilities(world: World, run: Run, faces: Path) -> dict[str, float]:
    """What the model says of each face: file name to probability of a man."""
    said = world.python("tools/probabilities.py", faces, "--runtime", run.runtime, cpu=run.cpu)
    return dict(json.loads(said))


def demo_clip() -> Path:
    """A folder with the pictures of the demo scene's first cycle."""
    folder = CACHE / "demo-scene"
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene()
    for number in range(round(CYCLE_S * FPS)):
        cv2.imwrite(str(folder / f"{number:04}.png"), scene.draw(number / FPS))
    return folder


def compare(run: Run, clips: Sequence[Path], faces: Path) -> bool:
    """Print a line for each clip and one for the faces; False where counts differ."""
    arm, here = World(run.release, "arm64"), World(run.release, "amd64")
    for world in (here, arm):
        world.make()
    machine = "import platform; print(platform.machine(), 'Python', platform.python_version())"
    print(f"\n{run.release}, {run.cpu}, {arm.python('-c', machine).strip()}: {check(arm, run)}")
    print(f"  {'female + male + unknown = people':<46} {'x86-64':<17} {'arm64':<17}", flush=True)
    equal = True
    for clip in clips:
        ours, theirs = windows(here, run, clip), windows(arm, run, clip)
        same = [w["people"] for w in ours] == [w["people"] for w in theirs]
        verdict = "windows equal" if ours == theirs else "counts equal" if same else "DIFFER"
        print(f"  {clip.name:<46} {counted(ours):<17} {counted(theirs):<17} {verdict}", flush=True)
        equal &= same
    ours_p, theirs_p = probabilities(here, run, faces), probabilities(arm, run, faces)
    steps = [round(abs(ours_p[name] - theirs_p[name]) / STEP) for name in ours_p]
    agree = sum((ours_p[name] > 0.5) == (theirs_p[name] > 0.5) for name in ours_p)
    print(
        f"  {len(steps)} faces: {agree} labels and {steps.count(0)} outputs equal; differences in "
        f"steps of 1/256: mean {sum(steps) / len(steps):.2f}, largest {max(steps)}",
        flush=True,
    )
    return equal


def check_machine() -> None:
    """Raises ConfigError where this machine cannot do it."""
    if platform.machine() != "x86_64":
        raise ConfigError("this compares with x86-64, so it runs on an x86-64 machine")
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ConfigError(f"{program} is not here; this runs on Debian and Ubuntu")
    if not KEYRING.exists():
        raise ConfigError(f"{KEYRING} is not here; sudo apt-get install debian-archive-keyring")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path, help="default: the demo scene, drawn")
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
        results = [compare(run, clips, args.faces.resolve()) for run in RUNS]
        for release in sorted({run.release for run in RUNS}):
            sizes = World(release, "arm64").sizes_mb()
            print(f"\n{release}: {sum(sizes.values()):.0f} MB of Python packages on arm64")
            for package, size in sorted(sizes.items(), key=lambda item: -item[1]):
                print(f"  {package:<35} {size:6.1f} MB")
    except EdgeError as error:
        print(f"arm64: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if all(results) else 1


if __name__ == "__main__":
    leave(main)
