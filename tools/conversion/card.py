"""The JSON beside a model: what the daemon must know of it, and what people may want to."""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge.types import AGE_GROUPS, LABELS
from edge.vision.preprocessing import Preprocessing
from edge.vision.tflite import open_interpreter
from tools.datasets.archive import DataError


@dataclass(frozen=True, slots=True)
class Card:
    """What the JSON beside a model says of it."""

    name: str
    labels: tuple[str, ...]
    output: str
    ages: tuple[str, ...]
    input: Preprocessing
    notes: dict[str, Any]

    def write(self, data: bytes, path: Path) -> Path:
        """The model and its JSON."""
        card = {
            "schema": 1,
            "name": self.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "labels": self.labels,
            "output": self.output,
            "ages": self.ages,
            "input": asdict(self.input),
            **self.notes,
        }
        files = {
            path: data,
            path.with_suffix(".json"): (json.dumps(card, indent=2) + "\n").encode(),
        }
        # both are on disk before either takes the place of a good one
        for file, content in files.items():
            _fresh(file).write_bytes(content)
        for file in files:
            _fresh(file).replace(file)
        return path


def _fresh(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")


def describe(path: Path, args: argparse.Namespace, training: dict[str, Any]) -> Card:
    """The card of a float TFLite file, from its shapes, the training report and the options."""
    interpreter, _ = open_interpreter(path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    entry = [int(n) for n in inputs[0]["shape"]]
    ends = sorted([int(n) for n in output["shape"]] for output in outputs)
    if len(inputs) != 1 or len(entry) != 4 or entry[1] != entry[2] or entry[3] not in (1, 3):
        raise DataError(f"{args.model}: takes {entry}; one square picture is needed, [1, n, n, 3]")
    genders = [end for end in ends if end in ([1, 1], [1, len(LABELS)])]
    ages = [end for end in ends if end == [1, len(AGE_GROUPS)]]
    if len(genders) > 1 or len(ages) > 1 or not ends or len(genders) + len(ages) != len(ends):
        raise DataError(
            f"{args.model}: gives {' and '.join(map(str, ends))}; one sigmoid value or "
            f"{len(LABELS)} softmax values for gender are needed, {len(AGE_GROUPS)} softmax values "
            "for age, or both"
        )
    prepared = replace(
        training.get("preprocessing") or Preprocessing(),
        size=entry[1],
        colour="rgb" if entry[3] == 3 else "grey",
    )
    if not args.prototxt:
        mean = args.mean[0] if args.mean else prepared.mean
        prepared = replace(prepared, mean=mean, std=args.std or prepared.std)
    notes = {"trained": {key: training.get(key) for key in ("settings", "keras", "backend")}}
    settings = training.get("settings", {})
    heads = ["gender"] * len(genders) + ["age"] * len(ages)
    arch = settings.get("arch", "caffe" if args.prototxt else "mobilenetv2")
    return Card(
        args.name or "-".join([*heads, arch]),
        tuple(args.labels.split(",")) if genders else (),
        "sigmoid" if genders == [[1, 1]] else "softmax",
        AGE_GROUPS if ages else (),
        prepared,
        notes if training else {},
    )


def training_of(model: Path) -> dict[str, Any]:
    """What tools/train.py wrote beside `model`; empty where there is nothing. Raises DataError."""
    report = model.with_suffix(".training.json")
    if not report.exists():
        return {}
    try:
        told = dict(json.loads(report.read_text(encoding="utf-8")))
        prepared = Preprocessing(**told["preprocessing"])
        return told | {"preprocessing": prepared, "settings": dict(told["settings"])}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{report}: is not what tools/train.py writes ({error})") from error
