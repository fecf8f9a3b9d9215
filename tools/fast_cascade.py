"""Give OpenCV's cascade for faces other early stages, which reject sooner what is none.

    python tools/fast_cascade.py --data faces.zip --without-faces pictures \
        --out edge/vision/frontalface_fast.xml

The new stages learn to keep what the cascade takes for a face, from faces of the training split,
and to reject the rest, from pictures that may show anything but faces. Some of its own later stages
follow.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.sources import pictures
from edge.sources.pictures import PictureError
from edge.types import Image
from edge.vision.cascade import FACE, OPENCV_FILE
from edge.vision.preprocessing import Preprocessing
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, output_file
from tools.cli.progress import bar
from tools.conversion.cascade_file import Feature, Stage, cascade_text, read_cascade
from tools.datasets import dataset, false_finds
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.face_search import MIN_FACE_PX
from tools.training.augmentation import random_view
from tools.training.early_stages import (
    Booster,
    Plan,
    Windows,
    passes,
    upright_features,
)
from tools.training.windows import VIEW, as_filmed, everything, loaded, on_face, passing

PLANS = (
    # OpenCV leaves out the place after one that the first stage rejects
    Plan(kept=0.98, most_stumps=8, later_stumps=25),
    Plan(kept=0.99, most_stumps=16, later_stumps=30),
    Plan(kept=0.993, most_stumps=24, later_stumps=45),
    Plan(kept=0.995, most_stumps=32, later_stumps=60),
    Plan(kept=0.997, most_stumps=44, later_stumps=80),
    Plan(kept=0.998, most_stumps=56, later_stumps=100),
)
REPLACED = 6
"""The cascade's own stages that are left out: they reject what the new ones have rejected."""
LAST = 16
"""The last of its own stages that follows. What passes it is mostly near a face; which of these are
hits is up to the whole cascade, which looks again around them."""
FIRST_STAGES = 10
"""The cascade's stages whose features the new ones may have, too."""
WANTED, UNWANTED = 20_000, 30_000
"""Most windows on faces, and on other things, that one stage is learned from."""
MIN_UNWANTED = 20
"""Fewest other windows to learn a stage from."""
PER_VIEW, PER_FACE = 25, 3
"""Most windows from one view of a picture without faces, and from around a face, for one stage."""
FILMED = 0.5
"""Fraction of these views that are spoilt as by a camera, as all faces are."""


def views_of_faces(
    args: argparse.Namespace, split: str, rng: np.random.Generator
) -> tuple[list[Image], Windows]:
    """Faces of the data sets with what is around them, gray, as a camera sees them; and what the
    cascade takes for a face there, in random order.

    Raises DataError if there is nothing.
    """
    cascade, views, found = cv2.CascadeClassifier(str(args.cascade)), [], []
    for path in args.data:
        samples = dataset.load(path, args.layout, args.detect).part(split)
        chosen = rng.permutation(len(samples))[: args.max_faces]
        what = f"{path.name}, {split}"
        faces, _ = dataset.find_faces([samples[i] for i in chosen], what, args.face_cache)
        for face in bar(faces, len(faces), what):
            image = face.image()
            view = random_view(image, face.face(image, Preprocessing()), VIEW, rng)[:, :, 0]
            views.append(as_filmed(view, rng))
            found += on_face(views[-1], cascade, rng)
    if not found:
        raise DataError(f"--data: the cascade finds none of the faces in split {split!r}")
    windows: Windows = np.array(found, np.uint8)
    return views, windows[rng.permutation(len(windows))]


def views_without_faces(args: argparse.Namespace, rng: np.random.Generator) -> list[Image]:
    """Gray parts of the pictures, some as a camera sees them; what cannot be read is left out."""
    views = []
    for path in args.without_faces:
        files = DataFiles(path)
        for member in bar(files.images(), len(files.images()), path.name):
            try:
                picture = pictures.decode(files.read(member))
            except PictureError:
                continue
            if min(picture.shape[:2]) >= MIN_FACE_PX:
                gray = cv2.cvtColor(false_finds.random_part(picture, rng), cv2.COLOR_BGR2GRAY)
                view = np.asarray(gray, np.uint8)
                views.append(as_filmed(view, rng) if rng.random() < FILMED else view)
    if not views:
        raise DataError("--without-faces: has no picture that can be read")
    return views


def features_of(
    args: argparse.Namespace, stages: list[Stage], rng: np.random.Generator
) -> list[Feature]:
    """What the new stages may look at."""
    fitting = list(upright_features())
    drawn = [fitting[i] for i in rng.permutation(len(fitting))[: args.features]]
    known = [stump.feature for stage in stages[:FIRST_STAGES] for stump in stage.stumps]
    return list(dict.fromkeys(drawn + known))


