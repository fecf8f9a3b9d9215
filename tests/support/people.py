"""Records the clip and the picture that the tests share: the demo's people, who do not exist.

    python tests/support/people.py [FOLDER]

Writes people.mp4, people.yaml with who is in it, and people.jpg; FOLDER is tests/data by default.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from edge.sources.demo import CYCLE_S, LANES, PEOPLE, WIDTH, Scene, Walker
from edge.types import LABELS, Image

FOLDER = Path(__file__).parents[1] / "data"
SEED = 1
SIZE = (480, 270)
"""Width and height of the clip, pixels."""
FPS = 12.5
"""Frames per second of the clip."""
CLIP_CYCLE = 3
"""A woman and a man walk past in this cycle of the scene, and are in view together."""
CLIP_S = 6.4
"""Length of the clip, seconds; at its end the view is empty."""
PICTURE_S = 1502.6
"""Seconds into the scene: a woman is in view, and two men to her right."""
HEADER = "# people in the clip, in order of appearance; seconds of full visibility\n"


def frames() -> Iterator[Image]:
    """The clip's frames, of `SIZE`, B G R."""
    scene = Scene(SEED)
    for number in range(round(CLIP_S * FPS)):
        view = scene.draw(CLIP_CYCLE * CYCLE_S + number / FPS)
        yield np.asarray(cv2.resize(view, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def truth() -> dict[str, Any]:
    """Who is in the clip, as tools/replay.py reads it."""
    scene = Scene(SEED)
    people = scene.people(CLIP_CYCLE)
    visits = [_visit(walker) for walker in scene.group(CLIP_CYCLE)]
    return {
        "fps": FPS,
        "size": list(SIZE),
        "seconds": CLIP_S,
        **{gender: getattr(people, gender) for gender in LABELS},
        "visits": sorted(visits, key=lambda visit: visit["first_s"]),
    }


def _visit(walker: Walker) -> dict[str, Any]:
    """When the whole face is in view, and how wide it is in the clip."""
    name = sorted(PEOPLE.glob("*.jpg"))[walker.face].name
    width = LANES[walker.lane][1]
    # the center of the face moves from -width to WIDTH + width at constant speed
    hidden = 1.5 * width / (WIDTH + 2 * width) * walker.seconds
    return {
        "gender": name.split("-")[0],
        "first_s": round(walker.start + hidden, 2),
        "last_s": round(walker.start + walker.seconds - hidden, 2),
        "face_px": round(width * SIZE[0] / WIDTH),
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    clip = cv2.VideoWriter(str(folder / "people.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    for frame in frames():
        clip.write(frame)
    clip.release()
    text = yaml.safe_dump(truth(), sort_keys=False, default_flow_style=None)
    (folder / "people.yaml").write_text(HEADER + text)
    picture = Scene(SEED).draw(PICTURE_S)
    cv2.imwrite(str(folder / "people.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
