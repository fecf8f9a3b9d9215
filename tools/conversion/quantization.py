"""Quantize a model, compare it with its float original, and write it if it is good enough."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# the converter is part of TensorFlow, so Keras models need this backend
os.environ["KERAS_BACKEND"] = "tensorflow"

from tools.cli import keras_log  # noqa: F401  # isort: skip  # must come before Keras
import numpy as np
import numpy.typing as npt

from edge.audit.report import Share
from edge.types import LABELS, Image
from edge.vision.classifier import Classifier, Predictions
from edge.vision.preprocessing import Preprocessing
from tools.cli.progress import bar
from tools.conversion import accuracy_drop, bias_correction, caffe, chance_check, model_files
from tools.conversion.card import describe, training_of
from tools.conversion.chance_check import InputFormat
from tools.conversion.formats import RefusedError
from tools.conversion.tflite_converter import convert, float_tensors
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.evaluation import metrics
from tools.evaluation.metrics import HeadResult

Floats = npt.NDArray[np.float32]

MAX_SUM_ERROR = 0.05
"""Largest deviation of a face's probabilities from a sum of 1, because int8 rounds them."""
LENIENT_DROP = 50.0
"""Percentage points: with a --max-drop of this or more, a model may guess."""
TIMED_FACES = 50
LATENCY = Path(__file__).parents[1] / "latency.py"


