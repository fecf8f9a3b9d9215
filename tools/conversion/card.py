"""Write the model card: what the daemon needs to know of a model, and notes for people."""

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from edge.atomic_file import write_all_atomically, write_atomically
from edge.types import AGE_GROUPS, LABELS
from edge.vision.confusion import Measurement
from edge.vision.model_card import ModelCard, read_card
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import open_interpreter
from tools.datasets.archive import DataError

SCHEMA = 1
"""Version of the JSON format."""


class AnnotatedCard(ModelCard, frozen=True):
    """The daemon's card with notes for people and tools: training settings, accuracies."""

    notes: dict[str, Any] = pydantic.Field({}, exclude=True)
    """Further keys of the JSON, beside those that the daemon reads."""

    def write(self, data: bytes, path: Path) -> Path:
        """Write a model to `path`, and this card, with the model's digest, beside it as JSON.

        Raises DataError if `path`, the user's `--out`, cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        card = self.model_copy(update={"sha256": digest})
        # a new file's errors are not measured yet
        unknown = {"confusion"} if digest != self.sha256 or not self.confusion else set()
        fields = card.model_dump(mode="json", exclude=unknown, exclude_none=True)
        keys = {"schema": SCHEMA, **fields}
        text = _json(keys | self.notes)
        try:
            write_all_atomically({path: data, path.with_suffix(".json"): text})
        except OSError as error:
            raise DataError(f"--out {path}: cannot be written ({error.strerror})") from error
        return path


def copied(model: Path, **changes: Any) -> AnnotatedCard:
    """The card beside a model, its notes too, with these changes. Raises ModelError."""
    card = read_card(model)
    keys = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    notes = {key: keys[key] for key in keys if key not in ("schema", *ModelCard.model_fields)}
    return AnnotatedCard(**card.model_dump() | changes, notes=notes)


def record(measured: Measurement, model: Path) -> Path:
    """Add confusion matrices to the JSON beside `model`; those of the same data are replaced.

    They come last: the daemon publishes the newest. Everything else in the file stays as it is.
    Returns its path. Raises DataError.
    """
    path = model.with_suffix(".json")
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        others = [old for old in keys.get("confusion", []) if old["data"] != measured.data]
        keys["confusion"] = [*others, measured.model_dump(mode="json", exclude_none=True)]
        write_atomically(path, _json(keys))
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _json(keys: dict[str, Any]) -> bytes:
    return (json.dumps(keys, indent=2) + "\n").encode()


def describe(path: Path, args: argparse.Namespace, training: dict[str, Any]) -> AnnotatedCard:
    """The card of a float TFLite file, from its shapes, the training report and the options.

    Raises DataError.
    """
    interpreter, _ = open_interpreter(path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    shape = [int(n) for n in inputs[0]["shape"]]
    if inputs[0]["dtype"] != np.float32:
        raise DataError(f"{args.model}: takes {inputs[0]['dtype'].__name__}; float32 is needed")
    if -1 in inputs[0]["shape_signature"][1:]:
        raise DataError(
            f"{args.model}: takes pictures of any size; make its input one of a fixed size"
        )
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
        raise DataError(f"{args.model}: takes {shape}; one square picture is needed, [1, n, n, 3]")
    output_shapes = sorted([int(n) for n in output["shape"]] for output in outputs)
    genders = [output for output in output_shapes if output in ([1, 1], [1, len(LABELS)])]
    ages = [output for output in output_shapes if output == [1, len(AGE_GROUPS)]]
    understood = len(genders) + len(ages) == len(output_shapes) > 0
    if len(genders) > 1 or len(ages) > 1 or not understood:
        raise DataError(
            f"{args.model}: gives {' and '.join(map(str, output_shapes))}; one sigmoid value or "
            f"{len(LABELS)} softmax values for gender are needed, {len(AGE_GROUPS)} softmax values "
            "for age, or both"
        )
    preprocessing = replace(
        training.get("preprocessing") or Preprocessing(),
        size=shape[1],
        colour="rgb" if shape[3] == 3 else "grey",
    )
    if not args.prototxt:
        mean = args.mean[0] if args.mean else preprocessing.mean
        preprocessing = replace(preprocessing, mean=mean, std=args.std or preprocessing.std)
    notes = {"trained": {key: training.get(key) for key in ("settings", "keras", "backend")}}
    default_arch = "caffe" if args.prototxt else "mobilenetv2"
    arch = training.get("settings", {}).get("arch", default_arch)
    heads = ["gender"] * len(genders) + ["age"] * len(ages)
    try:
        return AnnotatedCard(
            name=args.name or "-".join([*heads, str(arch)]),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            labels=tuple(args.labels.split(",")) if genders else (),
            output="sigmoid" if genders == [[1, 1]] else "softmax",
            ages=AGE_GROUPS if ages else (),
            input=preprocessing,
            notes=notes if training else {},
        )
    except pydantic.ValidationError as error:
        raise DataError(f"{args.model}: {_first_error(error)}") from error


def training_of(model: Path) -> dict[str, Any]:
    """The report that tools/train.py wrote beside `model`, or {}. Raises DataError."""
    file = model.with_suffix(".training.json")
    if not file.exists():
        return {}
    try:
        report = dict(json.loads(file.read_text(encoding="utf-8")))
        fields = asdict(Preprocessing(**report["preprocessing"]))  # refuses unknown names
        preprocessing = pydantic.TypeAdapter(Preprocessing).validate_python(fields)  # and types
        return report | {"preprocessing": preprocessing, "settings": dict(report["settings"])}
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = _first_error(error) if isinstance(error, pydantic.ValidationError) else error
        raise DataError(f"{file}: is not what tools/train.py writes ({reason})") from error


def _first_error(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))} {first['input']!r}: {first['msg']}"
