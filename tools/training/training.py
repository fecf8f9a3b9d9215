"""Train a network, save it and report on it."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tools.cli import keras_log  # noqa: F401  # isort: skip  # must come before Keras
import keras

from edge.vision.preprocessing import Preprocessing
from tools.conversion.model_files import load_keras
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.networks.build import FROZEN, build, freeze
from tools.networks.names import HEADS
from tools.training import teacher, training_report
from tools.training.batches import Batches
from tools.training.checkpoint import Checkpoint
from tools.training.init_weights import load_keras_weights, load_tflite_weights
from tools.training.losses import CosineRate, compile_model
from tools.training.recalibrate_bn import recalibrate_batch_norm
from tools.training.teacher import Teacher
from tools.training.view_teacher import ViewTeacher

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
    settings = {name: _without_folders(value) for name, value in sorted(vars(args).items())}
    checkpoint = Checkpoint(args.out, settings, resume=args.resume)
    soft_labels = teacher.read(args.teacher) if args.teacher else Teacher({}, {})
    network = build(
        args.arch, start=args.start, size=args.size, alpha=args.alpha, heads=args.estimate
    )
    args.size, channels = network.input_shape[-2:]
    preprocessing = Preprocessing(size=args.size, colour="rgb" if channels == 3 else "grey")
    teachers = args.view_teacher
    view_teacher = ViewTeacher(teachers, args.estimate, channels) if teachers else None
    train_set, val_set = read_sets(
        args, preprocessing, soft_labels, view_teacher, checkpoint.epochs
    )
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
    elif args.freeze:
        freeze_until(network, args.freeze)
    elif args.start != "none" and args.arch in FROZEN:
        freeze(network, args.arch)
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
        train_set.view_teacher = None  # only faces are needed
        recalibrate_batch_norm(network, train_set)
    network.save(args.out)
    history = training_report.history_by_head(checkpoint.rows(), args.estimate, output_names)
    settings |= {"size": args.size}
    training_report.write(network, args.out, train_set, val_set, history, settings)
    checkpoint.end()  # the report takes a while: killed before its end, a training can be resumed


def freeze_until(network: keras.Model, name: str) -> None:
    """Keep a layer and all before it as they are. Raises DataError if there is no such layer."""
    names = [layer.name for layer in network.layers if layer.name not in HEADS]
    if name not in names:
        raise DataError(f"--freeze {name}: must be a layer, such as {', '.join(names[3::40])}")
    for layer in network.layers[: names.index(name) + 1]:
        layer.trainable = False


def read_sets(
    args: argparse.Namespace,
    preprocessing: Preprocessing,
    soft_labels: Teacher,
    view_teacher: ViewTeacher | None,
    epoch: int,
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
        "balance": args.balance,
        "teacher": soft_labels,
        "view_teacher": view_teacher,
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
    backbone = [layer for layer in network.layers if layer.trainable and layer.name not in HEADS]
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
