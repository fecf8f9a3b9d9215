"""Train a network that estimates gender, age or both, and save it as a Keras model.

    python tools/train.py --data faces.zip --start imagenet --out build/gender.keras

tools/quantize.py then makes the file that the daemon runs.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tools.cli import keras_log  # noqa: F401  # isort: skip
import keras

from edge.errors import EdgeError
from edge.vision.preprocessing import Preprocessing
from tools import networks
from tools.cli import outputs
from tools.cli.exit import run_command
from tools.cli.options import at_least, fraction, not_negative, output_file, positive
from tools.conversion.model_files import load_keras
from tools.datasets import dataset, readers
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.training import teacher, training_report
from tools.training.batches import Batches
from tools.training.checkpoint import Checkpoint
from tools.training.init_weights import load_keras_weights, load_tflite_weights
from tools.training.losses import CosineRate, compile_model
from tools.training.recalibrate_bn import recalibrate_batch_norm
from tools.training.teacher import Teacher

WARM_UP_RATE = 1e-3
"""Learning rate while only the heads are trained."""


def read_data(args: argparse.Namespace, split: str) -> list[Sample]:
    """All usable samples of one split; prints a line on stderr for each data set."""
    samples: list[Sample] = []
    for path in args.data:
        data = dataset.load(path, args.layout, args.detect)
        usable, without_face = dataset.find_faces(
            data.part(split), f"{path.name} {split}", args.face_cache
        )
        count = f"{len(usable)} faces" + (
            f", {len(without_face)} not found" if without_face else ""
        )
        print(f"{path.name} ({data.layout}) {split}: {count}", file=sys.stderr)
        samples += usable
    return samples


def load_weights(model: keras.Model, args: argparse.Namespace, pictures: Any) -> None:
    """Give `model` the weights of `--start`. Raises DataError if they do not fit."""
    if args.start.endswith(".tflite"):
        load_tflite_weights(model, Path(args.start), pictures)
        return
    other = load_keras(Path(args.start))
    try:
        loaded_heads = load_keras_weights(model, other)
    except (AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"--start {args.start}: does not fit this network ({reason})") from error
    missing = set(args.estimate) - {args.only, *loaded_heads}
    if args.only and missing:
        raise DataError(
            f"--only {args.only}: {args.start} does not estimate {missing.pop()}; "
            "leave that out of --estimate"
        )


def train(args: argparse.Namespace) -> None:
    """Train, save and evaluate a network. Raises DataError."""
    keras.utils.set_random_seed(args.seed)
    if not args.resume:
        outputs.need_free("--out", args.out, force=args.force)
    tables = [readers.beside(path) for path in args.data]
    outputs.need_other("--out", args.out, [Path(args.start)])
    dataset.make_folder(args.out.parent, f"--out {args.out}")
    outputs.need_other("the log of --out,", args.out.with_suffix(".csv"), tables)
    settings = {name: _without_folders(value) for name, value in sorted(vars(args).items())}
    checkpoint = Checkpoint(args.out, settings, resume=args.resume)
    soft_labels = teacher.read(args.teacher) if args.teacher else Teacher({}, {})
    network = networks.build(
        args.arch, start=args.start, size=args.size, alpha=args.alpha, heads=args.estimate
    )
    args.size, channels = network.input_shape[-2:]
    preprocessing = Preprocessing(size=args.size, colour="rgb" if channels == 3 else "grey")
    train_set, val_set = read_sets(args, preprocessing, soft_labels, checkpoint.epochs)
    if args.start not in ("imagenet", "none"):
        load_weights(network, args, train_set[0][0])
    compile_with_options = partial(
        compile_model,
        heads=args.estimate,
        hints=soft_labels.width,
        smoothing=args.smoothing,
        rate=args.rate,
        weight_decay=args.weight_decay,
        steps=len(train_set) * args.epochs,
    )
    checkpoint.begin()
    if args.only:
        for layer in network.layers:
            layer.trainable = layer.name == args.only
    elif args.start != "none" and args.arch in networks.FROZEN:
        networks.freeze(network, args.arch)
        if not checkpoint.epochs:
            warm_up(network, args.warm_up, train_set, compile_with_options)
    model, output_names = compile_with_options(network)  # may have one output more than the network
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
        recalibrate_batch_norm(network, train_set)
    network.save(args.out)
    history = training_report.history_by_head(checkpoint.rows(), args.estimate, output_names)
    settings |= {"size": args.size}
    training_report.write(network, args.out, train_set, val_set, history, settings)
    checkpoint.end()  # the report takes a while: killed before its end, a training can be resumed


def read_sets(
    args: argparse.Namespace, preprocessing: Preprocessing, soft_labels: Teacher, epoch: int
) -> tuple[Batches, Batches]:
    """The training faces, from the epoch of this number on, and the validation faces.

    Raises DataError if they, or the teacher, do not suit the options.
    """
    options = {
        "batch_size": args.batch,
        "seed": args.seed,
        "infant_weight": args.infant_weight,
        "shear": args.shear,
        "heads": args.estimate,
        "mixup": args.mixup,
        "teacher": soft_labels,
    }
    faces = read_data(args, "train")
    train_set = Batches(faces, preprocessing, training=True, epoch=epoch, **options)
    val_set = Batches(read_data(args, "val"), preprocessing, training=False, **options)
    if "age" in args.estimate and all(face.age is None for face in faces):
        raise DataError(f"--data {args.data[0]}: has no ages to learn")
    if not len(train_set):
        raise DataError(f"{len(faces)} faces do not fill a batch of {args.batch}")
    if args.teacher:
        known = sum(face.name in soft_labels.male for face in faces)
        if not known:
            raise DataError(
                f"--teacher {args.teacher}: knows none of the training faces; it has "
                f"{next(iter(soft_labels.male), 'no face')}, the data {faces[0].name}"
            )
        print(f"{args.teacher.name}: teaches {known} of {len(faces)} faces", file=sys.stderr)
    return train_set, val_set


def warm_up(
    network: keras.Model, epochs: int, train_set: Batches, compile_network: Callable[..., Any]
) -> None:
    """Train only the heads, so that their random weights do not spoil the backbone's."""
    backbone = [
        layer for layer in network.layers if layer.trainable and layer.name not in networks.HEADS
    ]
    for layer in backbone:
        layer.trainable = False
    model, _ = compile_network(network)
    model.optimizer.learning_rate = WARM_UP_RATE
    model.fit(train_set, epochs=epochs, verbose=1 if sys.stdout.isatty() else 2)
    for layer in backbone:
        layer.trainable = True


