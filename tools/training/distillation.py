"""Fit a classifier to larger networks' features and predict the training faces with it."""

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# TensorFlow reads SavedModels, so Keras models run on it too
os.environ["KERAS_BACKEND"] = "tensorflow"

from tools.cli import keras_log  # noqa: F401  # isort: skip  # must come before Keras
import keras
import numpy as np
import tensorflow as tf
from scipy.optimize import minimize_scalar

from edge import native_log
from edge.vision.preprocessing import Preprocessing
from tools.cli.progress import bar
from tools.conversion import model_files
from tools.datasets import dataset
from tools.datasets.archive import DataError
from tools.datasets.dataset import Sample
from tools.evaluation.metrics import Floats
from tools.networks.names import HEADS
from tools.training import teacher

FeatureExtractor = Callable[[Floats], Floats]
"""From prepared faces (n x size x size x channels) to features (n x k)."""
FeatureSource = Callable[[list[Sample]], Floats]
"""From samples (n) to features (n x k)."""

BATCH_SIZE = 64
FOLDS = 5
FIT_EPOCHS = 10
MAX_DEVIATIONS = 6.0
"""Features are clipped to this many standard deviations."""
MAX_FEATURES = 512
"""If there are more features to learn, their principal components take their place."""


def feature_extractor(model: Path) -> tuple[FeatureExtractor, tuple[int, int]]:
    """The features of a network, and the size and channels of its input.

    They are the input of its last layer, or all outputs of a SavedModel. Raises DataError.
    """
    if model.is_dir():
        model_files.check_saved_model(model)
        try:
            with native_log.quiet():
                loaded = tf.saved_model.load(str(model))
        except Exception as error:  # TensorFlow raises what it happens upon
            raise DataError(
                f"{model}: is not a SavedModel ({model_files.failure(str(error))})"
            ) from error
        signature = loaded.signatures.get("serving_default")
        inputs = {} if signature is None else signature.structured_input_signature[1]
        if len(inputs) != 1:
            raise DataError(f"{model}: its serving signature has {len(inputs)} inputs, not one")
        ((name, tensor),) = inputs.items()

        def saved_model_features(faces: Floats) -> Floats:
            values = signature(**{name: tf.cast(faces, tensor.dtype)})
            parts = [np.reshape(values[key], (len(faces), -1)) for key in sorted(values)]
            return np.concatenate(parts, axis=1)

        # the weights are freed with the loaded object
        saved_model_features.loaded = loaded  # type: ignore[attr-defined]  # functions carry no types for attributes
        return saved_model_features, _input_size(model, list(tensor.shape))
    network = model_files.load_keras(model)
    heads = [layer for layer in network.layers if layer.name in HEADS] or [network.layers[-1]]
    body = keras.Model(network.inputs, heads[0].input)

    def keras_features(faces: Floats) -> Floats:
        return np.reshape(body.predict_on_batch(faces), (len(faces), -1))

    return keras_features, _input_size(model, network.input_shape)


def _input_size(model: Path, shape: Sequence[Any]) -> tuple[int, int]:
    """Size and channels of the square picture that a network takes. Raises DataError."""
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3) or not shape[1]:
        raise DataError(f"{model}: takes {list(shape)}; one square picture is needed, [n, s, s, 3]")
    return shape[1], shape[3]


def feature_source(source: Path, mean: float, std: float) -> FeatureSource:
    """The features of a network, or those in a .npz file. Raises DataError."""
    if source.suffix == ".npz":
        features = teacher.read_features(source)

        def read(samples: list[Sample]) -> Floats:
            missing = [sample.name for sample in samples if sample.name not in features]
            if missing:
                count = f"{len(missing)} of {len(samples)} faces"
                raise DataError(f"{source}: has no features of {count}, such as {missing[0]}")
            return np.array([features[sample.name] for sample in samples], np.float32)

        return read
    extract, (size, channels) = feature_extractor(source)
    preprocessing = Preprocessing(
        size=size, colour="rgb" if channels == 3 else "grey", mean=mean, std=std
    )

    def run(samples: list[Sample]) -> Floats:
        rows = []
        batches = range(0, len(samples), BATCH_SIZE)
        for begin in bar(iter(batches), len(batches), source.name):
            crops = dataset.crops_of(samples[begin : begin + BATCH_SIZE], preprocessing)
            rows.append(np.asarray(extract(preprocessing.normalize(np.stack(crops))), np.float32))
        return np.concatenate(rows)

    return run


