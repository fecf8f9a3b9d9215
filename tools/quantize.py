"""Turn a Keras model into the full-int8 TFLite file, and its JSON, that the daemon runs.

python tools/quantize.py build/gender.keras --calibrate aligned:faces.zip
"""

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import facedata
import keras
import numpy as np
import tensorflow as tf
from facedata import DataError, Sample

from edge.classify import Classifier, Preprocessing, open_interpreter
from edge.errors import ModelError
from edge.records import LABELS, Image


def convert(model: keras.Model, crops: list[Image], preprocessing: Preprocessing) -> bytes:
    """Full int8, input and output included; ranges are measured on `crops`."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [preprocessing.normalise(crop[None])] for crop in crops
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # per-channel dense weights crash tflite-runtime 2.14 on aarch64
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    with contextlib.redirect_stdout(io.StringIO()):  # Keras lists every tensor of the export
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


def write(data: bytes, out: Path, name: str, preprocessing: Preprocessing, notes: Any) -> None:
    """The model and its JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "schema": 1,
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "labels": LABELS,
        "output": "sigmoid",
        "input": asdict(preprocessing),
        **notes,
    }
    out.write_bytes(data)
    out.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def float_operators(path: Path) -> list[str]:
    """Names of the model's tensors that are neither int8 nor the int32 of a bias."""
    interpreter, _ = open_interpreter(path)
    return [
        str(detail["name"])
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] not in (np.int8, np.int32)
    ]


def preprocessing_of(model: keras.Model, training: dict[str, Any]) -> Preprocessing:
    """What the training wrote down, or the daemon's defaults at the model's own size."""
    if "preprocessing" in training:
        return Preprocessing(**training["preprocessing"])
    _, height, width, channels = model.input_shape
    if height != width or channels not in (1, 3):
        raise DataError(f"takes input {model.input_shape}; it must be square with 1 or 3 channels")
    return Preprocessing(size=height, colour="rgb" if channels == 3 else "grey")


def quantise(args: argparse.Namespace) -> int:
    try:
        model = keras.models.load_model(args.model, compile=False)
    except (OSError, ValueError) as error:
        what = "is not a Keras model" if args.model.exists() else "does not exist"
        raise DataError(f"{args.model}: {what}") from error
    if tuple(model.output_shape) != (None, 1):
        raise DataError(f"{args.model}: gives {model.output_shape}; one sigmoid output is needed")
    report = args.model.with_suffix(".training.json")
    training = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    preprocessing = preprocessing_of(model, training)

    def crops(split: str, number: int) -> tuple[list[Image], Any]:
        usable, _ = facedata.find_faces(
            by_class(facedata.load(args.calibrate, split), number, args.seed)
        )
        labels = np.array([sample.label for sample in usable])
        return facedata.crops_of(usable, preprocessing), labels

    calibration, _ = crops("train", args.calibration_faces)
    data = convert(model, calibration, preprocessing)
    held_out, labels = crops("val", args.test_faces)
    in_float = model.predict(preprocessing.normalise(np.stack(held_out)), verbose=0)[:, 0]
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / args.out.name
        write(data, trial, args.name, preprocessing, {})
        rest = float_operators(trial)
        in_int8 = Classifier(trial)(held_out)[:, 1]
    if rest:
        raise DataError(f"not all of the model became int8: {', '.join(rest[:5])}")
    metrics = {
        "faces": len(labels),
        "float_accuracy": round(float(np.mean((in_float > 0.5) == labels)), 4),
        "int8_accuracy": round(float(np.mean((in_int8 > 0.5) == labels)), 4),
        "agreement": round(float(np.mean((in_int8 > 0.5) == (in_float > 0.5))), 4),
    }
    drop = 100 * (metrics["float_accuracy"] - metrics["int8_accuracy"])
    print(f"int8      {len(data) / 1e6:.2f} MB, {preprocessing.size} px {preprocessing.colour}")
    print(f"held out  {metrics['faces']} faces, {metrics['agreement']:.2%} get the same label")
    print(f"accuracy  {metrics['float_accuracy']:.2%} float, {metrics['int8_accuracy']:.2%} int8")
    if drop > args.max_drop:
        print(
            f"quantize: loses {drop:.2f} points, more than --max-drop {args.max_drop}; "
            f"{args.out} was left as it was",
            file=sys.stderr,
        )
        return 1
    notes = {
        "trained": {key: training.get(key) for key in ("settings", "keras", "backend")},
        "metrics": {"quantisation": metrics},
    }
    write(data, args.out, args.name, preprocessing, notes)
    print(f"written   {args.out} and {args.out.with_suffix('.json').name}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a .keras file, as tools/train.py saves it")
    parser.add_argument("--calibrate", required=True, metavar="LAYOUT:PATH")
    parser.add_argument("--out", type=Path, default=Path("models/gender.tflite"))
    parser.add_argument("--name", default="gender-mobilenetv2")
    parser.add_argument("--calibration-faces", type=int, default=500)
    parser.add_argument("--test-faces", type=int, default=1000)
    parser.add_argument(
        "--max-drop", type=float, default=1.0, help="accuracy that may be lost, percentage points"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        return quantise(args)
    except (DataError, ModelError) as error:
        print(f"quantize: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
