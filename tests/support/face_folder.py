"""A small labelled data set for the tools' tests, generated from the demo's faces.

It has the layout of UTKFace: aligned faces named age_gender_ethnicity_number, and a table with
their splits beside the folder. It cannot show how accurate a model is on real people.
"""

import csv
from pathlib import Path

import cv2
import numpy as np

from edge.sources.demo import PEOPLE
from edge.types import LABELS, Image
from tools.datasets.readers import SPLITS, UTKFACE_ETHNICITIES

SIDE_PX = 200
FACES_PER_GENDER = dict(zip(SPLITS, (40, 20, 20), strict=True))
"""By split."""


def write(folder: Path, seed: int = 1, faces_per_gender: dict[str, int] = FACES_PER_GENDER) -> None:
    """Create `folder` with faces, and the table of the same name beside it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    faces = sorted(PEOPLE.glob("*.jpg"))
    rows: list[dict[str, object]] = []
    for split, number in faces_per_gender.items():
        for gender in LABELS:
            own = [file for file in faces if file.name.startswith(f"{gender}-")]
            for file in (own[index % len(own)] for index in range(number)):
                _, ethnicity, youngest = file.stem.split("-")
                age = int(youngest) + int(rng.integers(13))
                code = UTKFACE_ETHNICITIES.index(ethnicity)
                name = f"{age}_{int(gender == 'female')}_{code}_{len(rows):04}.jpg"
                other = faces[int(rng.integers(len(faces)))]
                cv2.imwrite(
                    str(folder / name), augmented(blended(read(file), read(other), rng), rng)
                )
                rows.append(
                    {
                        "file": name, "split": split, "gender": gender, "age": age,
                        "ethnicity": ethnicity,
                    }
                )  # fmt: skip
    with folder.with_suffix(".csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read(file: Path) -> Image:
    return np.asarray(cv2.imread(str(file)), np.uint8)


def blended(face: Image, other: Image, rng: np.random.Generator) -> Image:
    """Another person: the face with up to half of another one blended in, of either gender."""
    alpha = rng.uniform(0, 0.5)
    return np.asarray(cv2.addWeighted(face, 1 - alpha, other, alpha, 0), np.uint8)


def augmented(face: Image, rng: np.random.Generator) -> Image:
    """Another picture of the face: mirrored, rotated, shifted, relit and blurred at random."""
    if rng.random() < 0.5:
        face = np.asarray(face[:, ::-1], np.uint8)
    side = face.shape[0]
    scale = SIDE_PX / side
    middle = (side / 2, side / 2)
    rotation = np.asarray(cv2.getRotationMatrix2D(middle, rng.normal(0, 12), scale), np.float64)
    rotation[:, 2] += (SIDE_PX - side) / 2 + rng.normal(0, 0.03 * SIDE_PX, 2)
    picture = cv2.warpAffine(face, rotation, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 6))
    light = picture * rng.uniform(0.4, 1.2) + rng.normal(0, 10, picture.shape)
    return np.asarray(np.clip(light, 0, 255), np.uint8)
