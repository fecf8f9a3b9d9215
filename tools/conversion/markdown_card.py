"""The page about a model for people: data and terms, training, accuracy, how to use it."""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NO_TERMS = (
    "**Fill in:** the licence or terms of each data set, and whether they allow your use. Until "
    "then, do not use this model to earn money."
)
START_WEIGHTS = {"imagenet": "Keras' ImageNet weights", "none": "random weights"}
KINDS = {"gender": "labelled", "age": "aged", "ethnicity": "ethnicity"}
"""The word before the name of a group."""
Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What the page says of one data set."""

    name: str
    layout: str
    pictures: Mapping[str, int]
    """By split."""


def page(
    model: Path,
    card: Figures,
    training: Figures,
    data: Sequence[DataSummary],
    evaluations: Sequence[Figures],
    commands: Sequence[Sequence[str]],
    terms: str | None,
) -> str:
    """The page as Markdown.

    `card` is the JSON beside the model, `training` the report of tools/train.py, `evaluations` what
    tools/evaluate.py prints with --json for each data set. Folders are left out of `commands`.
    """
    parts = [
        _purpose(model, card),
        _data(data, training, terms),
        _training(training, commands),
        *(_evaluation(result) for result in evaluations),
        _quantization(card),
        _use(model),
    ]
    return "\n\n".join(parts) + "\n"


def _purpose(model: Path, card: Figures) -> str:
    heads = " and ".join(["gender"] * bool(card["labels"]) + ["age group"] * bool(card["ages"]))
    entry = card["input"]
    return f"""# {model.name}

{card["name"]} estimates {heads} from a face of {entry["size"]} x {entry["size"]} pixels \
({entry["colour"]}), full int8, {model.stat().st_size / 1e6:.1f} MB, SHA-256 `{card["sha256"]}`.

## What it is for

Counting an audience as a whole. It estimates from appearance and knows nothing of a person's
identity. Say so wherever the counts are shown:

> Estimated from appearance, two classes and unknown; not identity.

It is not fit for decisions about a person, for access or prices, or for finding people again."""


def _data(data: Sequence[DataSummary], training: Figures, terms: str | None) -> str:
    rows = [
        (item.name, item.layout, *(_number(item.pictures[s]) for s in ("train", "val", "test")))
        for item in data
    ]
    table = _table(("data", "layout", "training", "validation", "test pictures"), rows)
    train, val = (_number(training["faces"][split]) for split in ("train", "val"))
    return f"""## Data and terms

{table}

Faces used, as the daemon finds them: {train} to train, {val} to validate.

Terms: {terms or NO_TERMS}"""


def _training(training: Figures, commands: Sequence[Sequence[str]]) -> str:
    settings = training["settings"]
    epochs = len(next(iter(training["history"].values()))["val_loss"])
    start = START_WEIGHTS.get(settings["start"], settings["start"])
    accuracies = ", ".join(
        f"{name} {_percent(value)}" for name, value in training["val_accuracy"].items()
    )
    lines = "\n".join(shlex.join(command) for command in commands)
    return f"""## Training

{settings["arch"]} from {start}, {epochs} epochs, seed {settings["seed"]}; Keras \
{training["keras"]} on {training["backend"]}. Right on validation faces: {accuracies}.

```sh
{lines}
```"""


def _evaluation(result: Figures) -> str:
    found = f"a face was found in {_percent(result['detection_rate'])} of the pictures"
    parts = [f"## How good it is on {result['data']}, split {result['split']}"]
    heads = {"age": result} if "one_off" in result else {"gender": result}
    heads |= {"age": result["age"]} if "age" in result else {}
    for head, figures in heads.items():
        parts.append(f"### {head.capitalize()}\n\n{_accuracies(figures)}")
        if head == "gender":
            parts.append(_difference(figures))
    parts.insert(1, f"The int8 file, through the daemon's own search and crop; {found}.")
    return "\n\n".join(parts)


def _accuracies(figures: Figures) -> str:
    rows = [("all faces", *_row(figures))]
    if "one_off" in figures:
        rows.append(("right or an adjacent group", *_row(figures["one_off"])))
    for kind, groups in figures["groups"].items():
        rows += [(f"{KINDS[kind]} {name}", *_row(group)) for name, group in groups.items()]
    return _table(("faces", "number", "right", "95 % interval"), rows)


def _difference(figures: Figures) -> str:
    """Women against men: accuracies, and what errors do to the counts."""
    groups = figures["groups"]["gender"]
    if len(groups) < 2:
        return "All faces have one label, so women and men cannot be compared."
    women, men = groups["female"], groups["male"]
    low, high = difference_interval(women, men)
    points = 100 * (women["accuracy"] - men["accuracy"])
    return (
        f"Women minus men: {points:+.1f} points (95 % interval {100 * low:+.1f} to "
        f"{100 * high:+.1f}). Of 100 women {100 * (1 - women['accuracy']):.1f} are called male, of "
        f"100 men {100 * (1 - men['accuracy']):.1f} female; below `classifier.min_confidence` the "
        "daemon counts a person as `unknown` instead."
    )


def difference_interval(a: Figures, b: Figures) -> tuple[float, float]:
    """95 % interval of the difference between two accuracies, -1 to 1.

    R. G. Newcombe: Interval estimation for the difference between independent proportions,
    Statistics in Medicine 17, 1998; method 10.
    """
    p, (p_low, p_high) = a["accuracy"], a["interval"]
    q, (q_low, q_high) = b["accuracy"], b["interval"]
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return low, high


def _quantization(card: Figures) -> str:
    rows = [
        (
            head,
            _number(figures["faces"]),
            _percent(figures["float_accuracy"]),
            _percent(figures["accuracy"]),
            _percent(figures["agreement"]),
        )
        for head, figures in card["metrics"]["quantisation"].items()
    ]
    table = _table(("", "validation faces", "right in float", "right in int8", "same answer"), rows)
    when = "\n\nMeasured before calibration." if "calibrated" in card else ""
    return f"## int8 against float\n\n{table}{when}"


def _use(model: Path) -> str:
    name = model if not model.is_absolute() else Path("path/to", model.name)
    return f"""## How to use it

Keep `{model.with_suffix(".json").name}` beside `{model.name}`, and in `config.yaml` write

```yaml
classifier:
  model: {name.as_posix()}
```

Then `python -m edge check` says whether the daemon can run it."""


def _row(figures: Figures) -> tuple[str, str, str]:
    low, high = figures["interval"]
    return (
        _number(figures["n"]), _percent(figures["accuracy"]),
        f"{100 * low:.1f} to {100 * high:.1f}",
    )  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
