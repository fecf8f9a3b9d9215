"""Ask larger networks about each training face, for a smaller one to learn from.

    python tools/distill.py big.keras other.keras --data faces.zip --out build/teacher.npz

Their features, the values before their answers, are fitted to the labels anew, on some of the faces
at a time and asked about the rest, so that no face is judged by a fit that saw its label. Then
tools/train.py --teacher build/teacher.npz.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# SavedModels are read by TensorFlow, so Keras models are too
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize_scalar

from edge.vision.preprocessing import Preprocessing
from tools.cli import leave
from tools.conversion import model_files
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.evaluation.metrics import Floats
from tools.networks import HEADS
from tools.training import teacher

Ask = Callable[[Floats], Floats]
CaptureSettings = Callable[[list[Sample]], Floats]

BATCH = 64
FOLDS = 5
FIT_EPOCHS = 10
MOST = 6.0
"""Standard deviations beyond which a feature says no more."""
WIDTH = 512
"""A network that has more features to learn than these gets their principal components."""


def features_of(model: Path) -> tuple[Ask, tuple[int, int]]:
    """From prepared faces (n x size x size x channels) to features (n x k); size and channels.

    They are what the last layer gets, or, of a SavedModel, everything that it gives. Raises
    DataError.
    """
    if model.is_dir():
        model_files.check_saved_model(model)
        loaded = tf.saved_model.load(str(model))
        signature = loaded.signatures.get("serving_default")
        entries = {} if signature is None else signature.structured_input_signature[1]
        if len(entries) != 1:
            raise DataError(f"{model}: has {len(entries)} inputs to serve, one is needed")
        ((name, entry),) = entries.items()

        def ask(faces: Floats) -> Floats:
            answers = signature(**{name: tf.constant(faces)})
            parts = [np.reshape(answers[key], (len(faces), -1)) for key in sorted(answers)]
            return np.concatenate(parts, axis=1)

        ask.loaded = loaded  # type: ignore[attr-defined]  # its weights live no longer than it
        return ask, _picture(model, list(entry.shape))
    network = model_files.load_keras(model)
    heads = [layer for layer in network.layers if layer.name in HEADS] or [network.layers[-1]]
    body = keras.Model(network.inputs, heads[0].input)

    def features(faces: Floats) -> Floats:
        return np.reshape(body.predict_on_batch(faces), (len(faces), -1))

    return features, _picture(model, network.input_shape)


def _picture(model: Path, shape: Sequence[Any]) -> tuple[int, int]:
    """Size and channels of the pictures that a network takes. Raises DataError."""
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3) or not shape[1]:
        raise DataError(f"{model}: takes {list(shape)}; one square picture is needed, [n, s, s, 3]")
    return shape[1], shape[3]


def view_of(source: Path, mean: float, std: float) -> CaptureSettings:
    """From faces to what a network, or another program, makes of them: (n, k). Raises DataError."""
    if source.suffix == ".npz":
        known = teacher.read_features(source)

        def read(samples: list[Sample]) -> Floats:
            missing = [sample.name for sample in samples if sample.name not in known]
            if missing:
                count = f"{len(missing)} of {len(samples)} faces"
                raise DataError(f"{source}: has no features of {count}, such as {missing[0]}")
            return np.array([known[sample.name] for sample in samples], np.float32)

        return read
    ask, (size, channels) = features_of(source)
    preprocessing = Preprocessing(
        size=size, colour="rgb" if channels == 3 else "grey", mean=mean, std=std
    )

    def asked(samples: list[Sample]) -> Floats:
        rows = []
        batches = range(0, len(samples), BATCH)
        for begin in dataset.bar(iter(batches), len(batches), source.name):
            crops = dataset.crops_of(samples[begin : begin + BATCH], preprocessing)
            rows.append(np.asarray(ask(preprocessing.normalize(np.stack(crops))), np.float32))
        return np.concatenate(rows)

    return asked


def scaled(features: Floats) -> Floats:
    """Standard deviations from the mean, float32 (n, k)."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    return np.asarray(np.clip((features - mean) / np.where(spread > 0, spread, 1), -MOST, MOST))


