"""Generate the demo's faces: each is the average of many training faces, so it is nobody's.

python tools/composites.py --data utkface.zip
"""

import argparse
import contextlib
import sys
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.sources.demo import PEOPLE
from edge.sources.pictures import PictureError
from edge.types import LABELS, Image
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.cli.progress import bar
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample

SIDE_PX = 144
AGE_BANDS = ((18, 30), (31, 50))
"""First and last years of age of the faces in a composite."""
MIN_FACES = 30
"""Fewest faces in a composite: an average of fewer may still resemble somebody."""


def average(samples: list[Sample]) -> Image:
    """The mean of aligned pictures, sharpened because averaging blurs the edges that Haar needs."""
    pictures = []
    for sample in samples:
        with contextlib.suppress(PictureError):
            size = (SIDE_PX, SIDE_PX)
            pictures.append(cv2.resize(sample.image(), size, interpolation=cv2.INTER_AREA))
    mean = np.mean(pictures, axis=0).astype(np.float32)
    sharpened = mean + 0.8 * (mean - cv2.GaussianBlur(mean, (0, 0), 3))
    return np.asarray(np.clip(sharpened, 0, 255), np.uint8)


def make_composites(source: Path, out: Path, number: int, seed: int, *, force: bool) -> list[Path]:
    """Write a composite for each gender, ethnicity and age band; file names begin with the gender.

    Raises DataError or ConfigError.
    """
    samples = dataset.load(source).part("train")
    if not all(sample.aligned for sample in samples):
        raise DataError(f"{source}: only aligned pictures, such as UTKFace's, can be averaged")
    rng = np.random.default_rng(seed)
    files = []
    dataset.make_folder(out, f"--out {out}")
    ethnicities = sorted({s.ethnicity for s in samples if s.ethnicity})
    groups = list(product(range(len(LABELS)), ethnicities, AGE_BANDS))
    for label, ethnicity, (low, high) in bar(groups, len(groups), "composites"):
        gender = LABELS[label]
        group = [
            s
            for s in samples
            if s.label == label
            and s.ethnicity == ethnicity
            and s.age is not None
            and low <= s.age <= high
        ]
        if len(group) < number:
            raise DataError(
                f"{source}: {len(group)} {gender} {ethnicity} faces aged {low} to {high}, "
                f"a composite needs {number}"
            )
        drawn = [group[i] for i in rng.choice(len(group), number, replace=False)]
        path = out / f"{gender}-{ethnicity}-{low}.jpg"
        outputs.need_free("--out", path, force=force)
        if not cv2.imwrite(str(path), average(drawn), [cv2.IMWRITE_JPEG_QUALITY, 90]):
            raise DataError(f"{path}: cannot be written")
        files.append(path)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="aligned faces")
    parser.add_argument("--out", type=Path, default=PEOPLE)
    parser.add_argument("--number", type=int, default=40, help="faces in each average")
    parser.add_argument("--seed", type=at_least(0), default=1)
    outputs.add_arguments(parser)
    args = parser.parse_args()
    if args.number < MIN_FACES:
        parser.error(f"--number: an average of fewer than {MIN_FACES} faces may resemble somebody")
    try:
        files = make_composites(args.data, args.out, args.number, args.seed, force=args.force)
    except (DataError, ConfigError) as error:
        print(f"composites: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} composites of {args.number} faces in {args.out}, {size / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    run_command(main)
