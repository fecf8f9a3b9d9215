"""Turn a trained model into the full-int8 TFLite file, and its JSON, that the daemon runs.

    python tools/quantize.py build/gender.keras --calibrate faces.zip

They lie beside the model, as build/gender.tflite and gender.json, unless --out says otherwise.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# the converter is part of TensorFlow, so Keras models are read on that backend
os.environ["KERAS_BACKEND"] = "tensorflow"

from tools.cli import keras_log  # noqa: F401  # isort: skip
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edge import native_log
from edge.errors import EdgeError
from edge.types import LABELS, Image
from edge.vision.classifier import Classifier, Predictions
from edge.vision.model_card import MODEL_NAME
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import open_interpreter
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.progress import bar
from tools.conversion import bias_correction, caffe, chance_check, model_files
from tools.conversion.card import describe, training_of
from tools.conversion.chance_check import Input
from tools.conversion.model_files import ConversionError
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.evaluation import metrics
from tools.evaluation.metrics import HeadResult, wilson_interval

Floats = npt.NDArray[np.float32]

MOST_ASIDE = 0.05
"""How far a face's probabilities may be from adding up to 1, as int8 rounds them."""
ANYTHING = 50.0
"""Points that make any accuracy of two labels one of chance."""
TYPES = ("int8", "float16", "dynamic", "float32")
WORST = 3
TIMED_FACES = 50


class RefusedError(Exception):
    """The model was made, but is not good enough to be written; the text says why."""


def convert(
    model: Path, kind: str, crops: list[Image], preprocessing: Preprocessing, ends: str = "int8"
) -> bytes:
    """A TFLite file from a SavedModel.

    `int8` quantises everything, ends included (int8 or uint8), weights per channel, with ranges
    measured on `crops`; `dynamic` has int8 weights and float arithmetic; `float16` halves weights.
    Raises ConversionError.
    """
    with native_log.captured():
        try:
            return _converted(model, kind, crops, preprocessing, ends)
        except Exception as error:  # the converter raises what it happens upon
            reason = model_files.failure(str(error))
    raise ConversionError(f"cannot be converted: {reason}")


