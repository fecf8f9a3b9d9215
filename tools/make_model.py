"""Train, quantize, calibrate and evaluate a model on labelled faces, and write its model card.

    python tools/make_model.py --data path/to/fairface --terms "CC BY 4.0"

It prints the command of each stage before it runs it. Stopped or killed, the same command
continues: what is complete and not older than what it is made from is left as it is.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.atomic_file import write_atomically
from edge.errors import EdgeError
from tools.cli.exit import run_command
from tools.cli.options import at_least
from tools.cli.stages import StageError, is_done, locked, run
from tools.conversion import markdown_card
from tools.conversion.markdown_card import DataSummary
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import DataSet
from tools.datasets.readers import SPLITS

DEFAULTS = {"mobilenetv2": {"size": 128, "start": "imagenet"}}
"""Defaults of options for a network; others have those of tools/train.py."""


class Files:
    """The files of one model."""

    def __init__(self, args: argparse.Namespace) -> None:
        folder: Path = args.out
        self.network = folder / "gender.keras"
        self.checkpoint = self.network.with_suffix(".checkpoint")
        self.training = self.network.with_suffix(".training.json")
        self.quantized = folder / "quantized.tflite"
        self.model = folder / "gender.tflite"
        self.card = self.model.with_suffix(".json")
        self.faces: Path = args.face_cache or folder / "faces.npz"
        self.evaluations = [folder / f"evaluation-{n}.json" for n in range(1, len(args.data) + 1)]
        self.page = folder / "MODEL_CARD.md"


class Recipe:
    """The stages of one model, each a command of its own."""

    def __init__(self, args: argparse.Namespace, files: Files) -> None:
        self._args, self._files = args, files

    def train(self) -> list[str]:
        args = self._args
        return [
            "train.py", *(word for path in args.data for word in ("--data", str(path))),
            *self._reading(), "--estimate", args.estimate, "--balance", "--arch", args.arch,
            *(["--size", str(args.size)] if args.size else []),
            *(["--start", args.start] if args.start else []),
            "--epochs", str(args.epochs), "--out", str(self._files.network),
        ]  # fmt: skip

    def quantize(self) -> list[str]:
        """The first data set calibrates."""
        return [
            "quantize.py", str(self._files.network), "--calibrate", str(self._args.data[0]),
            *self._reading(), "--out", str(self._files.quantized),
        ]  # fmt: skip

    def calibrate(self) -> list[str]:
        return [
            "calibrate.py", str(self._files.quantized),
            *(word for path in self._args.data for word in ("--data", str(path))),
            *self._reading(), "--out", str(self._files.model),
        ]  # fmt: skip

    def evaluate(self, data: Path) -> list[str]:
        return [
            "evaluate.py", str(self._files.model), "--data", str(data), *self._reading(),
            "--split", "test", "--json",
        ]  # fmt: skip

    def _reading(self) -> list[str]:
        """How to read the data; the options that differ from their defaults."""
        options = {"layout": self._args.layout, "detect": self._args.detect}
        words = [
            w for name, value in options.items() if value != "auto" for w in (f"--{name}", value)
        ]
        words += ["--verbose"] if self._args.verbose else []
        return [*words, "--face-cache", str(self._files.faces)]


def make(args: argparse.Namespace) -> None:
    """Run the stages that are not complete. Raises DataError, StageError or OSError."""
    files = Files(args)
    sets = [dataset.load(path, args.layout, args.detect) for path in args.data]
    summaries = [summarize(item) for item in sets]
    estimates_age = "age" in args.estimate.split(",")
    if estimates_age and all(s.age is None for item in sets for s in item.part("train")):
        raise DataError(f"data {args.data[0]}: has no ages to learn; use --estimate gender")
    recipe = Recipe(args, files)
    if is_done([files.network, files.training]):
        require_same_training(args, files)
        print(f"{files.network}: is complete")
    else:
        run([*recipe.train(), *(["--resume"] if files.checkpoint.exists() else [])])
    stages = [
        (files.quantized, recipe.quantize(), files.training),
        (files.model, recipe.calibrate(), files.quantized),
    ]
    if not files.quantized.exists() and is_done([files.model, files.card], [files.training]):
        print(f"{files.model}: is complete")  # made before there was calibration
        stages = []
    for model, command, source in stages:
        if is_done([model, model.with_suffix(".json")], [source]):
            print(f"{model}: is complete")
        else:
            run([*command, *(["--force"] if model.exists() else [])])
    for path, evaluation in zip(args.data, files.evaluations, strict=True):
        if is_done([evaluation], [files.model, files.card]):
            print(f"{evaluation}: is complete")
        else:
            run(recipe.evaluate(path), evaluation)
    try:
        write_page(args, files, recipe, summaries)
        report(files)
    except (KeyError, TypeError) as error:
        stale = files.quantized if files.quantized.exists() else files.model
        raise DataError(
            f"{args.out}: its reports are not what the tools write now ({error}); delete "
            f"{stale.with_suffix('.json').name} to make them again"
        ) from error


def summarize(data: DataSet) -> DataSummary:
    """Print how many pictures a data set has. Raises DataError if a split has none."""
    numbers = {split: len(data.part(split)) for split in SPLITS}
    pictures = ", ".join(f"{number} {split}" for split, number in numbers.items())
    print(f"{data.path.name} ({data.layout}): {pictures}", flush=True)
    return DataSummary(data.path.name, data.layout, numbers)


def require_same_training(args: argparse.Namespace, files: Files) -> None:
    """Raises DataError if the complete training had other data or options."""
    try:
        before = dict(_read(files.training)["settings"])
    except (TypeError, KeyError) as error:
        raise DataError(f"{files.training}: is not what tools/train.py writes") from error
    now = {
        "data": [path.name for path in args.data],
        "layout": args.layout,
        "detect": args.detect,
        "estimate": args.estimate.split(","),
        "arch": args.arch,
        "epochs": args.epochs,
    }
    if args.start:
        now["start"] = Path(args.start).name
    if args.size:
        now["size"] = args.size
    for name, value in now.items():
        if before.get(name) != value:
            raise DataError(
                f"--{name} {_words(value)}: {files.network} was trained with "
                f"{_words(before.get(name))}; name another --out, or delete {args.out}"
            )


def _words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error}); delete it to make it again") from error


def write_page(
    args: argparse.Namespace, files: Files, recipe: Recipe, summaries: Sequence[DataSummary]
) -> None:
    """Write the model card, unless a complete one may have been edited by hand."""
    if is_done([files.page], [files.training, files.card, *files.evaluations]) and (
        not args.terms or args.terms in _text(files.page)
    ):
        print(f"{files.page}: is complete")
        return
    commands = [
        recipe.train(),
        recipe.quantize(),
        recipe.calibrate(),
        *map(recipe.evaluate, args.data),
    ]
    page = markdown_card.page(
        files.model,
        _read(files.card),
        _read(files.training),
        summaries,
        [_read(file) for file in files.evaluations],
        [["python", f"tools/{tool}", *map(_without_folder, rest)] for tool, *rest in commands],
        args.terms,
    )
    write_atomically(files.page, page.encode())


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8", errors="replace")  # an editor may have saved it


def _without_folder(word: str) -> str:
    """The model card is shared with the model; this machine's folders are not."""
    return word if word.startswith("-") else Path(word).name


