"""Find the faces in pictures and say how the model labels each, as the daemon would.

python tools/predict.py --source photo.jpg --save seen.png
python tools/predict.py photo.jpg https://example.org/group.jpg --json
python tools/predict.py faces/ --csv faces-seen.csv --mistakes mistakes.png

Nothing is stored but what --save, --csv and --mistakes name.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from edge.config import load_config
from edge.errors import EdgeError
from edge.native_log import silence_opencv
from edge.sources import pictures
from edge.sources.pictures import PictureError
from edge.types import LABELS, UNKNOWN, Image
from tools.cli import outputs
from tools.cli.exit import add_verbose, run_command
from tools.cli.options import add_config, add_sources, named_sources
from tools.cli.progress import bar
from tools.datasets import dataset, fetch, readers
from tools.datasets.archive import DataError, DataFiles
from tools.datasets.readers import beside
from tools.evaluation.inference import ClassifiedFace, FaceAnalyzer, open_model
from tools.evaluation.prediction import HeadPrediction
from tools.plotting import drawing
from tools.plotting.drawing import Mistake

COLUMNS = ("file", "x", "y", "w", "h", "label", "confidence", "truth")
"""Of the table that --csv writes."""
GENDERLESS = "gender not estimated"
"""In place of the label, where the model gives age alone."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture that was asked for and not read yet."""

    name: str
    read: Callable[[], bytes]
    """Raises PictureError."""
    truth: str | None = None
    """The label that its folder gives it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at."""

    file: str
    looks: list[ClassifiedFace]
    truth: str | None

    @property
    def main(self) -> ClassifiedFace | None:
        """The largest face, which is the one that a label of the picture speaks of."""
        return max(self.looks, key=lambda look: look.box.w, default=None)

    @property
    def called(self) -> HeadPrediction | None:
        """What stands against the label; None where there is no label or nothing to compare."""
        return self.main.prediction.gender if self.truth and self.main else None


def items(source: str, timeout_s: float) -> list[Item]:
    """What `source` names: a URL, a picture, or all in a folder or zip file. Raises DataError."""
    if fetch.is_url(source):
        return [Item(source, partial(fetch.fetch, source, timeout_s))]
    path = Path(source)
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return [Item(source, partial(pictures.contents, path))]
    files = DataFiles(path)
    truths = _truths(files)
    found = [
        Item(str(path / member), partial(files.read, member), truths.get(member))
        for member in files.images()
    ]
    if not found:
        raise DataError(f"{source}: holds no pictures")
    return found


def _truths(files: DataFiles) -> dict[str, str]:
    """The label of each picture where they are a data set; else nothing."""
    try:
        layout = readers.recognize(files)
    except DataError:
        return {}
    try:
        entries = readers.read(files, layout)
    except DataError as error:
        print(f"labels not used: {error}", file=sys.stderr)
        return {}
    return {entry.member: LABELS[entry.label] for entry in entries}


def look_at(
    wanted: Sequence[Item],
    look: Callable[[Image], list[ClassifiedFace]],
    on_picture: Callable[[str, Image, list[ClassifiedFace]], None],
) -> list[Seen]:
    """What is seen in those that can be read; the others are named on stderr."""
    shown = wanted if len(wanted) == 1 else bar(iter(wanted), len(wanted), "pictures")
    seen, skipped = [], []
    for item in shown:
        try:
            image = pictures.decode(item.read())
        except PictureError as error:
            skipped.append(f"{item.name} {error}")
            continue
        looks = look(image)
        on_picture(item.name, image, looks)
        seen.append(Seen(item.name, looks, item.truth))
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    return seen


def show(seen: Iterable[Seen]) -> None:
    """A block per picture."""
    for one in seen:
        name = one.file.encode(errors="backslashreplace").decode()  # it may not be UTF-8
        number = len(one.looks)
        faces = f"{number} face{'' if number == 1 else 's'}" if number else drawing.NO_FACES
        print(f"{name}: {faces}")
        for look in one.looks:
            x, y, w, h = _box(look)
            gender, age = look.prediction.gender, look.prediction.age
            said = f"{gender.label:<8} {gender.confidence:.2f}" if gender else GENDERLESS
            if age:
                said += f"  age {age.label:<8} {age.confidence:.2f}"
            print(f"  {said}  {w} x {h} at {x}, {y}")


def as_json(one: Seen) -> dict[str, Any]:
    """`note` is null unless there is no face to speak of."""
    faces = [_face(look) for look in one.looks]
    return {"file": one.file, "faces": faces, "note": None if faces else drawing.NO_FACES}


def _face(look: ClassifiedFace) -> dict[str, Any]:
    """`label` and `confidence` are of the gender, null where the model does not estimate it; the
    keys of age are there where it does."""
    gender, age = look.prediction.gender, look.prediction.age
    face = {
        "box": _box(look),
        "label": gender and gender.label,
        "confidence": gender and round(gender.confidence, 4),
    }
    if age:
        face |= {"age": age.label, "age_confidence": round(age.confidence, 4)}
    return face