def _converted(
    model: Path, kind: str, crops: list[Image], preprocessing: Preprocessing, ends: str
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(model))
    # per-channel dense weights crash tflite-runtime 2.14 on aarch64
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "int8":
        converter.representative_dataset = lambda: (
            [preprocessing.normalize(crop[None])] for crop in bar(crops, len(crops), "calibration")
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(ends)
    return bytes(converter.convert())


def by_class(samples: list[Sample], number: int, seed: int) -> list[Sample]:
    """`number` samples drawn at random, the same share of each class."""
    rng = np.random.default_rng(seed)
    chosen: list[Sample] = []
    for label, name in enumerate(LABELS):
        group = [sample for sample in samples if sample.label == label]
        if not group:
            raise DataError(f"no {name} faces to calibrate with")
        count = min(len(group), number // len(LABELS))
        chosen += [group[i] for i in rng.choice(len(group), count, replace=False)]
    return chosen


def float_tensors(path: Path) -> list[str]:
    """Names of the model's tensors that are neither int8 (uint8 at the ends) nor int32 biases."""
    interpreter, _ = open_interpreter(path)
    return [
        str(detail["name"])
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] not in (np.int8, np.uint8, np.int32)
    ]


def compare(
    before: Mapping[str, HeadResult], after: Mapping[str, HeadResult]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Accuracies and agreement by head, and the faces whose prediction changed most."""
    figures: dict[str, dict[str, Any]] = {}
    changed: list[str] = []
    for name, was in before.items():
        now = after[name]
        difference = np.abs(now.probabilities - was.probabilities)
        figures[name] = {
            "faces": len(was.faces),
            "float_accuracy": round(float(was.correct.mean()), 4),
            "accuracy": round(float(now.correct.mean()), 4),
            "agreement": round(float(np.mean(now.predicted == was.predicted)), 4),
            "mean_difference": round(float(difference.mean()), 4),
        }
        if not changed:
            for i in np.argsort(-difference.max(axis=1))[:WORST]:
                label = was.predicted[i]
                p, q = was.probabilities[i, label], now.probabilities[i, label]
                name = was.classes[label]
                changed.append(f"{was.faces[i].name}: p({name}) {p:.2f} became {q:.2f}")
    return figures, changed


def look(model: Path, crops: list[Image], what: str) -> Predictions:
    """What a model says of each crop. Raises DataError where it gives no probabilities."""
    said = Classifier(model)(bar(iter(crops), len(crops), what))
    for answers in (said.gender, said.age):
        if answers is None:
            continue
        if not np.isfinite(answers).all():
            raise DataError("the model gives nan for some faces: its weights are broken")
        if not (answers.min() >= -0.01 and answers.max() <= 1.01):
            raise DataError(
                f"the model gives {answers.max():.2f}, which is no probability: it must end in "
                "sigmoid or softmax"
            )
        total = answers.sum(axis=1)
        if np.abs(total - 1).max() > MOST_ASIDE:
            raise DataError(
                f"the model's answers add up to {total.min():.2f} to {total.max():.2f}, not to 1: "
                "it must end in softmax"
            )
    return said


def need_knowledge(
    args: argparse.Namespace,
    model: str,
    results: Mapping[str, HeadResult],
    find: Callable[[], Input | None],
) -> None:
    """Raises RefusedError if a model only guesses.

    `find` looks for an input with which it knows more gender. With a `--max-drop` of `ANYTHING` or
    more a model may guess, if no other input is better.
    """
    lenient = args.max_drop >= ANYTHING
    for result in results.values():
        gender = result.classes == LABELS
        strict, reason = chance_check.guess(result), chance_check.guess(result, lenient=lenient)
        found = find() if gender and strict else None
        if reason or found:
            raise RefusedError(
                f"{model} {reason or strict}"
                + (f": {chance_check.advice(found)}" if gender else "")
            )


def reversed_labels(args: argparse.Namespace, results: Mapping[str, HeadResult]) -> str | None:
    """What to say of a model that is worse than chance; None if it is not."""
    gender = results.get("gender")
    if gender is None or wilson_interval(int(gender.correct.sum()), len(gender.faces))[1] >= 0.5:
        return None
    return (
        f"{args.model} is worse than chance: its --labels may be the other way round, or "
        "--mean and --std not those it was trained with"
    )


def refusal(args: argparse.Namespace, figures: dict[str, dict[str, Any]]) -> str | None:
    """Why the new file shall not take the place of an old one; None where it may."""
    drop = 100 * max(head["float_accuracy"] - head["accuracy"] for head in figures.values())
    if drop > args.max_drop:
        return f"loses {drop:.2f} points, more than --max-drop {args.max_drop}"
    return None


def quantize(args: argparse.Namespace) -> int:
    for file in (args.out, args.out.with_suffix(".json")):
        outputs.need_free("--out", file, force=args.force)
    dataset.make_folder(args.out.parent, f"--out {args.out}")
    training = training_of(args.model)
    data = dataset.load(args.calibrate, args.layout, args.detect)

    def faces(split: str, number: int) -> list[Sample]:
        found = dataset.find_faces(by_class(data.part(split), number, args.seed), split)[0]
        if not found:
            raise DataError(f"data {args.calibrate}: no face was found in split {split!r}")
        return found

    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        if args.prototxt:
            mean = args.mean * 3 if len(args.mean) == 1 else args.mean or [0.0] * 3
            network = caffe.read(args.prototxt, args.model, mean, args.std or 1.0)
            saved = model_files.export(network, room / "saved")
        else:
            saved, network = model_files.saved_model(args.model, room)
        plain = convert(saved, "float32", [], Preprocessing())
        (room / "float.tflite").write_bytes(plain)
        card = describe(room / "float.tflite", args, training)
        reference = card.write(plain, room / "float.tflite")

        held_out = faces("val", args.test_faces)
        crops = dataset.crops_of(held_out, card.input)
        before = metrics.by_head(held_out, look(reference, crops, "float"))
        if not before:
            raise DataError(f"data {args.calibrate}: has no ages to compare by")

        def find() -> Input | None:
            def ask(entry: Preprocessing, faces: Sequence[Image]) -> Floats:
                card.model_copy(update={"input": entry}).write(plain, room / "other.tflite")
                return Classifier(room / "other.tflite").genders(faces)

            labels = [sample.label for sample in held_out]
            return chance_check.better_input(ask, crops, labels, card.input)

        if reason := reversed_labels(args, before):
            raise RefusedError(reason)
        need_knowledge(args, str(args.model), before, find)
        if "gender" in before and not training and not args.prototxt and (found := find()):
            print(f"quantize: {args.model}: {chance_check.advice(found)}", file=sys.stderr)

        calibration = dataset.crops_of(faces("train", args.calibration_faces), card.input)
        if args.type == "int8" and network is not None and bias_correction.is_correctable(network):
            network = bias_correction.fold_batch_norm(network)
            bias_correction.correct(network, card.input.normalize(np.stack(calibration)))
            saved = model_files.export(network, room / "corrected")
        made = convert(saved, args.type, calibration, card.input, args.ends)
        trial = card.write(made, room / "trial.tflite")
        rest = float_tensors(trial) if args.type == "int8" else []
        if rest:
            names = [name for name in rest if not name.startswith("tfl.")] or rest
            raise DataError(
                f"{args.model}: not all of it became int8: {', '.join(names[:5])}; leave out or "
                "replace these layers"
            )

        after = metrics.by_head(held_out, look(trial, crops, args.type))
        figures, changed = compare(before, after)
        show(args, card.input, len(made), len(plain), figures, changed)
        np.save(room / "crops.npy", np.stack(crops[:TIMED_FACES]))
        latency = [sys.executable, str(Path(__file__).with_name("latency.py")), str(trial)]
        done = subprocess.run(
            [*latency, "--crops", str(room / "crops.npy")],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in done.stdout.splitlines():
            print(f"{'runs':<10} {line.replace(str(trial), trial.name)}")

    if reason := refusal(args, figures):
        raise RefusedError(reason)
    need_knowledge(args, f"{args.model} as {args.type}", after, lambda: None)
    notes = {**card.notes, "metrics": {"quantisation": figures}}
    try:
        card.model_copy(update={"notes": notes}).write(made, args.out)
    except OSError as error:
        raise DataError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    print(f"written    {args.out} and {args.out.with_suffix('.json').name}")
    return 0


def show(
    args: argparse.Namespace,
    entry: Preprocessing,
    size: int,
    float_size: int,
    figures: dict[str, dict[str, Any]],
    changed: list[str],
) -> None:
    """What was made, on one screen with what follows."""
    kind = f"{args.type}, {args.ends} ends" if args.type == "int8" else args.type
    print(f"{'made':<10} {kind}, {size / 1e6:.2f} MB (float32: {float_size / 1e6:.2f} MB)")
    print(f"{'input':<10} {entry.size} px {entry.colour}, (pixel - {entry.mean}) / {entry.std}")
    for name, head in figures.items():
        print(
            f"{'held out':<10} {head['faces']} faces, {head['agreement']:.2%} get the same {name}"
        )
        print(
            f"{'accuracy':<10} {head['float_accuracy']:.2%} float, "
            f"{head['accuracy']:.2%} {args.type}"
        )
    for line in changed:
        print(f"{'changed':<10} {line}")


def numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help=f"{model_files.KINDS}; or a .caffemodel")
    dataset.add_arguments(parser, "--calibrate")
    parser.add_argument(
        "--out", type=Path, metavar="TFLITE", help="default: beside the model, by its name"
    )
    outputs.add_arguments(parser)
    parser.add_argument("--type", choices=TYPES, default="int8")
    parser.add_argument(
        "--ends", choices=("int8", "uint8"), default="int8", help="of an int8 model"
    )
    parser.add_argument("--name", help="default: what it estimates and its network")
    parser.add_argument(
        "--labels",
        default=",".join(LABELS),
        choices=[",".join(LABELS), ",".join(reversed(LABELS))],
        help="what the outputs mean; one sigmoid output is the second",
    )
    parser.add_argument(
        "--prototxt", type=Path, metavar="FILE", help="describes a .caffemodel: deploy.prototxt"
    )
    parser.add_argument(
        "--mean",
        type=numbers,
        default=[],
        help="input = (pixel - mean) / std; for a .caffemodel also three, of blue, green and red",
    )
    parser.add_argument(
        "--std",
        type=float,
        help="default of both: as it was trained, else 127.5; of a .caffemodel 0 and 1",
    )
    parser.add_argument("--calibration-faces", type=int, default=500)
    parser.add_argument("--test-faces", type=int, default=1000)
    parser.add_argument(
        "--max-drop",
        type=float,
        default=1.0,
        help="accuracy that may be lost, percentage points; with 50 or more a model may even guess",
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.out is None:
        name = args.model.name if args.model.is_dir() else args.model.stem
        args.out = args.model.with_name(f"{name}.tflite")
    if args.out.suffix != ".tflite" or args.out.is_dir():
        parser.error(f"--out {args.out}: must be a file that ends in .tflite")
    if args.name is not None and not re.fullmatch(MODEL_NAME, args.name):
        parser.error(f"--name {args.name!r}: letters, digits, dots, dashes and _ alone, 64 at most")
    for name in ("calibration_faces", "test_faces"):
        if getattr(args, name) < len(LABELS):
            parser.error(f"--{name.replace('_', '-')} must be {len(LABELS)} or more")
    if (args.model.suffix == ".caffemodel") != (args.prototxt is not None):
        parser.error(f"{args.model}: a .caffemodel and its --prototxt belong together")
    if len(args.mean) not in ((0, 1, 3) if args.prototxt else (0, 1)):
        parser.error(f"--mean: {len(args.mean)} numbers; one is needed, or three of a .caffemodel")
    if args.std == 0:
        parser.error("--std must not be 0")
    try:
        return quantize(args)
    except RefusedError as error:
        print(f"quantize: {error}; {args.out} was left as it was", file=sys.stderr)
        return 1
    except ConversionError as error:
        print(f"quantize: {args.model}: {error}", file=sys.stderr)
        return 2
    except (DataError, EdgeError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    run_command(main)