def report(files: Files) -> None:
    """Print the result and what to do with it."""
    for file in files.evaluations:
        figures = _read(file)
        low, high = figures["interval"]
        print(
            f"accuracy  {figures['accuracy']:.2%} ({low:.2%} to {high:.2%}) of {figures['n']} test "
            f"faces of {figures['data']}"
        )
    print(f"written   {files.model} and {files.page}")
    if markdown_card.NO_TERMS in _text(files.page):
        print(f"to do     fill in the terms of your data in {files.page.name}")
    print(f"use it    classifier.model: {files.model} in config.yaml, then python -m edge check")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument(
        "--terms",
        type=lambda text: " ".join(text.split()),
        help='the licence of the data, for the model card, such as "CC BY 4.0"',
    )
    parser.add_argument("--out", type=Path, default=Path("build/model"), metavar="DIR")
    parser.add_argument("--arch", default="mobilenetv2", help="as in train.py")
    parser.add_argument(
        "--start", metavar="WEIGHTS", help="as in train.py; for mobilenetv2 imagenet is the default"
    )
    parser.add_argument(
        "--size", type=at_least(32), help="side of the input; for mobilenetv2 128 is the default"
    )
    parser.add_argument("--estimate", default="gender,age", help="gender, age or gender,age")
    parser.add_argument("--epochs", type=at_least(1), default=12)
    parser.set_defaults(**DEFAULTS.get(parser.parse_args().arch, {}))
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        dataset.make_folder(args.out, f"--out {args.out}")
        with locked(args.out):
            make(args)
    except StageError as error:
        print(f"make_model: {error}", file=sys.stderr)
        return error.exit_code
    except (DataError, EdgeError) as error:
        print(f"make_model: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"make_model: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    run_command(main)
