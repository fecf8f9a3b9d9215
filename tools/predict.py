"""Find the faces in pictures and print how the model labels each, as the daemon would.

python tools/predict.py --source photo.jpg --save seen.png
python tools/predict.py photo.jpg https://example.org/group.jpg --json
python tools/predict.py faces/ --csv faces-seen.csv --mistakes mistakes.png

Nothing is stored except the files that --save, --csv and --mistakes name.
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
from tools.plotting import boxes, image_files, screen

COLUMNS = ("file", "x", "y", "w", "h", "label", "confidence", "truth")
"""First columns of the table that --csv writes."""
NO_FACES = "no faces"
NO_GENDER = "gender not estimated"
"""Replaces the label if the model estimates age alone."""


@dataclass(frozen=True, slots=True)
class Input:
    """A picture that has not been read yet."""

    name: str
    read: Callable[[], bytes]
    """Raises PictureError."""
    truth: str | None = None
    """The label that a data set gives it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The faces of one picture."""

    file: str
    faces: list[ClassifiedFace]
    truth: str | None

    @property
    def largest(self) -> ClassifiedFace | None:
        """The largest face: the one that the picture's true label belongs to."""
        return max(self.faces, key=lambda face: face.box.w, default=None)

    @property
    def compared(self) -> HeadPrediction | None:
        """The prediction to compare with the true label; None if either is missing."""
        return self.largest.prediction.gender if self.truth and self.largest else None


def inputs(source: str, timeout_s: float) -> list[Input]:
    """The pictures of `source`: a URL, a picture, or all in a folder or zip file.

    Raises DataError.
    """
    if fetch.is_url(source):
        return [Input(source, partial(fetch.fetch, source, timeout_s))]
    path = Path(source)
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return [Input(source, partial(pictures.contents, path))]
    files = DataFiles(path)
    truths = _truths(files)
    members = [
        Input(str(path / member), partial(files.read, member), truths.get(member))
        for member in files.images()
    ]
    if not members:
        raise DataError(f"{source}: holds no pictures")
    return members


def _truths(files: DataFiles) -> dict[str, str]:
    """The true label of each picture; empty if they are not a data set."""
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


def analyze_all(
    pending: Sequence[Input],
    analyze: Callable[[Image], list[ClassifiedFace]],
    on_picture: Callable[[str, Image, list[ClassifiedFace]], None],
) -> list[Result]:
    """The results of all pictures that can be read; the others are named on stderr."""
    results, skipped = [], []
    for item in pending if len(pending) == 1 else bar(iter(pending), len(pending), "pictures"):
        try:
            image = pictures.decode(item.read())
        except PictureError as error:
            skipped.append(f"{item.name} {error}")
            continue
        faces = analyze(image)
        on_picture(item.name, image, faces)
        results.append(Result(item.name, faces, item.truth))
    for line in skipped:
        print(f"skipped: {line}", file=sys.stderr)
    return results


def labelled(image: Image, faces: Sequence[ClassifiedFace], *, min_width: int = 0) -> Image:
    """A copy of a B G R picture with a box around each face, or a note that there are none."""
    if not faces:
        return boxes.draw_note(image, NO_FACES)
    labels = [
        boxes.face_label(
            face,
            ", ".join(
                f"{text} {head.confidence:.2f}" for text, head in face.prediction.by_text.items()
            ),
        )
        for face in faces
    ]
    return boxes.draw_labels(image, labels, min_width=min_width)


def print_report(results: Iterable[Result]) -> None:
    """A block of lines per picture."""
    for result in results:
        name = result.file.encode(errors="backslashreplace").decode()  # it may not be UTF-8
        number = len(result.faces)
        faces = f"{number} face{'' if number == 1 else 's'}" if number else NO_FACES
        print(f"{name}: {faces}")
        for face in result.faces:
            x, y, w, h = _box(face)
            gender, age = face.prediction.gender, face.prediction.age
            line = f"{gender.label:<8} {gender.confidence:.2f}" if gender else NO_GENDER
            if age:
                line += f"  age {age.label:<8} {age.confidence:.2f}"
            print(f"  {line}  {w} x {h} at {x}, {y}")


def as_json(result: Result) -> dict[str, Any]:
    """`note` is null unless there is no face."""
    faces = [_face(face) for face in result.faces]
    return {"file": result.file, "faces": faces, "note": None if faces else NO_FACES}


def _face(face: ClassifiedFace) -> dict[str, Any]:
    """`label` and `confidence` are the gender's, null if the model does not estimate it; the keys
    of age are missing if it does not estimate that."""
    gender, age = face.prediction.gender, face.prediction.age
    fields = {
        "box": _box(face),
        "label": gender and gender.label,
        "confidence": gender and round(gender.confidence, 4),
    }
    if age:
        fields |= {"age": age.label, "age_confidence": round(age.confidence, 4)}
    return fields


def is_own_table(path: Path) -> bool:
    """Whether `write_csv` wrote this file, so that a newer table may replace it."""
    try:
        with path.open("rb") as file:
            return file.readline().startswith(",".join(COLUMNS).encode())
    except OSError:
        return False


