"""Train a network that tells women from men, or ages, or both, and save it as a Keras model.

    python tools/train.py --data faces.zip --start imagenet --out build/gender.keras

Then make the file that the daemon runs: tools/quantize.py.
"""

import argparse
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from edge.errors import EdgeError
from edge.vision.preprocessing import Preprocessing
from tools import networks
from tools.cli import leave
from tools.conversion.model_files import load_keras
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.training import teacher, training_report
from tools.training.batches import Batches
from tools.training.checkpoint import Checkpoint
from tools.training.init_weights import start_from_keras, start_from_tflite
from tools.training.losses import CosineRate, objective
from tools.training.recalibrate_bn import settle
from tools.training.teacher import Teacher

WARM_UP_RATE = 1e-3


def read_data(args: argparse.Namespace, split: str) -> list[Sample]:
    """All usable samples of one split, with a line on stderr for each source."""
    samples: list[Sample] = []
    for path in args.data:
        data = dataset.load(path, args.layout, args.detect)
        usable, unseen = dataset.find_faces(data.part(split), f"{path.name} {split}")
        found = f"{len(usable)} faces" + (f", {len(unseen)} not found" if unseen else "")
        print(f"{path.name} ({data.layout}) {split}: {found}", file=sys.stderr)
        samples += usable
    return samples


def load_weights(model: keras.Model, args: argparse.Namespace, pictures: Any) -> None:
    """Give `model` the weights it starts from. Raises DataError where they do not fit."""
    if args.start.endswith(".tflite"):
        start_from_tflite(model, Path(args.start), pictures)
        return
    other = load_keras(Path(args.start))
    try:
        known = start_from_keras(model, other)
    except (AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"--start {args.start}: does not fit this network ({reason})") from error
    missing = set(args.estimate) - {args.only, *known}
    if args.only and missing:
        raise DataError(
            f"--only {args.only}: {args.start} does not estimate {missing.pop()}; "
            "leave that out of --estimate"
        )


def train(args: argparse.Namespace) -> None:
    keras.utils.set_random_seed(args.seed)
    dataset.make_folder(args.out.parent, f"--out {args.out}")
    shown = {name: _shown(value) for name, value in sorted(vars(args).items())}
    checkpoint = Checkpoint(args.out, shown, resume=args.resume)
    settings = {
        "batch": args.batch,
        "seed": args.seed,
        "infant_weight": args.infant_weight,
        "shear": args.shear,
        "heads": args.estimate,
        "mixup": args.mixup,
        "taught": teacher.read(args.teacher) if args.teacher else Teacher({}, {}),
    }
    kept = model = networks.build(
        args.arch, start=args.start, size=args.size, alpha=args.alpha, heads=args.estimate
    )
    args.size, channels = model.input_shape[-2:]
    preprocessing = Preprocessing(size=args.size, colour="rgb" if channels == 3 else "grey")
    train_set = Batches(
        read_data(args, "train"), preprocessing, training=True, epoch=checkpoint.epochs, **settings
    )
    val_set = Batches(read_data(args, "val"), preprocessing, training=False, **settings)
    check(args, train_set)

    if args.start not in ("imagenet", "none"):
        load_weights(model, args, train_set[0][0])
    compiled = partial(
        objective,
        heads=args.estimate,
        hints=settings["taught"].width,
        smoothing=args.smoothing,
        rate=args.rate,
        weight_decay=args.weight_decay,
        steps=len(train_set) * args.epochs,
    )
    checkpoint.begin()
    if args.only:
        for layer in model.layers:
            layer.trainable = layer.name == args.only
    elif args.start != "none" and args.arch in networks.FROZEN:
        networks.freeze(model, args.arch)
        if not checkpoint.epochs:
            warm_up(model, args.warm_up, train_set, compiled)
    model, ends = compiled(model)
    model.fit(
        train_set,
        validation_data=val_set,
        epochs=args.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            CosineRate(args.rate, len(train_set), args.epochs),
            *checkpoint.callbacks(args.patience),
        ],
    )
    if not args.only:
        train_set.mixup = 0.0  # the daemon's faces are not mixed
        settle(kept, train_set)
    kept.save(args.out)
    checkpoint.end()
    history = training_report.figures(checkpoint.rows(), args.estimate, ends)
    training_report.tell(kept, args.out, train_set, val_set, history, shown | {"size": args.size})


def check(args: argparse.Namespace, train_set: Batches) -> None:
    """Raises DataError where these faces, or their teacher, cannot teach what is asked for."""
    samples, taught = train_set.samples, train_set.taught
    if "age" in args.estimate and all(sample.age is None for sample in samples):
        raise DataError(f"--data {args.data[0]}: has no ages to learn")
    if not len(train_set):
        raise DataError(f"{len(samples)} faces do not fill a batch of {args.batch}")
    if args.teacher:
        known = sum(sample.name in taught.male for sample in samples)
        if not known:
            raise DataError(
                f"--teacher {args.teacher}: knows none of the training faces; it has "
                f"{next(iter(taught.male), 'no face')}, the data {samples[0].name}"
            )
        print(f"{args.teacher.name}: teaches {known} of {len(samples)} faces", file=sys.stderr)