class Pictures:
    """Where windows that are none on a face come from."""

    def __init__(self, without_faces: list[Image], faces: list[Image], cascade: Path) -> None:
        self._without_faces, self._faces = without_faces, faces
        self._cascade = cv2.CascadeClassifier(str(cascade))

    def passing(self, stages: list[Stage], rng: np.random.Generator) -> Windows:
        """Windows that pass these stages, in random order.

        Raises DataError if the pictures without faces have too few to begin with.
        """
        cascade = loaded(stages or [everything()])
        windows = passing(self._without_faces, cascade, PER_VIEW, rng)
        if not stages and len(windows) < MIN_UNWANTED:
            raise DataError(
                f"--without-faces: has {len(windows)} places that are not flat; at least "
                f"{MIN_UNWANTED} are needed, so add pictures"
            )
        around = passing(self._faces, cascade, PER_FACE, rng, self._cascade)
        windows = np.concatenate([windows, around])
        return np.asarray(windows[rng.permutation(len(windows))], np.uint8)


def learned(
    wanted: Windows, source: Pictures, features: list[Feature], rng: np.random.Generator
) -> tuple[list[Stage], float]:
    """New stages, and the fraction of the other windows that pass them all.

    There are fewer stages than plans if too few windows pass.
    """
    stages: list[Stage] = []
    rate = 1.0
    booster: Booster | None = None
    for plan in PLANS:
        unwanted = source.passing(stages, rng)
        if len(unwanted) < MIN_UNWANTED:
            break
        learn, rest = np.split(unwanted, [min(UNWANTED, len(unwanted) // 2)])
        booster = booster or Booster(features, wanted[:WANTED], learn)
        stage = booster.stage(plan, wanted[:WANTED], learn)
        passed = float(passes([stage], rest).mean())
        rate *= passed
        stages.append(stage)
        print(f"stage {len(stages)}   {len(stage.stumps)} stumps let {passed:.1%} pass", flush=True)
        wanted = wanted[passes([stage], wanted)]
    return stages, rate


def make(args: argparse.Namespace) -> None:
    """Write the cascade. Raises DataError, PictureError or EdgeError."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(args.seed)
    notice, stages = read_cascade(args.cascade)
    if len(stages) <= REPLACED:
        raise DataError(
            f"cascade {args.cascade}: has {len(stages)} stages; "
            f"{REPLACED} are replaced, so at least {REPLACED + 1} are needed"
        )
    faces, wanted = views_of_faces(args, "train", rng)
    _, held_back = views_of_faces(args, "val", rng)
    without_faces = views_without_faces(args, rng)
    print(f"learning  from {len(wanted)} windows on {len(faces)} faces, and from", end=" ")
    print(f"{len(without_faces)} pictures without", flush=True)
    source = Pictures(without_faces, faces, args.cascade)
    early, rate = learned(wanted, source, features_of(args, stages, rng), rng)
    kept = passes(early, held_back).mean()
    print(f"kept      {kept:.1%} of {len(held_back)} windows on faces of the val splits")
    print(f"rejected  all but {rate:.2%} of the windows without")
    notice += f"\n    The first {len(early)} stages are not OpenCV's: they replace {REPLACED},\n"
    notice += f"    and of the others those after the first {LAST} are left out.\n"
    args.out.write_text(cascade_text(notice, [*early, *stages[REPLACED:LAST]]), "utf-8")
    print(f"written   {args.out}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    dataset.add_arguments(parser, "--data", several=True)
    false_finds.add_arguments(parser)
    parser.add_argument("--out", type=output_file(".xml"), required=True, metavar="XML")
    outputs.add_arguments(parser)
    parser.add_argument(
        "--cascade",
        type=Path,
        default=OPENCV_FILE,
        metavar="XML",
        help=f"of upright features and stumps, for {FACE} pixels; default: OpenCV's",
    )
    parser.add_argument(
        "--features",
        type=at_least(1),
        default=6000,
        help="features to choose from, drawn from all that fit into the window",
    )
    parser.add_argument("--seed", type=at_least(0), default=1)
    args = parser.parse_args()
    try:
        outputs.need_free("--out", args.out, force=args.force)
        dataset.make_folder(args.out.parent, f"--out {args.out}")
        make(args)
    except (DataError, EdgeError, PictureError) as error:
        print(f"fast_cascade: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
