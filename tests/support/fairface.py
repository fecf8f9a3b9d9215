"""Writes a data set of FairFace's shape from the demo's people, who do not exist.

    python tests/support/fairface.py FOLDER [TRAIN VAL]

By default it has as many pictures as FairFace, 97 698, to measure time and memory at full size.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.sources.demo import PEOPLE
from edge.types import Image

SIDE_PX = 224
FACE_PX = 150
"""Width of the face in a picture with FairFace's smaller margin."""
NUMBERS = (86_744, 10_954)
"""Pictures of train and val in FairFace."""
DISTINCT = 300
"""Faces that differ in more than noise, light and place."""
MAX_SHIFT_PX = 16
QUALITY = 85
"""Of the JPEG files, which then have about 10 kB."""
AGES = {"18": ("10-19", "20-29"), "31": ("40-49", "50-59")}
"""Two of FairFace's age groups for each of the demo's, far enough apart to be told by a network."""
RACES = {
    "asian": ("East Asian", "Southeast Asian"),
    "black": ("Black", "Black"),
    "indian": ("Indian", "Indian"),
    "other": ("Latino_Hispanic", "Middle Eastern"),
    "white": ("White", "White"),
}


def faces(number: int, rng: np.random.Generator) -> Iterator[tuple[str, Image]]:
    """Name of a person and a picture with a margin of MAX_SHIFT_PX more than needed, B G R."""
    files = sorted(PEOPLE.glob("*.jpg"))
    people = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    side = SIDE_PX + 2 * MAX_SHIFT_PX
    for index in range(number):
        face, other = people[index % len(people)], people[int(rng.integers(len(people)))]
        blend = cv2.addWeighted(face, 0.7, other, 0.3, 0)
        face_px = round(FACE_PX * rng.uniform(0.9, 1.1))
        blend = cv2.resize(blend, (face_px, face_px), interpolation=cv2.INTER_CUBIC)
        picture = np.full((side, side, 3), rng.integers(40, 200, 3), np.uint8)
        left = (side - face_px) // 2
        picture[left : left + face_px, left : left + face_px] = blend
        yield files[index % len(people)].stem, cv2.GaussianBlur(picture, (0, 0), 1).astype(np.uint8)


def write(folder: Path, train: int, val: int, *, distinct: int = DISTINCT, seed: int = 1) -> None:
    """Create `folder` with both tables and their pictures."""
    rng = np.random.default_rng(seed)
    base = list(faces(distinct, rng))
    noises = [rng.integers(0, 24, (SIDE_PX, SIDE_PX, 3), np.uint8) for _ in range(16)]
    for part, number in (("train", train), ("val", val)):
        (folder / part).mkdir(parents=True)
        with (folder / f"fairface_label_{part}.csv").open("w", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(("file", "age", "gender", "race", "service_test"))
            for index in range(1, number + 1):
                name, face = base[int(rng.integers(len(base)))]
                gender, ethnicity, youngest = name.split("-")
                half = int(rng.integers(2))
                y, x = rng.integers(0, 2 * MAX_SHIFT_PX, 2)
                picture = face[y : y + SIDE_PX, x : x + SIDE_PX]
                dimmed = cv2.convertScaleAbs(picture, alpha=rng.uniform(0.6, 1.1))
                noisy = cv2.add(dimmed, noises[int(rng.integers(len(noises)))])
                file = f"{part}/{index}.jpg"
                cv2.imwrite(str(folder / file), noisy, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                writer.writerow(
                    (
                        file, AGES[youngest][half], gender.capitalize(), RACES[ethnicity][half],
                        bool(rng.integers(2)),
                    )
                )  # fmt: skip


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:]] or NUMBERS
    write(Path(sys.argv[1]), *numbers)
