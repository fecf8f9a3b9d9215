"""Generate labelled faces and a clip of people who do not exist, to try the other tools with.

python tools/example.py --out build/example
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from edge.errors import EdgeError
from edge.sources.demo import CYCLE_S, HEIGHT, LANES, PEOPLE, WIDTH, Scene, Walker
from edge.types import LABELS, Box, Image
from edge.vision.preprocessing import Preprocessing
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.cli.progress import bar
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.training.augmentation import degraded, random_view

VARIATIONS = {"train": 60, "val": 30, "test": 30}
"""Pictures of each person."""
SPLITS = ("train", "train", "train", "val", "test")
"""Splits of one person after the other: nobody is in two of them."""
PORTRAIT = Preprocessing(size=160, crop_scale=1.5)
"""A picture shows the face with some margin around it."""
FPS = 12.5


class Portraits(Scene):
    """The demo's scene with one person at a time in the middle, another one in each cycle."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Raises EdgeError."""
        super().__init__()
        self._rng = rng
        self.names = [file.stem for file in sorted(PEOPLE.glob("*.jpg"))]

    def group(self, cycle: int) -> list[Walker]:
        """One person, number `cycle` from 0, on a random lane from near to far."""
        red, green, blue = (int(tone) for tone in self._rng.integers(40, 170, 3))
        lane = int(self._rng.integers(len(LANES)))
        self._lane = LANES[lane]
        return [Walker(cycle, 0.0, CYCLE_S, True, lane, (blue, green, red))]

    def picture(self, person: int) -> Image:
        """uint8, square, R G B: the person as a camera might see them."""
        view = self.draw((person + 0.5) * CYCLE_S)
        y, width = self._lane
        face = Preprocessing().whole(width, width)
        face = Box(WIDTH / 2 - width / 2 + face.x, y - width / 2 + face.y, face.w, face.h)
        return degraded(random_view(view, face, PORTRAIT, self._rng), self._rng)


def write_faces(folder: Path, rng: np.random.Generator) -> Counter[str]:
    """Write pictures under `train`, `val`, `test` and `female`, `male`; returns how many per split.

    Raises DataError.
    """
    portraits = Portraits(rng)
    numbers: Counter[str] = Counter()
    people = dict.fromkeys(LABELS, 0)
    for number, name in enumerate(bar(portraits.names, len(portraits.names), "faces")):
        gender = name.split("-")[0]
        split = SPLITS[people[gender] % len(SPLITS)]
        people[gender] += 1
        for variation in range(VARIATIONS[split]):
            picture = np.asarray(portraits.picture(number)[:, :, ::-1], np.uint8)
            _write(folder / split / gender / f"{name}-{variation:02}.jpg", picture)
        numbers[split] += VARIATIONS[split]
    return numbers


def write_clip(path: Path, cycles: int) -> int:
    """Write `cycles` groups of the demo's scene as a clip, with its truth beside it as YAML.

    Returns how many people walk past. Raises DataError.
    """
    scene = Scene()
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise DataError(f"{path}: cannot be written as a video")
    frames = round(cycles * CYCLE_S * FPS)
    for number in bar(range(frames), frames, "clip"):
        writer.write(scene.draw(number / FPS))
    writer.release()
    walkers = [(cycle, walker) for cycle in range(cycles) for walker in scene.group(cycle)]
    visits = [_visit(scene, cycle, walker) for cycle, walker in walkers]
    counts = Counter(visit["gender"] for visit in visits)
    truth = {label: counts[label] for label in LABELS} | {"visits": visits}
    path.with_suffix(".yaml").write_text(yaml.safe_dump(truth, sort_keys=False))
    return len(visits)


def _visit(scene: Scene, cycle: int, walker: Walker) -> dict[str, Any]:
    """The truth about one person; the whole face is in view from `first_s` to `last_s`."""
    width = LANES[walker.lane][1]
    outside = walker.seconds * 1.5 * width / (WIDTH + 2 * width)
    first = cycle * CYCLE_S + walker.start + outside
    last = cycle * CYCLE_S + walker.start + walker.seconds - outside
    return {
        "gender": scene.label(walker),
        "first_s": round(first, 2),
        "last_s": round(last, 2),
        "face_px": width,
    }


def write_group(path: Path) -> int:
    """Write a picture of the largest early group in full view; returns how many people it shows."""
    scene = Scene()
    cycle = max(range(10), key=lambda number: len(scene.group(number)))
    people = scene.group(cycle)
    middle = sum(walker.start + walker.seconds / 2 for walker in people) / len(people)
    _write(path, scene.draw(cycle * CYCLE_S + middle))
    return len(people)


def _write(path: Path, image: Image) -> None:
    dataset.make_folder(path.parent, str(path.parent))
    if not cv2.imwrite(str(path), image):
        raise DataError(f"{path}: cannot be written")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/example"), metavar="DIR")
    parser.add_argument(
        "--seconds", type=int, default=90, help="length of the clip, a multiple of 10"
    )
    parser.add_argument("--seed", type=at_least(0), default=1)
    args = parser.parse_args()
    if args.seconds < CYCLE_S or args.seconds % CYCLE_S:
        parser.error(f"--seconds must be {CYCLE_S:.0f}, {2 * CYCLE_S:.0f}, ...")
    try:
        dataset.make_folder(args.out, f"--out {args.out}")
        faces, clip, group = (args.out / name for name in ("faces", "clip.mp4", "group.png"))
        numbers = write_faces(faces, np.random.default_rng(args.seed))
        people = write_clip(clip, round(args.seconds / CYCLE_S))
        group_size = write_group(group)
    except (DataError, EdgeError) as error:
        print(f"example: {error}", file=sys.stderr)
        return 2
    parts = ", ".join(f"{number} {split}" for split, number in numbers.items())
    print(f"{faces}: {parts}")
    print(f"{clip}: {people} people in {args.seconds} s; who they are is in {clip.stem}.yaml")
    print(f"{group}: {group_size} of them")
    return 0


if __name__ == "__main__":
    run_command(main)