def warm_up(
    model: keras.Model, epochs: int, train_set: Batches, compiled: Callable[..., Any]
) -> None:
    """Train the heads alone, so that their first guesses do not spoil what the others know."""
    others = [
        layer for layer in model.layers if layer.trainable and layer.name not in networks.HEADS
    ]
    for layer in others:
        layer.trainable = False
    whole, _ = compiled(model)
    whole.optimizer.learning_rate = WARM_UP_RATE
    whole.fit(train_set, epochs=epochs, verbose=1 if sys.stdout.isatty() else 2)
    for layer in others:
        layer.trainable = True


def _shown(value: Any) -> Any:
    """A setting without the folders of this machine: the report travels with the model."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return Path(value).name if isinstance(value, str | Path) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument(
        "--estimate",
        type=lambda text: text.split(","),
        default=["gender"],
        metavar="HEADS",
        help="gender (the default), age, or gender,age",
    )
    parser.add_argument(
        "--only",
        choices=networks.HEADS,
        help="train this answer alone; the others stay exactly as the --start gave them",
    )
    parser.add_argument("--arch", choices=networks.NETWORKS, default="mobilenetv2")
    parser.add_argument(
        "--start",
        metavar="WEIGHTS",
        help="imagenet (downloaded by Keras; the default where Keras has some), none, a .keras "
        "file that tools/train.py made, or, for mobilenetv2, an int8 .tflite or a wider .keras",
    )
    parser.add_argument("--out", type=Path, default=Path("build/gender.keras"))
    parser.add_argument("--size", type=int, help="side of the input, pixels; each network has its")
    parser.add_argument("--alpha", type=float, default=1.0, help="width of a mobilenetv2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--smoothing", type=float, default=0.03, help="label smoothing")
    parser.add_argument(
        "--shear", type=float, default=0.0, help="faces are slanted by so much at random, degrees"
    )
    parser.add_argument(
        "--mixup", type=float, default=0.0, help="strength of mixing faces, 0.1 to 0.4 are usual"
    )
    parser.add_argument(
        "--warm-up",
        type=int,
        default=1,
        metavar="EPOCHS",
        help="of a frozen vgg, resnet or googlenet, before its last stage is trained too",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="NPZ",
        help="what a larger model makes of the training faces: arrays files and male (0 to 1) and, "
        "if you like, features",
    )
    parser.add_argument("--infant-weight", type=float, default=0.3)
    parser.add_argument(
        "--patience", type=int, default=5, help="stop after so many epochs without progress"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume", action="store_true", help="go on after the last whole epoch of a stopped run"
    )
    parser.set_defaults(**networks.DEFAULTS.get(parser.parse_args().arch, {}))
    args = parser.parse_args()
    if args.start is None:
        args.start = "imagenet" if networks.has_imagenet(args.arch) else "none"
    if args.estimate not in (["gender"], ["age"], ["gender", "age"]):
        parser.error(f"--estimate {','.join(args.estimate)}: must be gender, age or gender,age")
    if args.only and (args.only not in args.estimate or not args.start.endswith(".keras")):
        parser.error(f"--only {args.only}: needs a .keras file to --start from, and --estimate it")
    for name, least in (("size", 32), ("epochs", 1), ("batch", 2), ("patience", 1)):
        if (value := getattr(args, name)) is not None and value < least:
            parser.error(f"--{name} must be {least} or more")
    for name in ("warm_up", "shear", "mixup"):
        if getattr(args, name) < 0:
            parser.error(f"--{name.replace('_', '-')} must be 0 or more")
    for name in ("alpha", "rate"):
        if not 0 < getattr(args, name) < math.inf:
            parser.error(f"--{name} must be more than 0")
    for name in ("smoothing", "infant_weight"):
        if not 0 <= getattr(args, name) <= 1:
            parser.error(f"--{name.replace('_', '-')} must be 0 to 1")
    if args.out.suffix != ".keras" or args.out.is_dir():
        parser.error(f"--out {args.out}: must be a file that ends in .keras")
    if args.start not in ("imagenet", "none") and not Path(args.start).is_file():
        parser.error(f"--start {args.start}: must be imagenet, none, or a .tflite or .keras file")
    if args.start.endswith(".tflite") and args.arch != "mobilenetv2":
        parser.error(f"--start {args.start}: {args.arch} starts from imagenet, none or .keras")
    try:
        train(args)
    except (DataError, EdgeError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; with --resume the same command goes on after the last whole epoch")
        return 130
    return 0


if __name__ == "__main__":
    leave(main)
