"""Set a model's line between women and men, its certainty, and the balance of its age groups.

    python tools/calibrate.py build/quantized.tflite --data faces.zip --data more-faces \
        --out build/gender.tflite

It learns this from the val splits. What the network sees in a face stays as it is.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge.errors import EdgeError
from edge.sources.pictures import PictureError
from edge.types import AGE_GROUPS, LABELS, Image
from edge.vision.model_card import ModelCard
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import Floats, read_model
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, output_file
from tools.cli.progress import bar
from tools.conversion import card
from tools.conversion.activations import Activations
from tools.conversion.output_scaling import Scaling, scaled, with_log_odds
from tools.datasets import ages, dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.training.balance import balanced_weights
from tools.training.calibration import Ages, even_ages, platt_scaling

MIN_AGE = 12
"""Genders of younger faces are guesses, which say nothing of the line."""
MIN_OF_EACH, MIN_AGES = 150, 300
"""Fewest women, men and faces of known age to learn from; else chance would put the line."""
MALE = LABELS.index("male")


def log_odds_of(
    model: bytes, crops: Iterable[Image], preprocessing: Preprocessing
) -> dict[int, Floats]:
    """What a model gives crops before its sigmoid or softmax, float32 (crops, n).

    By n, the number of an output's values. Raises DataError as `with_log_odds`, or ModelError.
    """
    data, names = with_log_odds(model)
    activations = Activations(data, list(names.values()), preprocessing)
    rows = [activations(crop) for crop in crops]
    return {
        width: np.reshape([row[index] for row in rows], (-1, width))
        for index, width in enumerate(names)
    }


def gender_scaling(
    labels: Sequence[str], faces: Sequence[Sample], log_odds: Floats
) -> Scaling | None:
    """The scaling of a model's output for `labels`; None if it is better left as it is.

    `log_odds` are float32 (faces, 1) before a sigmoid, (faces, 2) before a softmax.
    """
    known = Counter(face.label for face in faces)
    if min(known[label] for label in range(len(LABELS))) < MIN_OF_EACH:
        numbers = ", ".join(f"{known[label]} {name}" for label, name in enumerate(LABELS))
        print(f"gender    left as it is: {numbers}; at least {MIN_OF_EACH} of each are needed")
        return None
    values = log_odds.astype(np.float64)
    # a sigmoid's value is for the second label
    second = values[:, 0] if values.shape[1] == 1 else values[:, 1] - values[:, 0]
    sign = 1.0 if labels[1] == LABELS[MALE] else -1.0
    before = sign * second
    male = np.array([float(face.label == MALE) for face in faces])
    fit = platt_scaling(before, male, np.array(balanced_weights(faces)))
    if fit is None:
        print("gender    left as it is: hardly better than chance on these faces")
        return None
    shift = float(fit.shift[0])
    print(f"gender    {len(faces)} faces: log odds of a man x {fit.scale:.2f} {shift:+.2f}")
    for label, name in enumerate(LABELS):
        own = male == float(label == MALE)
        was, now = (
            ((values > 0) == (label == MALE))[own].mean()
            for values in (before, before * fit.scale + shift)
        )
        print(f"{name:<10}{was:.1%} right before, {now:.1%} now")
    each = (1.0,) if log_odds.shape[1] == 1 else (-0.5, 0.5)
    return Scaling(fit.scale, np.asarray(sign * shift * np.array(each), np.float32))


def age_scaling(faces: Sequence[Sample], log_odds: Floats) -> Scaling | None:
    """The scaling of a model's output for ages; None if there are too few faces of known age.

    `log_odds` are float32 (faces, 8).
    """
    known = {i: ages.group(face.age) for i, face in enumerate(faces) if face.age is not None}
    if len(known) < MIN_AGES:
        print(f"age       left as it is: {len(known)} ages known; at least {MIN_AGES} are needed")
        return None
    by_set: dict[Path, list[int]] = {}
    for i in known:
        by_set.setdefault(faces[i].files.path, []).append(i)
    sets = [
        Ages(log_odds[rows].astype(np.float64), np.array([known[i] for i in rows]))
        for rows in by_set.values()
    ]
    evenness, scaling = even_ages(sets)
    print(
        f"age       {len(known)} faces: groups evened by {evenness:.2f}, "
        f"log odds x {scaling.scale:.2f}"
    )
    shifts = np.zeros(len(AGE_GROUPS)), scaling.shift / scaling.scale
    for path, data in zip(by_set, sets, strict=True):
        right, wrong = (
            [f"{figure(shift):.1%}" for shift in shifts]
            for figure in (data.right, data.share_error)
        )
        print(f"{path.name}: right {right[0]} before, {right[1]} now; ", end="")
        print(f"shares of groups wrong by {wrong[0]} before, {wrong[1]} now")
    return scaling


def scaling_of(
    head: str, model: ModelCard, faces: Sequence[Sample], log_odds: dict[int, Floats], min_age: int
) -> Scaling | None:
    """The scaling of the output for `gender` or `age`; None if it is better left as it is.

    `log_odds` are those of `log_odds_of`, and `min_age` is in years.
    """
    if head == "age":
        return age_scaling(faces, log_odds[len(AGE_GROUPS)])
    values = log_odds[1 if model.output == "sigmoid" else len(LABELS)]
    old = [i for i, face in enumerate(faces) if face.age is None or face.age >= min_age]
    return gender_scaling(model.labels, [faces[i] for i in old], values[old])


def calibrate(args: argparse.Namespace) -> None:
    """Write the model as it is right for these faces. Raises DataError, EdgeError, PictureError."""
    model = card.copied(args.model)
    estimated = {"gender": model.labels, "age": model.ages}
    heads = [args.only] if args.only else [head for head in estimated if estimated[head]]
    if args.only and not estimated[args.only]:
        raise DataError(f"--only {args.only}: {args.model} does not estimate it")
    faces: list[Sample] = []
    for path in args.data:
        samples = dataset.load(path, args.layout, args.detect).part("val")
        faces += dataset.find_faces(samples, f"{path.name}, val", args.face_cache)[0]
    crops = bar((dataset.crop_of(face, model.input) for face in faces), len(faces), "model")
    data = read_model(args.model)
    try:
        log_odds = log_odds_of(data, crops, model.input)
        fits = {head: scaling_of(head, model, faces, log_odds, args.min_age) for head in heads}
        scalings = {head: fit for head, fit in fits.items() if fit is not None}
        data = scaled(data, scalings.values()) if scalings else data
    except DataError as error:
        raise DataError(f"model {args.model}: {error}") from error
    if scalings:
        sets = [path.name for path in args.data]
        how = model.notes.get("calibrated", {}) | {
            head: {"data": sets, "scale": fit.scale, "shift": fit.shift.tolist()}
            for head, fit in scalings.items()
        }
        model = model.model_copy(update={"notes": model.notes | {"calibrated": how}})
    model.write(data, args.out)
    print(f"written   {args.out}; measure it with tools/evaluate.py --record")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="an int8 .tflite file, its JSON beside it")
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument("--out", type=output_file(".tflite"), required=True, metavar="TFLITE")
    outputs.add_arguments(parser)
    parser.add_argument("--only", choices=["gender", "age"], help="leave the other output as it is")
    parser.add_argument(
        "--min-age",
        type=at_least(0),
        default=MIN_AGE,
        help="leave out younger faces for the gender, years",
    )
    args = parser.parse_args()
    try:
        for file in (args.out, args.out.with_suffix(".json")):
            outputs.need_free("--out", file, force=args.force)
        dataset.make_folder(args.out.parent, f"--out {args.out}")
        calibrate(args)
    except (DataError, EdgeError, PictureError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
