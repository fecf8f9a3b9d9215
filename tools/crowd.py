"""Make a film of a crowd and the truth about it, by seed, to measure the counts with.

python tools/crowd.py build/crowds/1.mp4 --seed 1
python tools/crowd.py build/crowds/2.mp4 --seed 2 --data faces/ --light 0.5
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from edge.errors import EdgeError
from edge.types import LABELS, Box, Image
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, fraction, not_negative, output_file, picture_size, positive
from tools.cli.progress import bar
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.plotting.film import Film
from tools.simulation import backgrounds, faces
from tools.simulation.camera import Camera
from tools.simulation.casting import Cast, draw_crowd, hang_posters
from tools.simulation.crowd import Crowd
from tools.simulation.faces import LabelledFace
from tools.simulation.stays import Stay

CAST, CAMERA = Cast(), Camera()
"""Defaults of the options."""
HEADER = """\
# people in the film, in order of appearance; seconds from when to when the face is in view
# path: seconds, x and y of the face's middle, and side of its box, pixels
"""


def labelled_faces(
    args: argparse.Namespace, number: int, rng: np.random.Generator
) -> list[LabelledFace]:
    """This many faces of the data set that the options name, or of the demo."""
    if args.data is None:
        return faces.of_the_demo(number, rng)
    samples = dataset.load(args.data, args.layout, args.detect).part(args.split)
    return faces.of_data(samples, number, rng, args.face_cache)


def write_film(path: Path, crowd: Crowd, cast: Cast, camera: Camera, seed: int) -> None:
    """Write what a camera sees of a crowd. Raises EdgeError."""
    rng = np.random.default_rng((seed, 1))
    film = Film(path, cast.fps)
    frames = round(cast.seconds * cast.fps)
    for number in bar(range(frames), frames, path.name):
        moment = number / cast.fps
        film(camera.take(crowd.draw(moment), rng), moment)
    film.close()


def write_truth(
    path: Path, seed: int, crowd: Crowd, cast: Cast, stays: Sequence[Stay], posters: Sequence[Box]
) -> None:
    """Write who is in the film, as tools/replay.py reads it."""
    genders = [stay.gender for stay in stays]
    truth = {
        "seed": seed,
        "fps": cast.fps,
        "size": list(crowd.size),
        "seconds": cast.seconds,
        **{label: genders.count(label) for label in LABELS},
        "backs": cast.backs,
        "posters": [[round(box.cx), round(box.cy), round(box.w)] for box in posters],
        "visits": [
            {**dataclasses.asdict(stay), "path": [list(place) for place in stay.path]}
            for stay in stays
        ],
    }
    text = yaml.safe_dump(truth, sort_keys=False, default_flow_style=None, width=100)
    path.write_text(HEADER + text, encoding="utf-8")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options: faces and background, people, camera, outputs."""
    parser.add_argument("film", type=output_file(".mp4"), help="the film; NAME.yaml has the truth")
    parser.add_argument("--seed", type=at_least(0), default=1, help="another seed, another crowd")
    dataset.add_arguments(parser, "--data", needed=False)
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="test")
    parser.add_argument(
        "--background", type=Path, metavar="PATH", help="a picture or folder; default: generated"
    )
    people = parser.add_argument_group("people")
    people.add_argument("--people", type=at_least(0), default=CAST.people, metavar="N")
    people.add_argument(
        "--backs", type=at_least(0), default=CAST.backs, metavar="N", help="seen from behind only"
    )
    people.add_argument(
        "--masks", type=fraction, default=CAST.masks, metavar="FRACTION", help="of people"
    )
    people.add_argument(
        "--posters", type=at_least(0), default=0, metavar="N", help="on the wall, each with a face"
    )
    camera = parser.add_argument_group("camera")
    camera.add_argument("--seconds", type=positive, default=CAST.seconds)
    camera.add_argument("--fps", type=positive, default=CAST.fps)
    camera.add_argument("--size", type=picture_size, default=(640, 360), metavar="WxH")
    camera.add_argument("--light", type=positive, default=CAMERA.light, help="factor; default: 1")
    camera.add_argument("--noise", type=not_negative, default=CAMERA.noise, help="levels of 255")
    camera.add_argument("--blur", type=not_negative, default=CAMERA.blur, help="pixels")
    camera.add_argument("--jpeg", type=at_least(1), metavar="QUALITY", help="1 to 100")
    outputs.add_arguments(parser)


def background_and_posters(
    args: argparse.Namespace, rng: np.random.Generator
) -> tuple[Image, list[Box]]:
    """The background that the options ask for, with posters on it, and the posters' faces."""
    if args.background is None:
        background = backgrounds.generated(args.size, rng)
    else:
        background = backgrounds.read(args.background, args.size, rng)
    return background, hang_posters(background, labelled_faces(args, args.posters, rng), rng)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    args = parser.parse_args()
    if args.jpeg is not None and args.jpeg > 100:
        parser.error("--jpeg must be 1 to 100")
    cast = Cast(args.people, args.backs, args.masks, args.seconds, args.fps)
    camera = Camera(args.light, args.noise, args.blur, args.jpeg)
    truth = args.film.with_suffix(".yaml")
    rng = np.random.default_rng(args.seed)
    try:
        for path in (args.film, truth):
            outputs.need_free("film", path, force=args.force)
        dataset.make_folder(args.film.parent, f"film {args.film}")
        background, posters = background_and_posters(args, rng)
        drawn = labelled_faces(args, cast.people + cast.backs, rng)
        crowd, stays = draw_crowd(cast, drawn, background, rng)
        write_film(args.film, crowd, cast, camera, args.seed)
        write_truth(truth, args.seed, crowd, cast, stays, posters)
    except DataError as error:
        print(f"crowd: {error}", file=sys.stderr)
        return 2
    except EdgeError as error:
        print(f"crowd: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"{args.film}: {len(stays)} people in {cast.seconds:g} s; who they are is in {truth.name}"
    )
    return 0


if __name__ == "__main__":
    run_command(main)