def write_csv(results: Iterable[Result], path: Path, *, ages: bool) -> None:
    """A row per face, and a row with a note for each picture without faces.

    Raises EdgeError.
    """
    names = [*COLUMNS, *(["age", "age_confidence"] if ages else []), "note"]
    try:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            for result in results:
                faces = [_face(face) for face in result.faces]
                for fields in faces or [{"box": [None] * 4, "note": NO_FACES}]:
                    box = dict(zip("xywh", fields.pop("box"), strict=True))
                    table.writerow({"file": result.file, **box, **fields, "truth": result.truth})
    except OSError as error:
        raise EdgeError(f"{path}: cannot be written ({error.strerror})") from error


def _box(face: ClassifiedFace) -> list[int]:
    return [round(v) for v in (face.box.x, face.box.y, face.box.w, face.box.h)]


def accuracy(results: Sequence[Result]) -> str:
    """One line about labelled pictures, judged by the largest face in each."""
    faces = [(result.truth, result.compared.label) for result in results if result.compared]
    faceless = sum(result.truth is not None for result in results) - len(faces)
    right = sum(truth == label for truth, label in faces)
    unknown = sum(label == UNKNOWN for _, label in faces)
    fraction = f"{right / len(faces):.1%}" if faces else "none"
    return (
        f"accuracy  {fraction}: {right} of {len(faces)} right, "
        f"{len(faces) - right - unknown} wrong, {unknown} unknown; no face in {faceless} more"
    )


def save_mistakes(results: Iterable[Result], path: Path) -> None:
    """A sheet of the labelled faces that were predicted wrong. Raises EdgeError."""
    from tools.plotting import error_sheet  # makes Matplotlib write files only

    mistakes = [
        error_sheet.Mistake(
            Path(result.file).name, prediction.label, prediction.confidence, face.crop
        )
        for result in results
        if (face := result.largest)
        and (prediction := result.compared)
        and prediction.label not in (result.truth, UNKNOWN)
    ]
    if mistakes:
        error_sheet.save_sheet(mistakes, path)
    else:
        print(f"no mistakes: {path} is not written", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_sources(parser, "a zip file counts as a folder", metavar="PICTURE|FOLDER|URL", several=True)
    parser.add_argument("--model", type=Path, help="default: the configured one")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per picture")
    parser.add_argument("--save", type=Path, metavar="OUT", help="draw a single picture")
    parser.add_argument("--show", action="store_true", help="show each picture in a window")
    parser.add_argument(
        "--csv", type=Path, metavar="OUT", help="write a table instead of printing lines"
    )
    parser.add_argument(
        "--mistakes", type=Path, metavar="OUT", help="draw the mistakes in a labelled folder"
    )
    outputs.add_arguments(parser)
    add_verbose(parser)
    parser.add_argument("--timeout", type=float, default=15, help="seconds for a URL; default 15")
    args = parser.parse_args()
    named = named_sources(args)
    if not named:
        parser.error("name a picture, a folder or a URL")
    if not 0 < args.timeout <= 3600:
        parser.error("--timeout must be above 0 and at most 3600")
    if args.csv and args.csv.resolve() in [beside(Path(s)).resolve() for s in named]:
        parser.error(f"--csv {args.csv}: the other tools would read it as the labels of the folder")
    silence_opencv()

    def on_picture(name: str, image: Image, faces: list[ClassifiedFace]) -> None:
        if args.save:
            image_files.save_picture(labelled(image, faces), args.save)
        if args.show:
            picture = labelled(image, faces, min_width=boxes.READABLE_PX)
            screen.show_until_closed(picture, name)

    try:
        for option in ("csv", "mistakes", "save"):
            if out := getattr(args, option):
                outputs.need_other(f"--{option}", out, named)
                is_own = option == "csv" and is_own_table(out)
                outputs.need_free(f"--{option}", out, force=args.force or is_own)
                dataset.make_folder(out.parent, f"--{option} {out}")
                if option != "csv":
                    image_files.need_format(out)
        if args.show:
            screen.need_screen()
        pending = [item for source in named for item in inputs(source, args.timeout)]
        if args.save and len(pending) > 1:
            parser.error("--save needs a single picture")
        has_truth = any(item.truth for item in pending)
        if args.mistakes and not has_truth:
            parser.error(f"--mistakes needs a folder with {' and '.join(LABELS)} in it")
        config = load_config(args.config)
        cv2.setNumThreads(config.detector.threads)
        classify = open_model(config, args.model or config.classifier.model)
        card = classify.card
        if args.mistakes and not card.labels:
            parser.error(f"--mistakes: {card.name} estimates age alone, the folders give gender")
        analyze = partial(FaceAnalyzer(config), classify=classify)
        results = analyze_all(pending, analyze, on_picture)
        if args.csv:
            write_csv(results, args.csv, ages=bool(card.ages))
        if args.json:
            for result in results:
                print(json.dumps(as_json(result)))
        elif not args.csv:
            print_report(results)
        if has_truth and card.labels and not args.json:
            print(accuracy(results))
        if args.mistakes:
            save_mistakes(results, args.mistakes)
    except DataError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    except EdgeError as error:
        print(f"predict: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if results else 1


if __name__ == "__main__":
    run_command(main)