def condensed(parts: Sequence[Floats]) -> Floats:
    """Scaled features of several networks (n, k) as one: (n, `WIDTH`), or fewer if they are fewer.

    Each network has the same share in the whole, however many features it gave.
    """
    shares = [part / math.sqrt(part.shape[1]) for part in parts]
    features: Floats = np.concatenate(shares, axis=1)
    if features.shape[1] <= WIDTH:
        return features
    _, axes = np.linalg.eigh(features.T @ features)  # by how much they tell, the least first
    return np.asarray(features @ axes[:, -WIDTH:])


def log_odds(features: Floats, labels: Floats, seed: int) -> Floats:
    """ln(p(male) / p(female)) of each face, by a fit to the others' labels; float64 (n)."""
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    result = np.zeros(len(labels))
    for number in range(FOLDS):
        known, asked_now = fold != number, fold == number
        keras.utils.set_random_seed(seed + number)
        fit = keras.Sequential(
            [
                keras.layers.Dropout(0.3),
                keras.layers.Dense(256, activation="relu"),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(1),
            ]
        )
        fit.compile(
            keras.optimizers.AdamW(3e-4, weight_decay=0.05),
            keras.losses.BinaryCrossentropy(from_logits=True),
        )
        fit.fit(features[known], labels[known], batch_size=128, epochs=FIT_EPOCHS, verbose=0)
        result[asked_now] = fit.predict(features[asked_now], verbose=0)[:, 0]
    # as sure as it is right: C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017
    signs = 2 * labels - 1

    def loss(scale: float) -> float:
        return float(np.logaddexp(0, -scale * result * signs).mean())

    return np.asarray(result * minimize_scalar(loss, bounds=(0.05, 5), method="bounded").x)


def joined(said: Floats, labels: Floats, wrong: float) -> Floats:
    """p(male) by the teacher's log-odds and by labels of which a share `wrong` is wrong."""
    evidence = said + math.log((1 - wrong) / wrong) * (2 * labels - 1)
    return np.asarray(1 / (1 + np.exp(-evidence)))


def teach(args: argparse.Namespace) -> None:
    dataset.make_folder(args.out.parent, f"--out {args.out}")
    views = [view_of(source, args.mean, args.std) for source in args.sources]
    samples: list[Sample] = []
    for path in args.data:
        part = dataset.load(path, args.layout, args.detect).part("train")
        samples += dataset.find_faces(part, path.name)[0]
    names = [sample.name for sample in samples]
    try:
        teacher.need_names(names, "--data")
    except ValueError as error:
        raise DataError(f"{error}; faces need names of their own") from error
    labels = np.array([sample.label for sample in samples], np.float64)
    if min(np.sum(labels == label) for label in (0, 1)) < FOLDS:
        raise DataError(f"--data {args.data[0]}: has too few faces of one gender to learn from")
    parts = [scaled(view(samples)) for view in views]
    said = log_odds(np.concatenate(parts, axis=1), labels, args.seed)
    features = condensed(parts)
    male = joined(said, labels, args.wrong)
    try:
        np.savez_compressed(args.out, files=names, male=male, features=features.astype(np.float16))
    except OSError as error:
        raise DataError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    right = np.mean((said > 0) == (labels == 1))
    overruled = int(np.sum((male > 0.5) != (labels == 1)))
    print(
        f"written {args.out}: {len(names)} faces, {features.shape[1]} features; the teacher alone "
        f"is right for {right:.2%}, and overrules {overruled} labels"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="NETWORK",
        help="a .keras or .h5 file, a SavedModel folder, or what another program made of the "
        "faces: a .npz with the arrays files and features",
    )
    dataset.add_arguments(parser, "--data", several=True)
    parser.add_argument("--out", type=Path, default=Path("build/teacher.npz"))
    parser.add_argument("--mean", type=float, default=127.5, help="input = (pixel - mean) / std")
    parser.add_argument("--std", type=float, default=127.5)
    parser.add_argument(
        "--wrong", type=float, default=0.05, help="share of labels taken to be wrong, 0 to 0.5"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.std == 0:
        parser.error("--std must not be 0")
    if args.out.suffix != ".npz":
        parser.error(f"--out {args.out}: must end in .npz")
    if not 0 < args.wrong < 0.5:
        parser.error(f"--wrong {args.wrong}: must lie between 0 and 0.5")
    try:
        teach(args)
    except DataError as error:
        print(f"teach: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    leave(main)