def is_own(path: Path) -> bool:
    """Whether a table was written by `write_csv`, so that a newer one may take its place."""
    try:
        with path.open("rb") as file:
            return file.readline().startswith(",".join(COLUMNS).encode())
    except OSError:
        return False


def write_csv(seen: Iterable[Seen], path: Path, *, ages: bool) -> None:
    """A row per face; one with a note in place of a face for a picture without any.

    Raises EdgeError.
    """
    names = [*COLUMNS, *(["age", "age_confidence"] if ages else []), "note"]
    try:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            for one in seen:
                faces = [_face(look) for look in one.looks]
                for face in faces or [{"box": [None] * 4, "note": drawing.NO_FACES}]:
                    box = dict(zip("xywh", face.pop("box"), strict=True))
                    table.writerow({"file": one.file, **box, **face, "truth": one.truth})
    except OSError as error:
        raise EdgeError(f"{path}: cannot be written ({error.strerror})") from error


def _box(look: ClassifiedFace) -> list[int]:
    return [round(v) for v in (look.box.x, look.box.y, look.box.w, look.box.h)]


def accuracy(seen: Sequence[Seen]) -> str:
    """One line about labelled pictures, by the largest face in each."""
    faces = [(one.truth, one.called.label) for one in seen if one.called]
    unseen = sum(one.truth is not None for one in seen) - len(faces)
    right = sum(truth == label for truth, label in faces)
    unknown = sum(label == UNKNOWN for _, label in faces)
    share = f"{right / len(faces):.1%}" if faces else "none"
    return (
        f"accuracy  {share}: {right} of {len(faces)} right, {len(faces) - right - unknown} wrong, "
        f"{unknown} unknown; no face in {unseen} more"
    )


def save_mistakes(seen: Iterable[Seen], path: Path) -> None:
    """The labelled faces that were called what they are not. Raises EdgeError."""
    wrong = [
        Mistake(Path(one.file).name, called.label, called.confidence, look.crop)
        for one in seen
        if (look := one.main)
        and (called := one.called)
        and called.label not in (one.truth, UNKNOWN)
    ]
    if wrong:
        drawing.save_mistakes(wrong, path)
    else:
        print(f"no mistakes: {path} is not written", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a zip file is a folder too", metavar="PICTURE|FOLDER|URL", several=True)
    parser.add_argument("--model", type=Path, help="default: the one that the configuration names")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture")
    parser.add_argument("--save", type=Path, metavar="OUT", help="write one picture, drawn")
    parser.add_argument("--show", action="store_true", help="show each in a window")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write a table instead of lines")
    parser.add_argument(
        "--mistakes", type=Path, metavar="OUT", help="of a labelled folder: draw what is wrong"
    )
    outputs.add_arguments(parser)
    add_verbose(parser)
    parser.add_argument("--timeout", type=float, default=15, help="seconds for a URL; default 15")
    args = parser.parse_args()
    named = named_sources(args)
    if not named:
        parser.error("name a picture, a folder or a URL")
    if not 0 < args.timeout <= 3600:
        parser.error("--timeout must be more than 0, and an hour at most")
    if args.csv and args.csv.resolve() in [beside(Path(s)).resolve() for s in named]:
        parser.error(f"--csv {args.csv}: the other tools would read it as the labels of the folder")
    silence_opencv()

    def on_picture(name: str, image: Image, looks: list[ClassifiedFace]) -> None:
        if args.save:
            drawing.save_labelled(image, looks, args.save)
        if args.show:
            drawing.show_labelled(image, looks, name)

    try:
        for option in ("csv", "mistakes", "save"):
            if out := getattr(args, option):
                drawing.need_other(out, named)
                again = option == "csv" and is_own(out)
                outputs.need_free(f"--{option}", out, force=args.force or again)
                dataset.make_folder(out.parent, f"--{option} {out}")
                if option != "csv":
                    drawing.need_format(out)
        if args.show:
            drawing.need_screen()
        wanted = [item for source in named for item in items(source, args.timeout)]
        if args.save and len(wanted) > 1:
            parser.error("--save needs a single picture")
        labelled = any(item.truth for item in wanted)
        if args.mistakes and not labelled:
            parser.error(f"--mistakes needs a folder with {' and '.join(LABELS)} in it")
        config = load_config(args.config)
        cv2.setNumThreads(config.detector.threads)
        classify = open_model(config, args.model or config.classifier.model)
        card = classify.card
        if args.mistakes and not card.labels:
            parser.error(f"--mistakes: {card.name} estimates age alone, the folders tell gender")
        look = partial(FaceAnalyzer(config), classify=classify)
        seen = look_at(wanted, look, on_picture)
        if args.csv:
            write_csv(seen, args.csv, ages=bool(card.ages))
        if args.json:
            for one in seen:
                print(json.dumps(as_json(one)))
        elif not args.csv:
            show(seen)
        if labelled and card.labels and not args.json:
            print(accuracy(seen))
        if args.mistakes:
            save_mistakes(seen, args.mistakes)
    except DataError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    except EdgeError as error:
        print(f"predict: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if seen else 1


if __name__ == "__main__":
    run_command(main)