def standardized(features: Floats) -> Floats:
    """Features as standard deviations from their mean, clipped; float32 (n, k)."""
    mean, std = features.mean(axis=0), features.std(axis=0)
    deviations = (features - mean) / np.where(std > 0, std, 1)
    return np.asarray(np.clip(deviations, -MAX_DEVIATIONS, MAX_DEVIATIONS))


def combined(parts: Sequence[Floats]) -> Floats:
    """Standardized features (n, k) of several networks as one array, `MAX_FEATURES` wide at most.

    Each network has the same weight, however many features it has.
    """
    weighted = [part / math.sqrt(part.shape[1]) for part in parts]
    features: Floats = np.concatenate(weighted, axis=1)
    if features.shape[1] <= MAX_FEATURES:
        return features
    _, axes = np.linalg.eigh(features.T @ features)  # in ascending order of variance
    return np.asarray(features @ axes[:, -MAX_FEATURES:])


def cross_fitted_log_odds(features: Floats, labels: Floats, seed: int) -> Floats:
    """ln(p(male) / p(female)) of each face by a fit to the other folds' labels; float64 (n)."""
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    keras.utils.set_random_seed(seed)
    classifier = keras.Sequential(
        [
            keras.layers.Input(features.shape[1:]),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    classifier.compile(
        keras.optimizers.AdamW(3e-4, weight_decay=0.05),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    classifier.optimizer.build(classifier.trainable_variables)
    # one network for all folds: making its graph takes longer than fitting it
    unfitted = [
        (variable, np.array(variable))
        for variable in (*classifier.variables, *classifier.optimizer.variables)
    ]
    result = np.zeros(len(labels))
    for number in range(FOLDS):
        fitted, held_out = fold != number, fold == number
        for variable, value in unfitted:
            variable.assign(value)
        classifier.fit(
            features[fitted], labels[fitted], batch_size=128, epochs=FIT_EPOCHS, verbose=0
        )
        result[held_out] = classifier.predict(features[held_out], verbose=0)[:, 0]
    # temperature scaling: C. Guo et al.: On Calibration of Modern Neural Networks, ICML 2017
    signs = 2 * labels - 1

    def loss(scale: float) -> float:
        return float(np.logaddexp(0, -scale * result * signs).mean())

    return np.asarray(result * minimize_scalar(loss, bounds=(0.05, 5), method="bounded").x)


def combine_with_labels(log_odds: Floats, labels: Floats, wrong: float) -> Floats:
    """p(male) given the teacher's log-odds and labels of which the fraction `wrong` is wrong."""
    evidence = log_odds + math.log((1 - wrong) / wrong) * (2 * labels - 1)
    return np.asarray(1 / (1 + np.exp(-evidence)))


def distill(args: argparse.Namespace) -> None:
    """Write `--out` and print how well the teacher does. Raises DataError."""
    extractors = [feature_source(source, args.mean, args.std) for source in args.sources]
    samples: list[Sample] = []
    for path in args.data:
        part = dataset.load(path, args.layout, args.detect).part("train")
        samples += dataset.find_faces(part, path.name, args.face_cache)[0]
    names = [sample.name for sample in samples]
    try:
        teacher.require_unique(names, "--data")
    except ValueError as error:
        raise DataError(f"{error}; each face needs a name of its own") from error
    labels = np.array([sample.label for sample in samples], np.float64)
    if min(np.sum(labels == label) for label in (0, 1)) < FOLDS:
        raise DataError(f"--data {args.data[0]}: has too few faces of one gender to learn from")
    parts = [standardized(extract(samples)) for extract in extractors]
    log_odds = cross_fitted_log_odds(np.concatenate(parts, axis=1), labels, args.seed)
    features = combined(parts)
    male = combine_with_labels(log_odds, labels, args.wrong)
    try:
        np.savez_compressed(args.out, files=names, male=male, features=features.astype(np.float16))
    except OSError as error:
        raise DataError(f"--out {args.out}: cannot be written ({error.strerror})") from error
    right = np.mean((log_odds > 0) == (labels == 1))
    overruled = int(np.sum((male > 0.5) != (labels == 1)))
    print(
        f"written {args.out}: {len(names)} faces, {features.shape[1]} features; the teacher alone "
        f"is right for {right:.2%}, and overrules {overruled} labels"
    )