def draw_balanced(samples: list[Sample], number: int, seed: int) -> list[Sample]:
    """At most `number` samples drawn at random, as many of each gender. Raises DataError."""
    rng = np.random.default_rng(seed)
    drawn: list[Sample] = []
    for label, name in enumerate(LABELS):
        group = [sample for sample in samples if sample.label == label]
        if not group:
            raise DataError(f"no {name} faces to calibrate with")
        count = min(len(group), number // len(LABELS))
        drawn += [group[i] for i in rng.choice(len(group), count, replace=False)]
    return drawn


def predict(model: Path, crops: list[Image], what: str) -> Predictions:
    """A model's predictions for the crops. Raises DataError if they are not probabilities.

    `what` names the progress bar.
    """
    predictions = Classifier(model)(bar(iter(crops), len(crops), what))
    for probabilities in (predictions.gender, predictions.age):
        if probabilities is None:
            continue
        if not np.isfinite(probabilities).all():
            raise DataError("the model gives nan for some faces: its weights are broken")
        if not (probabilities.min() >= -0.01 and probabilities.max() <= 1.01):
            raise DataError(
                f"the model gives {probabilities.max():.2f}, which is not a probability: it must "
                "end in sigmoid or softmax"
            )
        total = probabilities.sum(axis=1)
        if np.abs(total - 1).max() > MAX_SUM_ERROR:
            raise DataError(
                f"the model's outputs add up to {total.min():.2f} to {total.max():.2f}, not to 1: "
                "it must end in softmax"
            )
    return predictions


def require_better_than_chance(
    args: argparse.Namespace,
    model: str,
    results: Mapping[str, HeadResult],
    find_better_input: Callable[[], InputFormat | None],
) -> None:
    """Raises RefusedError if a model only guesses, with the input that suits it better, if any.

    With a `--max-drop` of `LENIENT_DROP` or more it may guess, if no other input is better.
    """
    lenient = args.max_drop >= LENIENT_DROP
    for result in results.values():
        is_gender = result.classes == LABELS
        strict_reason = chance_check.guessing_reason(result)
        reason = chance_check.guessing_reason(result, lenient=lenient)
        better = find_better_input() if is_gender and strict_reason else None
        if reason or better:
            raise RefusedError(
                f"{model} {reason or strict_reason}"
                + (f": {chance_check.advice(better)}" if is_gender else "")
            )


def require_labels_in_order(args: argparse.Namespace, results: Mapping[str, HeadResult]) -> None:
    """Raises RefusedError if the model is worse than chance."""
    gender = results.get("gender")
    if gender is None or Share(int(gender.correct.sum()), len(gender.faces)).interval[1] >= 0.5:
        return
    raise RefusedError(
        f"{args.model} is worse than chance: its --labels may be the other way round, or "
        "--mean and --std not those it was trained with"
    )


def quantize(args: argparse.Namespace) -> int:
    """Convert, compare, print and write. Raises RefusedError or DataError."""
    training = training_of(args.model)
    data = dataset.load(args.calibrate, args.layout, args.detect)

    def faces(split: str, number: int) -> list[Sample]:
        drawn = draw_balanced(data.part(split), number, args.seed)
        usable, _ = dataset.find_faces(drawn, split, args.face_cache)
        if not usable:
            raise DataError(f"data {args.calibrate}: no face was found in split {split!r}")
        return usable

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.prototxt:
            mean = args.mean * 3 if len(args.mean) == 1 else args.mean or [0.0] * 3
            network = caffe.read(args.prototxt, args.model, mean, args.std or 1.0)
            saved = model_files.export(network, folder / "saved")
        else:
            saved, network = model_files.saved_model(args.model, folder)
        float_bytes = convert(saved, "float32", [], Preprocessing())
        (folder / "float.tflite").write_bytes(float_bytes)
        card = describe(folder / "float.tflite", args, training)
        reference = card.write(float_bytes, folder / "float.tflite")

        held_out = faces("val", args.test_faces)
        crops = dataset.crops_of(held_out, card.input)
        before = metrics.by_head(held_out, predict(reference, crops, "float"))
        if not before:
            raise DataError(f"data {args.calibrate}: has no ages to compare with")

        def find_better_input() -> InputFormat | None:
            def genders(entry: Preprocessing, faces: Sequence[Image]) -> Floats:
                other = folder / "other.tflite"
                card.model_copy(update={"input": entry}).write(float_bytes, other)
                return Classifier(other).genders(faces)

            labels = [sample.label for sample in held_out]
            return chance_check.better_input(genders, crops, labels, card.input)

        require_labels_in_order(args, before)
        require_better_than_chance(args, str(args.model), before, find_better_input)
        is_foreign = not training and not args.prototxt
        if "gender" in before and is_foreign and (better := find_better_input()):
            print(f"quantize: {args.model}: {chance_check.advice(better)}", file=sys.stderr)

        calibration = dataset.crops_of(faces("train", args.calibration_faces), card.input)
        if args.type == "int8" and network is not None and bias_correction.is_correctable(network):
            network = bias_correction.fold_batch_norm(network)
            bias_correction.correct(network, card.input.normalize(np.stack(calibration)))
            saved = model_files.export(network, folder / "corrected")
        converted = convert(saved, args.type, calibration, card.input, args.ends)
        trial = card.write(converted, folder / "trial.tflite")
        floats = float_tensors(trial) if args.type == "int8" else []
        if floats:
            names = [name for name in floats if not name.startswith("tfl.")] or floats
            raise DataError(
                f"{args.model}: these parts did not become int8: {', '.join(names[:5])}; leave out "
                "or replace their layers"
            )

        after = metrics.by_head(held_out, predict(trial, crops, args.type))
        figures, changes = accuracy_drop.compare(before, after)
        print_summary(args, card.input, len(converted), len(float_bytes), figures, changes)
        print_latency(trial, crops[:TIMED_FACES], folder)

    if reason := accuracy_drop.excess_drop(figures, args.max_drop):
        raise RefusedError(reason)
    require_better_than_chance(args, f"{args.model} as {args.type}", after, lambda: None)
    notes = {**card.notes, "metrics": {"quantisation": figures}}
    card.model_copy(update={"notes": notes}).write(converted, args.out)
    print(f"written    {args.out} and {args.out.with_suffix('.json').name}")
    return 0


def print_latency(model: Path, crops: list[Image], folder: Path) -> None:
    """Time a model on crops, saved in `folder`, in a process of its own, and print the lines."""
    np.save(folder / "crops.npy", np.stack(crops))
    command = [sys.executable, str(LATENCY), str(model)]
    command += ["--crops", str(folder / "crops.npy")]
    latency = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in latency.stdout.splitlines():
        print(f"{'runs':<10} {line.replace(str(model), model.name)}")


def print_summary(
    args: argparse.Namespace,
    entry: Preprocessing,
    size: int,
    float_size: int,
    figures: dict[str, dict[str, Any]],
    changes: list[str],
) -> None:
    """Print size, input and accuracy; with latency they fit on one screen. Sizes are in bytes."""
    kind = f"{args.type}, {args.ends} in and out" if args.type == "int8" else args.type
    print(f"{'model':<10} {kind}, {size / 1e6:.2f} MB (float32: {float_size / 1e6:.2f} MB)")
    print(f"{'input':<10} {entry.size} px {entry.colour}, (pixel - {entry.mean}) / {entry.std}")
    for name, head in figures.items():
        print(
            f"{'held out':<10} {head['faces']} faces, {head['agreement']:.2%} get the same {name}"
        )
        print(
            f"{'accuracy':<10} {head['float_accuracy']:.2%} float, "
            f"{head['accuracy']:.2%} {args.type}"
        )
    for line in changes:
        print(f"{'changed':<10} {line}")