def _without_folders(value: Any) -> Any:
    """An option without this machine's folders: the report is shared with the model."""
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
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
        help="train only this head; everything else stays exactly as in --start",
    )
    parser.add_argument("--arch", choices=networks.NETWORKS, default="mobilenetv2")
    parser.add_argument(
        "--start",
        metavar="WEIGHTS",
        help="imagenet (downloaded by Keras; the default if Keras has it), none, a .keras file "
        "of tools/train.py, or, for mobilenetv2, an int8 .tflite or a wider .keras",
    )
    parser.add_argument("--out", type=output_file(".keras"), default=Path("build/gender.keras"))
    outputs.add_arguments(parser)
    parser.add_argument(
        "--size", type=at_least(32), help="side of the input, pixels; default: the network's own"
    )
    parser.add_argument("--alpha", type=positive, default=1.0, help="width of mobilenetv2")
    parser.add_argument("--epochs", type=at_least(1), default=10)
    parser.add_argument("--batch", type=at_least(2), default=64, help="faces in a batch")
    parser.add_argument("--rate", type=positive, default=1e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=not_negative, default=1e-2)
    parser.add_argument("--smoothing", type=fraction, default=0.03, help="label smoothing")
    parser.add_argument(
        "--shear",
        type=not_negative,
        default=0.0,
        help="slant faces at random, standard deviation in degrees",
    )
    parser.add_argument(
        "--mixup",
        type=not_negative,
        default=0.0,
        help="strength with which faces are mixed; 0.1 to 0.4 is usual",
    )
    parser.add_argument(
        "--warm-up",
        type=at_least(0),
        default=1,
        metavar="EPOCHS",
        help="train only the head of a vgg, resnet or googlenet this long, then its last stage too",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="NPZ",
        help="a larger model's predictions for the training faces, from tools/distill.py: arrays "
        "files, male (0 to 1) and, optionally, features",
    )
    parser.add_argument(
        "--infant-weight", type=fraction, default=0.3, help="weight of faces below 6 years"
    )
    parser.add_argument(
        "--patience",
        type=at_least(1),
        default=5,
        help="stop after this many epochs without progress",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue a stopped training after its last whole epoch",
    )
    parser.set_defaults(**networks.DEFAULTS.get(parser.parse_args().arch, {}))
    args = parser.parse_args()
    if args.start is None:
        args.start = "imagenet" if networks.has_imagenet(args.arch) else "none"
    if args.estimate not in (["gender"], ["age"], ["gender", "age"]):
        parser.error(f"--estimate {','.join(args.estimate)}: must be gender, age or gender,age")
    if args.only and (args.only not in args.estimate or not args.start.endswith(".keras")):
        parser.error(f"--only {args.only}: needs a .keras file to --start from, and --estimate it")
    if args.start not in ("imagenet", "none") and not Path(args.start).is_file():
        parser.error(f"--start {args.start}: must be imagenet, none, or a .tflite or .keras file")
    if args.start.endswith(".tflite") and args.arch != "mobilenetv2":
        parser.error(
            f"--start {args.start}: {args.arch} starts from imagenet, none or a .keras file"
        )
    try:
        train(args)
    except (DataError, EdgeError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: stopped; the same command with --resume continues after the last whole epoch")
        return 130
    return 0


if __name__ == "__main__":
    run_command(main)
